"""What is refused of operators that move values and change none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.errors import MalformedModelError, ModelError, UnsupportedModelError
from tests.harness.tflite.models import Refusal, expect_refusal, int32, one_operator
from tests.tflite_factory import ModelFactory


def transpose(shape: tuple[int, ...], output: tuple[int, ...], order: list[int]) -> ModelFactory:
    return one_operator("TRANSPOSE", [shape], output, constants=[int32(*order)])


REFUSED: list[Refusal] = [
    (
        lambda: one_operator("SQUEEZE", [(1, 4, 1)], (4, 1), options={"axes": [1]}),
        MalformedModelError,
        "squeezes axes of more than one (expected [0, 2], got [1])",
    ),
    (
        lambda: one_operator("SQUEEZE", [(1, 4)], (4,), options={"axes": [2]}),
        MalformedModelError,
        "has no such axis (expected -2..1, got 2)",
    ),
    (
        lambda: one_operator("SQUEEZE", [(1, 4, 1)], (4, 1), options={"axes": []}),
        MalformedModelError,
        "output shape contradicts the inputs (expected (4,), got (4, 1))",
    ),
    (
        lambda: one_operator("EXPAND_DIMS", [(4,)], (1, 4), constants=[int32(1)]),
        MalformedModelError,
        "output shape contradicts the inputs (expected (4, 1), got (1, 4))",
    ),
    (
        lambda: transpose((2, 3), (3, 2), [1, 1]),
        MalformedModelError,
        "is no permutation (expected of [0, 1], got [1, 1])",
    ),
    (
        lambda: transpose((2, 3), (3, 2), [1, -2]),
        MalformedModelError,
        "is no permutation",
    ),
    (
        lambda: transpose((2, 3), (2, 3), [1, 0]),
        MalformedModelError,
        "output shape contradicts the inputs (expected (3, 2), got (2, 3))",
    ),
    (
        lambda: transpose((1,) * 6, (1,) * 6, [0, 1, 2, 3, 4, 5]),
        UnsupportedModelError,
        "transposes too many axes (expected <= 5, got 6); reshape to fewer before",
    ),
    (
        lambda: one_operator("EXPAND_DIMS", [(4,)], (1, 4), constants=[int32(-3)]),
        MalformedModelError,
        "has no such axis (expected -2..1, got -3)",
    ),
]


@pytest.mark.parametrize(("build", "error", "message"), REFUSED, ids=[m for _, _, m in REFUSED])
def test_what_cannot_be_moved_is_refused(
    build: Callable[[], ModelFactory], error: type[ModelError], message: str
) -> None:
    expect_refusal(build(), error, message)
