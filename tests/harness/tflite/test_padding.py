"""What is refused of frames made of reflections."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.errors import MalformedModelError, ModelError, UnsupportedModelError
from tests.harness.tflite.models import Refusal, expect_refusal, int32, one_operator
from tests.tflite_factory import ModelFactory

REFLECT, SYMMETRIC = 0, 1


def mirror_pad(
    shape: tuple[int, ...],
    output: tuple[int, ...],
    paddings: list[list[int]],
    *,
    mode: int = REFLECT,
) -> ModelFactory:
    constants = [int32(*paddings)]
    return one_operator("MIRROR_PAD", [shape], output, constants=constants, options={"mode": mode})


REFUSED: list[Refusal] = [
    (
        lambda: mirror_pad((3,), (6,), [[3, 0]]),
        MalformedModelError,
        "mirrors more of axis 0 than there is (expected <= 2, got 3)",
    ),
    (
        lambda: mirror_pad((3,), (7,), [[0, 4]], mode=SYMMETRIC),
        MalformedModelError,
        "mirrors more of axis 0 than there is (expected <= 3, got 4)",
    ),
    (
        lambda: mirror_pad((3,), (5,), [[1, 1]], mode=2),
        MalformedModelError,
        "unknown mode (expected 0 or 1, got 2)",
    ),
    (
        lambda: mirror_pad((3,), (4,), [[1, 1]]),
        MalformedModelError,
        "output shape contradicts the inputs (expected (5,), got (4,))",
    ),
    (
        lambda: mirror_pad((3,), (3,), [[1, -1]]),
        MalformedModelError,
        "paddings are impossible",
    ),
    (
        lambda: mirror_pad((2,) * 5, (3,) * 5, [[1, 0]] * 5),
        UnsupportedModelError,
        "mirrors too many axes (expected <= 4, got 5); mirror fewer axes",
    ),
]


@pytest.mark.parametrize(("build", "error", "message"), REFUSED, ids=[m for _, _, m in REFUSED])
def test_what_cannot_be_mirrored_is_refused(
    build: Callable[[], ModelFactory], error: type[ModelError], message: str
) -> None:
    expect_refusal(build(), error, message)
