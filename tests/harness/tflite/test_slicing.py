"""What is refused of operators that keep a part of a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.errors import MalformedModelError, ModelError, UnsupportedModelError
from tests.harness.tflite.models import Refusal, expect_refusal, int32, one_operator
from tests.tflite_factory import ModelFactory

Shape = tuple[int, ...]


def slice_(shape: Shape, output: Shape, begin: list[int], sizes: list[int]) -> ModelFactory:
    return one_operator("SLICE", [shape], output, constants=[int32(*begin), int32(*sizes)])


def strided(
    shape: Shape, output: Shape, begin: list[int], end: list[int], steps: list[int], **options: Any
) -> ModelFactory:
    constants = [int32(*begin), int32(*end), int32(*steps)]
    return one_operator("STRIDED_SLICE", [shape], output, constants=constants, options=options)


def gather(
    output: Shape, positions: list[int], *, axis: int = 0, batch_dims: int = 0
) -> ModelFactory:
    options = {"axis": axis, "batch_dims": batch_dims}
    return one_operator("GATHER", [(4, 2)], output, constants=[int32(*positions)], options=options)


def gather_at_run_time() -> ModelFactory:
    model = ModelFactory()
    operands = [model.input((4,), scale=0.5), model.input((1,), dtype="int32")]
    model.outputs = [model.tensor((1,), scale=0.5)]
    model.operator("GATHER", operands, model.outputs, axis=0, batch_dims=0)
    return model


REFUSED: list[Refusal] = [
    (
        lambda: slice_((4,), (3,), [2], [3]),
        MalformedModelError,
        "leaves axis 0 (expected within 0..4, got 2..5)",
    ),
    (lambda: slice_((4,), (3,), [-1], [3]), MalformedModelError, "leaves axis 0"),
    (lambda: slice_((4,), (1,), [4], [-1]), MalformedModelError, "leaves axis 0"),
    (
        lambda: slice_((4,), (3,), [0], [4]),
        MalformedModelError,
        "output shape contradicts the inputs (expected (4,), got (3,))",
    ),
    (
        lambda: slice_((4, 4), (3, 4), [0], [3]),
        MalformedModelError,
        "beginnings are not one for each axis (expected (2,), got (1,))",
    ),
    (
        lambda: slice_((1,) * 6, (1,) * 6, [0] * 6, [1] * 6),
        UnsupportedModelError,
        "slices too many axes (expected <= 5, got 6); reshape to fewer before",
    ),
    (
        lambda: strided((1,) * 5, (1,) * 5, [0] * 5, [1] * 5, [1] * 5),
        UnsupportedModelError,
        "slices too many axes (expected <= 4, got 5)",
    ),
    (
        lambda: gather((2, 2), [1, 4]),
        MalformedModelError,
        "positions leave axis 0 (expected 0..3, got 1..4)",
    ),
    (lambda: gather((2, 2), [-1, 1]), MalformedModelError, "positions leave axis 0"),
    (
        lambda: gather((2, 2), [1, 1], axis=1),
        MalformedModelError,
        "output shape contradicts the inputs (expected (4, 2), got (2, 2))",
    ),
    (
        lambda: gather((2, 2), [1, 1], batch_dims=1),
        UnsupportedModelError,
        "gathers by batch (expected 0, got 1); gather with batch_dims=0",
    ),
    (
        gather_at_run_time,
        UnsupportedModelError,
        "positions are computed at run time (expected data in the file, got tensor 1 without)",
    ),
    (lambda: strided((), (), [0], [1], [1]), MalformedModelError, "slices a scalar"),
    (
        lambda: strided((4,), (4,), [0], [4], [0]),
        MalformedModelError,
        "stride of axis 0 is 0",
    ),
    (
        lambda: strided((4,), (1,), [0], [4], [2**30 + 1]),
        UnsupportedModelError,
        "stride of axis 0 reaches too far (expected <= 1073741824, got 1073741825); use one no",
    ),
    (
        lambda: strided((4,), (4,), [0], [3], [1]),
        MalformedModelError,
        "output shape contradicts the inputs (expected (3,), got (4,))",
    ),
    (
        lambda: strided((4,), (), [4], [5], [1], shrink_axis_mask=1),
        MalformedModelError,
        "takes no element of axis 0 (expected an index of -4..3 and a stride > 0, got 4 and 1)",
    ),
    (
        lambda: strided((4,), (), [2], [1], [-1], shrink_axis_mask=1),
        MalformedModelError,
        "takes no element of axis 0",
    ),
    (
        lambda: strided((4,), (4,), [0], [4], [1], ellipsis_mask=1),
        UnsupportedModelError,
        "uses ellipsis mask (expected 0, got 1); slice with one begin, end and stride",
    ),
    (
        lambda: strided((4,), (1, 4), [0], [4], [1], new_axis_mask=1),
        UnsupportedModelError,
        "uses new axis mask",
    ),
    (
        lambda: strided((4,), (2,), [1], [2], [1], offset=True),
        UnsupportedModelError,
        "uses offset (expected 0, got 1)",
    ),
]


@pytest.mark.parametrize(("build", "error", "message"), REFUSED, ids=[m for _, _, m in REFUSED])
def test_what_cannot_be_sliced_is_refused(
    build: Callable[[], ModelFactory], error: type[ModelError], message: str
) -> None:
    expect_refusal(build(), error, message)
