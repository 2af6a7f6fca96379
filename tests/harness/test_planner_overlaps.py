"""An output that lies over its input as far as its kernel allows overwrites nothing that is still
read: by the walk that the kernels' headers promise, byte by byte, and as the kernels do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from harness.compiler import compile_sources
from harness.kernels import kernel_of
from harness.options import Optimise
from harness.tflite import Conv2D, Graph, Operator, Pool2D, read_graph
from tests.host_model import check
from tests.random_networks import networks
from tests.tflite_factory import NONE, SAME, ModelFactory

Steps = Iterator[
    tuple[list[int], list[int]]
]  # bytes of the input read, then of the output written


def windows(graph: Graph, operator: Operator) -> Steps:
    """Row by row, pixel by pixel; a pooled pixel channel by channel."""
    options = operator.options
    assert isinstance(options, Conv2D | Pool2D)
    if isinstance(options, Pool2D):
        window, dilation = options.window, (1, 1)
    else:
        _, *sizes, _ = graph.tensor(operator.inputs[1]).shape
        window, dilation = (sizes[0], sizes[1]), options.dilation
    _, height, width, channels = graph.tensor(operator.inputs[0]).shape
    _, rows, columns, outputs = graph.tensor(operator.outputs[0]).shape
    for pixel in range(rows * columns):
        row, column = divmod(pixel, columns)
        ys = [
            row * options.stride[0] - options.pads[0] + i * dilation[0] for i in range(window[0])
        ]
        xs = [
            column * options.stride[1] - options.pads[1] + j * dilation[1]
            for j in range(window[1])
        ]
        inside = [y * width + x for y in ys for x in xs if 0 <= y < height and 0 <= x < width]
        if operator.op == "CONV_2D":
            read = [at * channels + c for at in inside for c in range(channels)]
            yield read, [pixel * outputs + c for c in range(outputs)]
        else:
            for c in range(channels):
                yield [at * channels + c for at in inside], [pixel * outputs + c]


def rows_moved(graph: Graph, operator: Operator) -> Steps:
    source = np.arange(graph.tensor(operator.inputs[0]).elements)
    source = source.reshape(graph.tensor(operator.inputs[0]).shape)
    paddings = graph.tensor(operator.inputs[1]).data
    assert paddings is not None
    padded = np.pad(source, paddings.tolist(), constant_values=-1).ravel()
    at = 0
    while at < len(padded):
        length = source.shape[-1] if padded[at] >= 0 else 1
        written = list(range(at, at + length))
        yield ([int(i) for i in padded[written]] if padded[at] >= 0 else []), written
        at += length


def elements(graph: Graph, operator: Operator) -> Steps:
    source, output = graph.tensor(operator.inputs[0]), graph.tensor(operator.outputs[0])
    each, more = source.bytes // source.elements, output.bytes // output.elements
    for i in range(output.elements):
        read = range(i * each, (i + 1) * each)
        yield list(read), list(range(i * more, (i + 1) * more))


def means(graph: Graph, operator: Operator) -> Steps:
    _, height, width, channels = graph.tensor(operator.inputs[0]).shape
    for c in range(channels):
        yield [pixel * channels + c for pixel in range(height * width)], [c]


_WALKS: dict[str, Callable[[Graph, Operator], Steps]] = {
    "ADD": elements,
    "AVERAGE_POOL_2D": windows,
    "CONV_2D": windows,
    "DEQUANTIZE": elements,
    "MAX_POOL_2D": windows,
    "MEAN": means,
    "PAD": rows_moved,
    "QUANTIZE": elements,
    "RELU": elements,
    "RELU6": elements,
}


def overwrites(steps: Steps, ahead: int) -> bool:
    """A walk reads what it wrote before, the output beginning `ahead` bytes above the input."""
    written: set[int] = set()
    for read, write in steps:
        if written.intersection(read):
            return True
        written.update(at + ahead for at in write)
    return False


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(most_operators=3))
def test_no_walk_reads_what_it_has_overwritten(model: ModelFactory) -> None:
    graph = read_graph(model.build(), where="net")
    for operator in graph.operators:
        reaches = dict(kernel_of(graph, operator, Optimise.SPEED).overlaps)
        reach = reaches.get(0, 0)
        if reach and operator.op in _WALKS:
            output = graph.tensor(operator.outputs[0])
            assert not overwrites(_WALKS[operator.op](graph, operator), reach - output.bytes)


@st.composite
def dequantised(draw: st.DrawFn) -> tuple[Graph, int]:
    model, shape = ModelFactory(), (1, draw(st.integers(1, 40)))
    source = model.input(shape, scale=0.5)
    model.outputs = [model.tensor(shape, dtype="float32")]
    model.operator("DEQUANTIZE", [source], model.outputs)
    return read_graph(model.build(), where="net"), shape[1]


@given(dequantised())
def test_floats_reach_over_their_bytes(given_one: tuple[Graph, int]) -> None:
    graph, count = given_one
    ((position, reach),) = kernel_of(graph, graph.operators[0], Optimise.SPEED).overlaps

    assert (position, reach) == (0, count + 3)
    assert not overwrites(elements(graph, graph.operators[0]), reach - 4 * count)
    assume(count > 1)
    assert overwrites(elements(graph, graph.operators[0]), reach + 1 - 4 * count)


def stack(*layers: tuple[str, int]) -> ModelFactory:
    """3x3 convolutions ("CONV_2D", filters) and poolings (name, stride) of a 16x16x4 image."""
    rng, model = np.random.default_rng(0), ModelFactory()
    last, size, channels = model.input((1, 16, 16, 4), scale=0.5), 16, 4
    for op, number in layers:
        if op == "CONV_2D":
            values = rng.integers(-128, 128, (number, 3, 3, channels), dtype=np.int8)
            channels, stride = number, 1
            inputs = [last, model.constant(values, scale=0.01)]
        else:
            inputs, stride = [last], number
        size = -(-size // stride)
        last = model.tensor((1, size, size, channels), scale=0.5)
        options = {"padding": SAME, "stride_h": stride, "stride_w": stride, "activation": NONE}
        if op != "CONV_2D":
            options |= {"filter_h": 3, "filter_w": 3}
        model.operator(op, inputs, [last], **options)
    model.outputs = [last]
    return model


def test_a_convolution_needs_a_row_and_a_pixel_more_than_its_output() -> None:
    program = compile_sources(stack(("CONV_2D", 4)).build(), name="stack")
    kernel = kernel_of(program.graph, program.graph.operators[0], Optimise.SPEED)

    needed = 16 * 16 * 4 + (16 + 1) * 4 + kernel.scratch_bytes
    assert program.plan.arena_bytes == program.plan.lower_bound_bytes == needed


@pytest.mark.parametrize(
    "layers",
    [
        [("CONV_2D", 4), ("CONV_2D", 4), ("CONV_2D", 8), ("CONV_2D", 3)],
        [("MAX_POOL_2D", 1), ("CONV_2D", 8), ("AVERAGE_POOL_2D", 2), ("CONV_2D", 6)],
        [("CONV_2D", 5), ("MAX_POOL_2D", 2), ("CONV_2D", 16), ("AVERAGE_POOL_2D", 1)],
    ],
)
def test_kernels_over_their_inputs_are_bit_exact(layers: list[tuple[str, int]]) -> None:
    check(stack(*layers).build())
