"""What a .tflite says is believed only after it was checked."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import MalformedModelError, UnsupportedModelError, UsageError
from harness.tflite import Activation, FullyConnected, load_graph, read_graph
from tests.tflite_factory import (
    NONE,
    RELU,
    SAME,
    TANH,
    VALID,
    ModelFactory,
    fully_connected_model,
    small_network,
)


def read(model: ModelFactory | bytes) -> Any:
    data = model if isinstance(model, bytes) else model.build()
    return read_graph(data, where="net.tflite")


def one_operator(
    op: str,
    inputs: list[tuple[int, ...]],
    output: tuple[int, ...],
    *,
    constants: list[Any] | None = None,
    quantisation: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
) -> ModelFactory:
    """`op` on int8 inputs of the given shapes, then on constants."""
    model = ModelFactory()
    details = {"scale": 0.5, "zero_point": 1} if quantisation is None else quantisation
    operands = [model.input(shape, **details) for shape in inputs]
    for values in constants or []:
        scaled = np.asarray(values).dtype == np.int8
        operands.append(model.constant(values, **({"scale": 0.5} if scaled else {})))
    model.outputs = [model.tensor(output, **details)]
    model.operator(op, operands, model.outputs, **(options or {}))
    return model


def window(**changes: Any) -> dict[str, Any]:
    return {"padding": VALID, "stride_h": 1, "stride_w": 1, "activation": NONE, **changes}


def int8(*shape: int) -> Any:
    return np.ones(shape, np.int8)


def int32(*values: Any) -> Any:
    return np.array(values, np.int32)


# A good model


def test_a_graph_holds_what_the_file_says() -> None:
    data = fully_connected_model(depth=12, channels=5)

    graph = read(data)

    assert (graph.inputs, graph.outputs) == ((0,), (3,))
    (operator,) = graph.operators
    assert (operator.op, operator.inputs) == ("FULLY_CONNECTED", (0, 1, 2))
    assert operator.options == FullyConnected(Activation.RELU)
    weights = graph.tensor(1)
    assert (weights.shape, weights.dtype, weights.bytes) == ((5, 12), "int8", 60)
    assert weights.q.scale == 0.25
    assert graph.tensor(0).q.zero_point == 3
    assert graph.tensor(0).data is None
    assert (graph.size, len(graph.sha256)) == (len(data), 64)
    assert graph.weights_bytes == 60 + 20


def test_constants_cannot_be_written() -> None:
    weights = read(fully_connected_model()).tensor(1)

    with pytest.raises(ValueError, match="read-only"):
        weights.data[0, 0] = 1


def test_macs_count_every_tap_of_every_output() -> None:
    graph = read(small_network(size=9, channels=6))
    by_op = {operator.op: graph.macs(operator) for operator in graph.operators}

    assert by_op["CONV_2D"] == 9 * 9 * 6 * 3 * 3 * 3
    assert by_op["DEPTHWISE_CONV_2D"] == 9 * 9 * 6 * 3 * 3
    assert by_op["FULLY_CONNECTED"] == 10 * 4 * 4 * 6
    assert by_op["ADD"] == by_op["SOFTMAX"] == 0
    assert graph.total_macs == sum(by_op.values())


def test_convolution_options_are_read() -> None:
    model = one_operator(
        "CONV_2D",
        [(1, 9, 9, 2)],
        (1, 5, 3, 4),
        constants=[int8(4, 1, 2, 2)],
        options=window(padding=SAME, stride_h=2, stride_w=3, dilation_h=2, dilation_w=4),
    )

    options = read(model).operators[0].options

    assert options.pads == (0, 1)
    assert (options.stride, options.dilation) == ((2, 3), (2, 4))


def test_a_batch_dimension_of_one_may_be_dynamic() -> None:
    model = ModelFactory()
    source = model.input((1, 4), scale=0.5, shape_signature=(-1, 4))
    model.outputs = [model.tensor((1, 4), scale=0.5)]
    model.operator("RELU", [source], model.outputs)

    assert read(model).tensor(source).shape == (1, 4)


def test_a_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(fully_connected_model())

    assert load_graph(path).size == path.stat().st_size


def test_a_missing_file_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"net.tflite: cannot be read: No such file.*check the"):
        load_graph(tmp_path / "net.tflite")


def test_a_file_beyond_any_flash_is_unsupported(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    with path.open("wb") as file:
        file.truncate((1 << 25) + 1)
    with pytest.raises(
        UnsupportedModelError, match="net.tflite: is too large a file.*smaller net"
    ):
        load_graph(path)


# Malformed


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is truncated at 0x0 (expected at least 8 bytes, got 0)"),
        (b"\x10\0\0\0TFL", "is truncated at 0x0 (expected at least 8 bytes, got 7)"),
        (b"\x89PNG\r\n\x1a\n", "is not a TensorFlow Lite model at 0x4 (expected TFL3"),
        (b"\xff\xff\xff\xffTFL3", "root lies outside the file"),
        (b"\x08\0\0\0TFL3", "root lies outside the file"),
        (b"\x08\0\0\0TFL3\xff\xff\xff\x7f", "root: vtable lies outside the file"),
        (b"\x08\0\0\0TFL3\0\0\0\0", "root has an impossible vtable"),
    ],
)
def test_what_is_no_flatbuffer_is_malformed(data: bytes, message: str) -> None:
    with pytest.raises(MalformedModelError, match=re.escape(message)):
        read(data)


def test_a_truncated_file_is_malformed() -> None:
    data = fully_connected_model()
    with pytest.raises(MalformedModelError, match="lies outside the file.*export it again"):
        read(data[: len(data) // 2])


def test_a_count_beyond_the_file_is_malformed() -> None:
    data = fully_connected_model(depth=12, channels=5)
    at = data.index(read(data).tensor(1).data.tobytes()) - 4  # the weights' byte count
    hostile = data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]
    with pytest.raises(MalformedModelError, match="data lies outside the file"):
        read(hostile)


def test_tables_that_share_data_without_end_are_malformed() -> None:
    model = ModelFactory(subgraphs=40)
    last = model.input((1, 4), scale=0.5)
    for _ in range(40):
        following = model.tensor((1, 4), scale=0.5)
        model.operator("RELU", [last], [following])
        last = following
    model.outputs = [last]
    with pytest.raises(MalformedModelError, match="repeats shared data without end"):
        read(model)


def test_tables_without_bound_are_malformed() -> None:
    count = 1 << 16
    shared = 36 + 4 * count  # a vtable and a table without fields
    data = struct.pack("<I4s7H2x", 24, b"TFL3", 14, 8, 0, 0, 0, 0, 4)
    data += struct.pack("<iII", 24 - 8, 4, count)
    data += b"".join(struct.pack("<I", shared + 4 - (36 + 4 * i)) for i in range(count))
    data += struct.pack("<HHi", 4, 4, 4)
    with pytest.raises(MalformedModelError, match="has too many tables at 0x.*<= 65536, got more"):
        read(data + bytes(1 << 20))


def relu(**changes: Any) -> ModelFactory:
    model = ModelFactory()
    details = {"scale": 0.5, **changes}
    model.outputs = [model.tensor((1, 4), scale=0.5)]
    model.inputs = [model.tensor(details.pop("shape", (1, 4)), **details)]
    model.operator("RELU", model.inputs, model.outputs)
    return model


def without_operators() -> ModelFactory:
    model = ModelFactory()
    model.outputs = [model.input((1,), scale=0.5)]
    return model


def operands(inputs: list[int], outputs: list[int]) -> ModelFactory:
    model = relu()
    model.operators[0].inputs, model.operators[0].outputs = inputs, outputs
    return model


def graph_ends(inputs: list[int], outputs: list[int]) -> ModelFactory:
    model = relu()
    model.inputs, model.outputs = inputs, outputs
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


CONV = {"constants": [int8(3, 3, 3, 2)], "options": window()}

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


def test_an_operator_code_that_is_not_there_is_malformed() -> None:
    model = ModelFactory()
    source = model.input((1, 4), scale=0.5)
    model.outputs = [model.tensor((1, 4), scale=0.5)]
    model.operator("RELU", [source], model.outputs)
    model.operator("RELU6", [source], [model.tensor((1, 4), scale=0.5)])
    data = bytearray(model.build())
    # Drop one from the vector of two.
    root = int.from_bytes(data[:4], "little")
    vtable = root - int.from_bytes(data[root : root + 4], "little", signed=True)
    slot = int.from_bytes(data[vtable + 6 : vtable + 8], "little")
    vector = root + slot + int.from_bytes(data[root + slot : root + slot + 4], "little")
    data[vector : vector + 4] = (1).to_bytes(4, "little")
    with pytest.raises(MalformedModelError, match="operator 1: no such operator code"):
        read(bytes(data))


# Unsupported


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
        "operator 0 (RELU): tensor 0 is float32 (expected int8, got float32); hilnas needs full",
    ),
    (lambda: typed("RELU", "int16", "int16"), "tensor 0 is int16 (expected int8, got int16)"),
    (lambda: typed("RELU", "uint8", "uint8"), "tensor 0 is uint8 (expected int8, got uint8)"),
    (lambda: typed("RESHAPE", "float32", "float32"), "reshapes float32"),
    (lambda: typed("DEQUANTIZE", "int8", "int32"), "dequantises to int32; use float32 outputs"),
    (lambda: relu(scale=None), "tensor 1 has no scale"),
    (lambda: relu(scale=[0.5] * 4, axis=1), "activation tensor 1 is quantised per channel"),
    (lambda: relu(details_type=1), "tensor 1 has custom quantisation"),
    (lambda: relu(is_variable=True), "tensor 1 is variable; remove state"),
    (lambda: relu(sparsity=True), "tensor 1 is sparse; convert without sparsity"),
    (
        lambda: relu(shape=(-1, 4)),
        "tensor 1 has a dynamic shape (expected positive sizes, got (-1, 4)); convert",
    ),
    (lambda: relu(shape_signature=(1, -1)), "tensor 1 has a dynamic axis 1; convert with a fixed"),
    (lambda: relu(shape=(1,) * 7), "tensor 1 has too many axes"),
    (lambda: many_operators(1001), "has too many operators (expected <= 1000, got 1001)"),
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
    (lambda: unknown("CONCATENATION"), "operator 0 is CONCATENATION, which is not supported"),
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
    (lambda: add((1, 4), (4,), 1.0), "adds different shapes (expected (1, 4), got (4,))"),
    (
        lambda: add((1, 4), (1, 4), 1e-7),
        "output scale is too small for its inputs (expected > 1.90735e-06, got 1e-07)",
    ),
    (lambda: softmax(output=0.5), "output quantisation is not softmax's"),
    (lambda: softmax(scale=1e-9), "beta times scale is out of range"),
    (lambda: softmax(depth=512), "has too many classes (expected <= 511, got 512)"),
    (lambda: pad_value(0.25), "pad value has its own quantisation"),
    (
        lambda: one_operator("PAD", [(1,) * 5], (1,) * 5, constants=[np.zeros((5, 2), np.int32)]),
        "pads more than four axes",
    ),
    (
        lambda: one_operator("MEAN", [(1, 4, 4, 2)], (1, 4), constants=[int32(1, 3)]),
        "reduces axes that do not lie side by side",
    ),
    (
        lambda: one_operator("MEAN", [(1, 4, 4, 2)], (1, 4), constants=[int32(4)]),
        "reduces axes that do not lie side by side",
    ),
    (
        lambda: one_operator("MEAN", [(1, 4, 4, 2)], (1, 4, 2), constants=[int32(*[1] * 20, 3)]),
        "reduces axes that do not lie side by side",
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
