"""What is refused of operators that join tensors, or take one apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.errors import MalformedModelError, ModelError, UnsupportedModelError
from tests.harness.tflite.models import Refusal, expect_refusal, int32, one_operator, read
from tests.tflite_factory import NONE, RELU, ModelFactory

Shape = tuple[int, ...]


def concatenation(
    inputs: list[Shape], output: Shape, *, axis: int = 0, activation: int = NONE
) -> ModelFactory:
    options = {"axis": axis, "activation": activation}
    return one_operator("CONCATENATION", inputs, output, options=options)


def other_quantisation() -> ModelFactory:
    model = concatenation([(2,), (2,)], (4,))
    model.tensors[1].scales = (0.25,)
    return model


def parts(
    op: str, source: Shape, outputs: list[Shape], constants: list[Any], **options: Any
) -> ModelFactory:
    model = ModelFactory()
    operands = [model.input(source, scale=0.5), *(model.constant(values) for values in constants)]
    model.outputs = [model.tensor(shape, scale=0.5) for shape in outputs]
    model.operator(op, operands[::-1] if op == "SPLIT" else operands, model.outputs, **options)
    return model


def split(source: Shape, outputs: list[Shape], *, axis: int = 0, count: int = 2) -> ModelFactory:
    return parts("SPLIT", source, outputs, [int32(axis)], count=count)


def split_v(sizes: list[int], outputs: list[Shape], *, source: Shape = (4, 3)) -> ModelFactory:
    return parts("SPLIT_V", source, outputs, [int32(*sizes), int32(0)], count=len(outputs))


def axis_at_run_time() -> ModelFactory:
    model = ModelFactory()
    operands = [model.input((1,), dtype="int32"), model.input((4,), scale=0.5)]
    model.outputs = [model.tensor((2,), scale=0.5) for _ in range(2)]
    model.operator("SPLIT", operands, model.outputs, count=2)
    return model


REFUSED: list[Refusal] = [
    (
        lambda: concatenation([(1,)] * 11, (11,)),
        UnsupportedModelError,
        "joins too many tensors (expected <= 10, got 11); join in two steps",
    ),
    (
        lambda: concatenation([(2,), (2,)], (4,), activation=RELU),
        UnsupportedModelError,
        "has a fused activation (expected none, got RELU); apply it",
    ),
    (
        other_quantisation,
        UnsupportedModelError,
        "input 1 has its own quantisation (expected scale 0.5, zero point 1, got scale 0.25, zero",
    ),
    (
        lambda: concatenation([(2, 3), (2, 4)], (4, 3)),
        MalformedModelError,
        "tensors 1 and 2 differ in more than axis 0 (expected (4, 3), got (2, 4))",
    ),
    (
        lambda: concatenation([(2, 3), (2,)], (4, 3)),
        MalformedModelError,
        "tensors 1 and 2 differ in more than axis 0",
    ),
    (
        lambda: concatenation([(2,), (2,)], (5,)),
        MalformedModelError,
        "sizes along axis 0 do not add up to the output's (expected 5, got 4)",
    ),
    (
        lambda: concatenation([(2,), (2,)], (4,), axis=1),
        MalformedModelError,
        "has no such axis (expected -1..0, got 1)",
    ),
    (
        lambda: concatenation([()], (), axis=0),
        MalformedModelError,
        "has no such axis (expected an axis, got 0)",
    ),
    (
        lambda: concatenation([(2, 3), (2,)], (2, 3), axis=1),
        MalformedModelError,
        "tensors 1 and 2 differ in more than axis 1",
    ),
    (
        lambda: split((4,), [(2,)] * 3),
        MalformedModelError,
        "has the wrong number of operands (expected 2..2 inputs and 2 outputs, got 2 and 3)",
    ),
    (
        lambda: split((5,), [(2,)] * 2),
        MalformedModelError,
        "does not split into equal parts (expected 2 parts of an axis of 5, got [2, 2])",
    ),
    (
        lambda: split((4,), [(1,), (3,)]),
        MalformedModelError,
        "does not split into equal parts (expected 2 parts of an axis of 4, got [1, 3])",
    ),
    (
        lambda: split((4, 3), [(2, 2), (2, 3)]),
        MalformedModelError,
        "tensors 2 and 0 differ in more than axis 0",
    ),
    (lambda: split((4,), [(2,)] * 2, axis=-2), MalformedModelError, "has no such axis"),
    (
        axis_at_run_time,
        UnsupportedModelError,
        "axes are computed at run time (expected data in the file, got tensor 0 without); make",
    ),
    (
        lambda: parts("SPLIT", (4,), [(2,)] * 2, [int32(0, 0)], count=2),
        MalformedModelError,
        "axes are several (expected 1, got 2)",
    ),
    (
        lambda: split_v([1, 2], [(1, 3), (3, 3)]),
        MalformedModelError,
        "sizes contradict the outputs (expected [1, 3], got [1, 2])",
    ),
    (
        lambda: split_v([1, 3, 0], [(1, 3), (3, 3)]),
        MalformedModelError,
        "sizes contradict the outputs",
    ),
    (
        lambda: split_v([1, -1], [(1, 3), (2, 3)]),
        MalformedModelError,
        "sizes along axis 0 do not add up to the input's (expected 4, got 3)",
    ),
    (
        lambda: one_operator("PACK", [(2,), (3,)], (2, 2), options={"axis": 0, "count": 2}),
        MalformedModelError,
        "packs different shapes (expected (2,), got (3,))",
    ),
    (
        lambda: one_operator("PACK", [(2,), (2,)], (2, 2), options={"axis": 0, "count": 3}),
        MalformedModelError,
        "has the wrong number of operands (expected 3..3 inputs and 1 output, got 2 and 1)",
    ),
    (
        lambda: one_operator("PACK", [(2,), (2,)], (2, 3), options={"axis": 0, "count": 2}),
        MalformedModelError,
        "output shape contradicts the inputs (expected (2, 2), got (2, 3))",
    ),
    (
        lambda: parts("UNPACK", (3, 2), [(2,)] * 2, [], axis=0, count=2),
        MalformedModelError,
        "has not an output for each slice (expected 3, got 2)",
    ),
    (
        lambda: parts("UNPACK", (2, 2), [(2,), (2, 1)], [], axis=0, count=2),
        MalformedModelError,
        "output shape contradicts the inputs (expected (2,), got (2, 1))",
    ),
]


@pytest.mark.parametrize(("build", "error", "message"), REFUSED, ids=[m for _, _, m in REFUSED])
def test_what_cannot_be_joined_or_split_is_refused(
    build: Callable[[], ModelFactory], error: type[ModelError], message: str
) -> None:
    expect_refusal(build(), error, message)


def test_a_split_into_nothing_is_malformed() -> None:
    model = split((4,), [(4,)], count=0)
    with pytest.raises(MalformedModelError, match=r"splits into nothing \(expected >= 1 parts"):
        read(model)
