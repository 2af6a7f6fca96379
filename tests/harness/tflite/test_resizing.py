"""What is refused of operators that resize feature maps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.errors import MalformedModelError, ModelError, UnsupportedModelError
from tests.harness.tflite.models import Refusal, expect_refusal, int32, one_operator
from tests.tflite_factory import ModelFactory

Shape = tuple[int, ...]


def resize(
    shape: Shape,
    output: Shape,
    size: list[int],
    *,
    op: str = "RESIZE_BILINEAR",
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> ModelFactory:
    options = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    return one_operator(op, [shape], output, constants=[int32(*size)], options=options)


REFUSED: list[Refusal] = [
    (
        lambda: resize((1, 2, 2, 1), (1, 4, 4, 1), [4]),
        MalformedModelError,
        "sizes are impossible (expected two, height and width, got [4])",
    ),
    (
        lambda: resize((1, 2, 2, 1), (1, 4, 4, 1), [4, 0]),
        MalformedModelError,
        "sizes are impossible",
    ),
    (
        lambda: resize((1, 2, 2, 1), (1, 4, 4, 1), [4, 5]),
        MalformedModelError,
        "output shape contradicts the inputs (expected (1, 4, 5, 1), got (1, 4, 4, 1))",
    ),
    (
        lambda: resize((2, 2, 2, 1), (2, 4, 4, 1), [4, 4]),
        UnsupportedModelError,
        "works on a batch (expected 1, got 2)",
    ),
    (
        lambda: resize((1, 1, 1, 1), (1, 1, 32769, 1), [1, 32769], op="RESIZE_NEAREST_NEIGHBOR"),
        UnsupportedModelError,
        "resizes too long an axis (expected <= 32768, got 32769); use smaller feature maps",
    ),
    (
        lambda: resize(
            (1, 2, 2, 1), (1, 4, 4, 1), [4, 4], align_corners=True, half_pixel_centers=True
        ),
        UnsupportedModelError,
        "aligns corners and pixel centers (expected not both, got both); choose one of",
    ),
    (
        lambda: resize((1, 1, 9, 1), (1, 1, 10_000, 1), [1, 10_000]),
        UnsupportedModelError,
        "is enlarged so far that it reads behind its end (expected less than 10000 from 9, got",
    ),
]


@pytest.mark.parametrize(("build", "error", "message"), REFUSED, ids=[m for _, _, m in REFUSED])
def test_what_cannot_be_resized_is_refused(
    build: Callable[[], ModelFactory], error: type[ModelError], message: str
) -> None:
    expect_refusal(build(), error, message)
