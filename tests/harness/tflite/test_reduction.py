"""What is refused of reductions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.errors import MalformedModelError, ModelError, UnsupportedModelError
from tests.harness.tflite.models import Refusal, expect_refusal, int32, one_operator
from tests.tflite_factory import ModelFactory

Shape = tuple[int, ...]


def reduction(op: str, shape: Shape, output: Shape, axes: list[int]) -> ModelFactory:
    return one_operator(op, [shape], output, constants=[int32(*axes)])


def rescaled(op: str) -> ModelFactory:
    model = reduction(op, (4,), (1,), [0])
    model.tensors[model.outputs[0]].scales = (0.25,)
    return model


def arg_max(*, axis: int = 1, output: Shape = (1, 4), dtype: str = "int32") -> ModelFactory:
    model = ModelFactory()
    operands = [model.input((1, 3, 4), scale=0.5), model.constant(int32(axis))]
    model.outputs = [model.tensor(output, dtype=dtype)]
    model.operator("ARG_MAX", operands, model.outputs)
    return model


REFUSED: list[Refusal] = [
    (
        lambda: reduction("MEAN", (2, 3, 4, 5, 6), (3, 5), [0, 2, 4]),
        UnsupportedModelError,
        "reduces axes in three places (expected one or two runs of axes side by side, got (0, 2",
    ),
    (
        lambda: reduction("SUM", (1, 4, 4, 2), (1, 4), [4]),
        MalformedModelError,
        "has no such axis (expected -4..3, got 4)",
    ),
    (
        lambda: reduction("MEAN", (1, 4, 4, 2), (1, 3), [1, 2]),
        MalformedModelError,
        "output size contradicts the axes (expected 2, got 3)",
    ),
    (
        lambda: rescaled("REDUCE_MIN"),
        UnsupportedModelError,
        "REDUCE_MIN changes the quantisation (expected scale 0.5, zero point 1, got scale 0.25",
    ),
    (
        lambda: arg_max(dtype="int64"),
        UnsupportedModelError,
        "finds places as int64 (expected int32, got int64); export it with output_type=int32",
    ),
    (
        lambda: arg_max(axis=-4),
        MalformedModelError,
        "has no such axis (expected -3..2, got -4)",
    ),
    (
        lambda: arg_max(output=(1, 1, 4)),
        MalformedModelError,
        "output shape contradicts the inputs (expected (1, 4), got (1, 1, 4))",
    ),
]


@pytest.mark.parametrize(("build", "error", "message"), REFUSED, ids=[m for _, _, m in REFUSED])
def test_what_cannot_be_reduced_is_refused(
    build: Callable[[], ModelFactory], error: type[ModelError], message: str
) -> None:
    expect_refusal(build(), error, message)
