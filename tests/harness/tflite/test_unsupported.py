"""A model that is well-formed and not for this engine is refused, with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.errors import UnsupportedModelError
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
from tests.tflite_factory import NONE, RELU, TANH, ModelFactory


def unknown(op: str, custom_code: str | None = None) -> ModelFactory:
    model = relu()
    model.operators[0].op, model.custom_code = op, custom_code
    return model


def many_operators(count: int) -> ModelFactory:
    model = ModelFactory()
    source = model.input((1, 4), scale=0.5)
    for _ in range(count):
        model.outputs = [model.tensor((1, 4), scale=0.5)]
        model.operator("RELU", [source], model.outputs)
    return model


def many_results(count: int) -> ModelFactory:
    """Five operators with so many outputs."""
    model = ModelFactory()
    source = model.input((1, count // 5), scale=0.5)
    for _ in range(5):
        outputs = [model.tensor((1, 1), scale=0.5) for _ in range(count // 5)]
        model.operator("SPLIT", [source], outputs, count=len(outputs))
        model.outputs = outputs[:1]
    return model


def float_model() -> ModelFactory:
    model = ModelFactory()
    source = model.input((1, 4), dtype="float32")
    model.outputs = [model.tensor((1, 4), dtype="float32")]
    model.operator("RELU", [source], model.outputs)
    return model


def conv(weights: Any = None, output: tuple[int, ...] = (1, 3, 3, 3), **changes: Any) -> Any:
    constants = [int8(3, 3, 3, 2) if weights is None else weights]
    return one_operator(
        "CONV_2D", [(1, 5, 5, 2)], output, constants=constants, options=window(**changes)
    )


def runtime_weights() -> ModelFactory:
    model = ModelFactory()
    source, weights = (model.input(shape, scale=0.5) for shape in ((1, 4), (2, 4)))
    model.outputs = [model.tensor((1, 2), scale=0.5)]
    model.operator("FULLY_CONNECTED", [source, weights], model.outputs, activation=NONE)
    return model


def fully_connected(**details: Any) -> ModelFactory:
    model = ModelFactory()
    source = model.input((1, 4), scale=0.5)
    bias_scale = details.pop("bias_scale", 0.25)
    weights_format = details.pop("weights_format", 0)
    weights = model.constant(int8(2, 4), **{"scale": 0.5, **details})
    bias = model.constant(int32(1, 2), scale=bias_scale)
    model.outputs = [model.tensor((1, 2), scale=0.5)]
    model.operator(
        "FULLY_CONNECTED",
        [source, weights, bias],
        model.outputs,
        activation=RELU,
        weights_format=weights_format,
    )
    return model


def rescaled(op: str, shape: tuple[int, ...] = (1, 4), **options: Any) -> ModelFactory:
    model = ModelFactory()
    source = model.input(shape, scale=0.5)
    model.outputs = [model.tensor(shape, scale=0.25)]
    model.operator(op, [source], model.outputs, **options)
    return model


def add(first: tuple[int, ...], second: tuple[int, ...], scale: float) -> ModelFactory:
    model = ModelFactory()
    inputs = [model.input(first, scale=1.0), model.input(second, scale=1.0)]
    model.outputs = [model.tensor(first, scale=scale)]
    model.operator("ADD", inputs, model.outputs, activation=NONE)
    return model


def softmax(**changes: Any) -> ModelFactory:
    details = {"scale": 0.5, "depth": 4, "beta": 1.0, "output": 1 / 256, **changes}
    model = ModelFactory()
    source = model.input((1, details["depth"]), scale=details["scale"])
    model.outputs = [model.tensor((1, details["depth"]), scale=details["output"], zero_point=-128)]
    model.operator("SOFTMAX", [source], model.outputs, beta=details["beta"])
    return model


def pad_value(scale: float) -> ModelFactory:
    model = ModelFactory()
    source = model.input((4,), scale=0.5)
    value = model.constant(np.array([3], np.int8), scale=scale)
    model.outputs = [model.tensor((6,), scale=0.5)]
    model.operator("PADV2", [source, model.constant(int32([1, 1])), value], model.outputs)
    return model


def many_uses_of_a_constant() -> ModelFactory:
    """A small file whose every operator would become a table of its own."""
    model = ModelFactory()
    source = model.input((16,), scale=0.5)
    shared = model.constant(np.zeros(1 << 18, np.int8), scale=0.5)
    for _ in range(64):
        model.operator("RESHAPE", [shared], [model.tensor((1 << 18,), scale=0.5)])
    small = model.constant(np.zeros(16, np.int8), scale=0.5)
    model.outputs = [model.tensor((16,), scale=0.5)]
    model.operator("ADD", [source, small], model.outputs, activation=NONE)
    return model


def typed(op: str, source: str, output: str) -> ModelFactory:
    model = ModelFactory()
    details = {"int8": {"scale": 0.5}}
    model.inputs = [model.tensor((1, 4), dtype=source, **details.get(source, {}))]
    model.outputs = [model.tensor((1, 4), dtype=output, **details.get(output, {}))]
    model.operator(op, model.inputs, model.outputs)
    return model


UNSUPPORTED: list[tuple[Callable[[], ModelFactory], str]] = [
    (
        float_model,
        "operator 0 (RELU): tensor 0 is float32 (expected int8 or int16, got float32); hilnas",
    ),
    (
        lambda: typed("RELU", "uint8", "uint8"),
        "tensor 0 is uint8 (expected int8 or int16, got uint8)",
    ),
    (lambda: typed("RESHAPE", "float32", "float32"), "reshapes float32"),
    (
        lambda: typed("DEQUANTIZE", "int8", "int32"),
        "converts int8 to int32 (expected float32, got int32); use another type",
    ),
    (lambda: relu(scale=None), "tensor 1 has no scale"),
    (lambda: relu(scale=[0.5] * 4, axis=1), "activation tensor 1 is quantised per channel"),
    (lambda: relu(details_type=1), "tensor 1 has custom quantisation"),
    (lambda: relu(sparsity=True), "tensor 1 is sparse; convert without sparsity"),
    (
        lambda: relu(shape=(-1, 4)),
        "tensor 1 has a dynamic shape (expected positive sizes, got (-1, 4)); convert",
    ),
    (lambda: relu(shape_signature=(1, -1)), "tensor 1 has a dynamic axis 1; convert with a fixed"),
    (lambda: relu(shape=(1,) * 7), "tensor 1 has too many axes"),
    (lambda: many_operators(1001), "has too many operators (expected <= 1000, got 1001)"),
    (
        lambda: many_results(1030),
        "has operators with too many outputs together (expected <= 1024, got 1030); split",
    ),
    (
        lambda: relu(shape=(1 << 20, 1 << 20)),
        "tensor 1 is too large (expected <= 8388608 elements, got (1048576, 1048576)); use",
    ),
    (
        lambda: operands([1] * 257, [0]),
        "operator 0 (RELU) inputs: too many tensors (expected <= 2",
    ),
    (lambda: graph_ends([1] * 257, [0]), "inputs: too many tensors (expected <= 256, got 257)"),
    (
        lambda: conv(dilation_h=1 << 14),
        "has a window that reaches too far (expected <= 32768, got 32769); use a smaller window",
    ),
    (many_uses_of_a_constant, "has too many constants (expected <= 16777216 bytes, got 16777232)"),
    (lambda: ModelFactory(version=2), "has another schema version (expected 3, got 2)"),
    (
        lambda: ModelFactory(subgraphs=2),
        "has several subgraphs (expected 1, got 2); remove control flow",
    ),
    (lambda: unknown("FLOOR"), "operator 0 is FLOOR, which is not supported"),
    (lambda: unknown("CUSTOM", "My*/Op"), "operator 0 is 'My*/Op', which is not supported"),
    (
        lambda: conv(activation=TANH),
        "fused activation 4 is not supported (expected 0 (NONE), 1 (RELU)",
    ),
    (lambda: conv(int8(4, 3, 3, 1), (1, 3, 3, 4)), "is a grouped convolution"),
    (lambda: conv(int32(*range(54)).reshape(3, 3, 3, 2)), "weights have the wrong type"),
    (
        lambda: conv(np.ones((3, 3, 3, 2), np.float32)),
        "weights are float32 (expected int8, got float32); hilnas needs",
    ),
    (
        lambda: one_operator("CONV_2D", [(2, 5, 5, 2)], (2, 3, 3, 3), **CONV),
        "works on a batch (expected 1, got 2); export the model with batch size 1",
    ),
    (
        runtime_weights,
        "weights are computed at run time (expected data in the file, got tensor 1 without); make",
    ),
    (lambda: fully_connected(scale=None), "weights have no scale"),
    (lambda: fully_connected(zero_point=3), "weights are not symmetric"),
    (lambda: fully_connected(bias_scale=9.0), "bias scale is not input scale times weight scale"),
    (lambda: fully_connected(weights_format=1), "has shuffled weights"),
    (
        lambda: rescaled("MAX_POOL_2D", (1, 1, 1, 1), filter_h=1, filter_w=1, **window()),
        "pools between different quantisations",
    ),
    (
        lambda: rescaled("RELU6"),
        "RELU6 changes the quantisation (expected scale 0.5, zero point 0, got scale 0.25, zero p",
    ),
    (
        lambda: add((1, 4), (1, 4), 1e-7),
        "output scale is too small for its inputs (expected > 1.90735e-06, got 1e-07)",
    ),
    (lambda: softmax(output=0.5), "output quantisation is not that of SOFTMAX"),
    (lambda: softmax(scale=1e-9), "beta times scale is out of range"),
    (lambda: softmax(depth=4096), "has too many classes (expected <= 4095, got 4096)"),
    (lambda: pad_value(0.25), "pad value has its own quantisation"),
    (
        lambda: one_operator("PAD", [(1,) * 6], (1,) * 6, constants=[np.zeros((6, 2), np.int32)]),
        "pads too many axes (expected <= 5, got 6); reshape to fewer before",
    ),
]


@pytest.mark.parametrize(("build", "message"), UNSUPPORTED, ids=[m for _, m in UNSUPPORTED])
def test_what_the_engine_cannot_run_is_unsupported(
    build: Callable[[], ModelFactory], message: str
) -> None:
    with pytest.raises(UnsupportedModelError, match=re.escape(message)) as caught:
        read(build())
    assert str(caught.value).startswith("net.tflite: ")
    assert caught.value.hint is not None
