"""A model that contradicts itself is refused, with the place and the contradiction."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from harness.errors import MalformedModelError
from tests.harness.tflite.models import (
    CONV,
    graph_ends,
    int8,
    int32,
    one_operator,
    operands,
    read,
    relu,
    window,
)
from tests.tflite_factory import NONE, ModelFactory


def without_operators() -> ModelFactory:
    model = ModelFactory()
    model.outputs = [model.input((1,), scale=0.5)]
    return model


def cyclic() -> ModelFactory:
    model = ModelFactory()
    source = model.input((1, 4), scale=0.5)
    first, second = (model.tensor((1, 4), scale=0.5) for _ in range(2))
    model.operator("ADD", [source, second], [first], activation=NONE)
    model.operator("RELU", [first], [second])
    model.outputs = [second]
    return model


def written_twice() -> ModelFactory:
    model = relu()
    model.operator("RELU", model.inputs, model.outputs)
    return model


MALFORMED: list[tuple[Callable[[], ModelFactory], str]] = [
    (lambda: ModelFactory(subgraphs=0), "has no subgraph"),
    (without_operators, "has no operators"),
    (lambda: graph_ends([], [0]), "has no inputs or no outputs"),
    (lambda: graph_ends([1, 1], [0]), "lists an input twice"),
    (lambda: graph_ends([7], [0]), "inputs: no such tensor (expected 0..1, got 7)"),
    (lambda: graph_ends([1], [-1]), "outputs: no such tensor (expected 0..1, got -1)"),
    (lambda: operands([-2], [0]), "operator 0 (RELU) inputs: no such tensor"),
    (lambda: operands([-1], [0]), "operator 0 (RELU): input 0 is missing"),
    (lambda: operands([1, 1], [0]), "has the wrong number of operands (expected 1..1 inputs"),
    (lambda: operands([1], []), "output tensor 0 is written by no operator"),
    (cyclic, "operator 0 (ADD) reads tensor 2 before it is written"),
    (written_twice, "operator 1 (RELU) writes tensor 0 again"),
    (lambda: relu(data=int8(1, 4)), "input tensor 1 is a constant"),
    (lambda: relu(data=int8(5)), "tensor 1: buffer size contradicts the shape (1, 4)"),
    (lambda: relu(buffer=99), "tensor 1: no such buffer (expected < 1, got 99)"),
    (lambda: relu(scale=0.0), "tensor 1: impossible scale (expected positive and finite, got 0"),
    (lambda: relu(scale=float("nan")), "tensor 1: impossible scale"),
    (lambda: relu(scale=float("inf")), "tensor 1: impossible scale"),
    (lambda: relu(zero_point=200), "tensor 1: impossible zero point (expected -128..127, got 200"),
    (lambda: relu(zero_point=[1, 2]), "tensor 1: scales and zero points differ"),
    (lambda: relu(scale=[0.5, 0.5]), "2 scales along axis 0 contradict the shape"),
    (lambda: relu(scale=[0.5] * 4, axis=-3), "4 scales along axis -3 contradict the shape"),
    (lambda: relu(shape=(0, 4)), "tensor 1 has an impossible shape"),
    (lambda: relu(shape=(-5, 4)), "tensor 1 has an impossible shape"),
    (lambda: relu(shape_signature=(1,)), "tensor 1: shape and its signature differ"),
    (lambda: relu(shape_signature=(1, 5)), "tensor 1: shape and its signature differ"),
    (lambda: relu(shape=(1, 5)), "output shape contradicts the inputs (expected (1, 5), got (1"),
    (
        lambda: one_operator("CONV_2D", [(1, 5, 5, 2)], (1, 4, 4, 3), **CONV),
        "output shape contradicts the inputs (expected (1, 3, 3, 3), got (1, 4, 4, 3))",
    ),
    (
        lambda: one_operator("CONV_2D", [(5, 5, 2)], (1, 3, 3, 3), **CONV),
        "tensor 0 has the wrong rank",
    ),
    (
        lambda: one_operator("CONV_2D", [(1, 5, 5, 3)], (1, 3, 3, 3), **CONV),
        "weights do not match the input channels (expected 3, got 2)",
    ),
    (
        lambda: one_operator(
            "CONV_2D",
            [(1, 5, 5, 2)],
            (1, 3, 3, 3),
            constants=[int8(3, 18)],
            options=window(),
        ),
        "weights have the wrong rank",
    ),
    (
        lambda: one_operator(
            "CONV_2D",
            [(1, 5, 5, 2)],
            (1, 3, 3, 3),
            constants=[int8(3, 3, 3, 2), int32(1, 2)],
            options=window(),
        ),
        "bias length differs from the channels",
    ),
    (
        lambda: one_operator(
            "CONV_2D",
            [(1, 5, 5, 2)],
            (1, 3, 3, 3),
            constants=[int8(3, 3, 3, 2)],
            options=window(stride_h=0),
        ),
        "impossible stride (expected 1..32768, got 0x1)",
    ),
    (
        lambda: one_operator(
            "CONV_2D",
            [(1, 5, 5, 2)],
            (1, 3, 3, 3),
            constants=[int8(3, 3, 3, 2)],
            options=window(padding=9),
        ),
        "unknown padding",
    ),
    (
        lambda: one_operator(
            "DEPTHWISE_CONV_2D",
            [(1, 5, 5, 2)],
            (1, 3, 3, 3),
            constants=[int8(1, 3, 3, 3)],
            options=window(multiplier=1),
        ),
        "channels are no multiple of the input's",
    ),
    (
        lambda: one_operator(
            "DEPTHWISE_CONV_2D",
            [(1, 5, 5, 2)],
            (1, 3, 3, 4),
            constants=[int8(1, 3, 3, 4)],
            options=window(multiplier=3),
        ),
        "depth multiplier is wrong (expected 2, got 3)",
    ),
    (
        lambda: one_operator(
            "DEPTHWISE_CONV_2D",
            [(1, 5, 5, 2)],
            (1, 3, 3, 4),
            constants=[int8(2, 3, 3, 4)],
            options=window(multiplier=2),
        ),
        "weights have the wrong shape",
    ),
    (
        lambda: one_operator(
            "FULLY_CONNECTED",
            [(1, 7)],
            (1, 2),
            constants=[int8(2, 4)],
            options={"activation": NONE},
        ),
        "weights do not match the tensors",
    ),
    (
        lambda: one_operator(
            "FULLY_CONNECTED",
            [(2, 4)],
            (3, 2),
            constants=[int8(2, 4)],
            options={"activation": NONE},
        ),
        "output size contradicts the input (expected 4, got 6)",
    ),
    (
        lambda: one_operator(
            "FULLY_CONNECTED",
            [(1, 8)],
            (1, 2),
            constants=[int8(2, 4, 2)],
            options={"activation": NONE},
        ),
        "weights have the wrong rank",
    ),
    (
        lambda: one_operator(
            "MAX_POOL_2D",
            [(1, 4, 4, 2)],
            (1, 3, 3, 2),
            options=window(filter_h=-1, filter_w=2),
        ),
        "impossible filter",
    ),
    (
        lambda: one_operator("PAD", [(1, 4)], (1, 6), constants=[int32([0, 0], [-1, 3])]),
        "paddings are impossible",
    ),
    (
        lambda: one_operator("PADV2", [(4,)], (6,), constants=[int32([1, 1]), int8(2)]),
        "pad value is no scalar",
    ),
    (
        lambda: one_operator("MEAN", [(1, 4, 4, 2)], (1, 3), constants=[int32(1, 2)]),
        "output size contradicts the axes (expected 2, got 3)",
    ),
    (lambda: one_operator("RESHAPE", [(1, 4)], (1, 5)), "changes type or size"),
    (
        lambda: one_operator("SOFTMAX", [()], (), options={"beta": 1.0}),
        "softmax of a scalar",
    ),
]


@pytest.mark.parametrize(("build", "message"), MALFORMED, ids=[m for _, m in MALFORMED])
def test_a_contradiction_is_malformed(build: Callable[[], ModelFactory], message: str) -> None:
    with pytest.raises(MalformedModelError, match=re.escape(message)) as caught:
        read(build())
    assert str(caught.value).startswith("net.tflite: ")
    assert caught.value.hint is not None


def test_an_operator_without_its_options_is_malformed() -> None:
    model = one_operator("CONV_2D", [(1, 5, 5, 2)], (1, 3, 3, 3), **CONV)
    model.operators[0].options = None
    with pytest.raises(MalformedModelError, match=r"operator 0 \(CONV_2D\): has no options"):
        read(model)


def test_options_of_another_operator_are_malformed() -> None:
    """Found by fuzzing: the fields of one union member are not those of the next."""
    model = one_operator("CONV_2D", [(1, 5, 5, 2)], (1, 3, 3, 3), **CONV)
    model.operators[0].op, model.operators[0].options_of = "DEPTHWISE_CONV_2D", "CONV_2D"
    model.tensors[1].shape = (1, 3, 3, 6)
    model.tensors[2].shape = (1, 3, 3, 6)
    with pytest.raises(MalformedModelError, match=r"has no options \(expected those of DEPTHWISE"):
        read(model)
