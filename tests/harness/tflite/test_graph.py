"""A graph holds what a good .tflite says."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UnsupportedModelError, UsageError
from harness.tflite import Activation, FullyConnected, read_graph, read_model
from tests.harness.tflite.models import int8, one_operator, read, window
from tests.tflite_factory import SAME, ModelFactory, fully_connected_model, small_network


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


def test_a_graph_knows_the_size_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(fully_connected_model())

    assert read_graph(read_model(path), where=str(path)).size == path.stat().st_size


def test_a_missing_file_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"net.tflite: cannot read the model: No such file.*check"
    ):
        read_model(tmp_path / "net.tflite")


def test_a_file_beyond_any_flash_is_unsupported(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    with path.open("wb") as file:
        file.truncate((1 << 25) + 1)
    with pytest.raises(
        UnsupportedModelError, match="net.tflite: is too large a file.*smaller net"
    ):
        read_graph(read_model(path), where=str(path))
