"""What does an int8 network answer to thousands of images? What TensorFlow Lite's reference
kernels do, bit for bit and several times sooner: whole layers in C (integer_kernels.c). Knows the
operators that spaces lower to and no others; whoever asks has an interpreter for the rest.

Rounding: sums of convolutions are rounded twice, as in TFLite Micro and on the board; those of
FULLY_CONNECTED once, as TensorFlow Lite does on a host.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.codegen.arithmetic import activation_range, filter_multipliers
from harness.codegen.fixedpoint import INT8_VALUES
from harness.codegen.functions import sum_of
from harness.errors import UnsupportedModelError
from harness.tflite import (
    Activation,
    Arithmetic,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Graph,
    Operator,
    Pool2D,
    read_graph,
)

Batch = NDArray[np.int8]  # (n, ...): a tensor's shape behind the first axis
Step = Callable[..., Batch]

_LANES = 16  # as in integer_kernels.c


@dataclass(frozen=True)
class IntegerNetwork:
    """Steps in order of execution: what each reads, what it computes, and how."""

    source: int
    sink: int
    input_shape: tuple[int, ...]  # (h, w, c)
    steps: tuple[tuple[tuple[int, ...], int, Step], ...]

    def outputs(self, images: Batch) -> Batch:
        """(n, h, w, c) -> (n, classes).

        Raises:
            ValueError: images of another shape than the network's input.
        """
        if images.shape[1:] != self.input_shape or images.dtype != np.int8:
            raise ValueError(f"expected int8 {self.input_shape}, got {images[0].shape}")
        values = {self.source: np.ascontiguousarray(images)}
        for operands, result, step in self.steps:
            values[result] = step(*(values[index] for index in operands))
        return values[self.sink]


def compile_network(model: bytes) -> IntegerNetwork | None:
    """None where the model has an operator that is not known here, or the C is not built.

    Raises:
        ModelError: as read_graph.
    """
    graph = read_graph(model, where="int8 network")
    if _library() is None or len(graph.inputs) != 1 or len(graph.outputs) != 1:
        return None
    computed = (i for each in graph.operators for i in (*each.inputs, *each.outputs) if i >= 0)
    if any(t.data is None and t.dtype != "int8" for t in map(graph.tensor, computed)):
        return None
    steps = []
    for operator in graph.operators:
        try:
            step = _STEPS[operator.op](graph, operator)
        except (KeyError, UnsupportedModelError):
            return None
        operands = tuple(i for i in operator.inputs if i >= 0 and graph.tensor(i).data is None)
        steps.append((operands, operator.outputs[0], step))
    shape = graph.tensor(graph.inputs[0]).shape[1:]
    return IntegerNetwork(graph.inputs[0], graph.outputs[0], shape, tuple(steps))


class _Layer(ctypes.Structure):
    """layer_t of integer_kernels.c. padded_width: of the input with what surrounds it."""

    _fields_ = [
        (name, ctypes.c_int32)
        for name in (
            *("input_height", "input_width", "input_channels"),
            *("output_height", "output_width", "output_channels"),
            *("kernel_height", "kernel_width"),
            *("stride_height", "stride_width"),
            *("dilation_height", "dilation_width"),
            *("pad_top", "pad_left", "padded_width"),
            *("input_zero_point", "zero_point", "min", "max"),
        )
    ]


@functools.cache
def _library() -> ctypes.CDLL | None:
    here = Path(__file__).parent
    built = [here / f"_integer_kernels{suffix}" for suffix in EXTENSION_SUFFIXES]
    found = next((path for path in built if path.exists()), None)
    return None if found is None else ctypes.CDLL(str(found))


def _call(function: str, *arguments: Any) -> None:
    """Arrays go as the addresses of their first elements."""
    getattr(_library(), function)(
        *(
            ctypes.c_void_p(each.ctypes.data) if isinstance(each, np.ndarray) else each
            for each in arguments
        )
    )


def _conv_2d(graph: Graph, operator: Operator) -> Step:
    weights = graph.tensor(operator.inputs[1]).data
    assert isinstance(operator.options, Conv2D) and weights is not None
    return _windowed(graph, operator, operator.options, "conv_2d", weights)


def _depthwise_conv_2d(graph: Graph, operator: Operator) -> Step:
    weights = graph.tensor(operator.inputs[1]).data
    assert isinstance(operator.options, DepthwiseConv2D) and weights is not None
    if operator.options.multiplier == 1:
        weights = weights.transpose(3, 1, 2, 0)
        return _windowed(graph, operator, operator.options, "depthwise_conv_2d", weights)
    if graph.tensor(operator.inputs[0]).shape[3] != 1:
        raise UnsupportedModelError("several channels, each of which becomes several")
    weights = weights.transpose(3, 1, 2, 0)
    return _windowed(graph, operator, operator.options, "conv_2d", weights)


def _windowed(
    graph: Graph,
    operator: Operator,
    options: Conv2D | DepthwiseConv2D,
    function: str,
    weights: NDArray[np.int8],
) -> Step:
    """weights: [output channel][kernel row][column][input channel, if several are added up]."""
    source, output = graph.tensor(operator.inputs[0]), graph.tensor(operator.outputs[0])
    (stride_y, stride_x), (dilation_y, dilation_x) = options.stride, options.dilation
    top, left = options.pads
    (_, height, width, channels), (_, rows, columns, _) = source.shape, output.shape
    # What the windows reach, and all of the input even where no window does.
    padded_height = max(
        (rows - 1) * stride_y + (weights.shape[1] - 1) * dilation_y + 1, top + height
    )
    padded_width = max(
        (columns - 1) * stride_x + (weights.shape[2] - 1) * dilation_x + 1, left + width
    )
    low, high = activation_range(options.activation, output.q, where=operator.op)
    layer = _Layer(
        *source.shape[1:],
        *output.shape[1:],
        *weights.shape[1:3],
        *options.stride,
        *options.dilation,
        *(top, left, padded_width),
        *(source.q.zero_point, output.q.zero_point, low, high),
    )
    blocks, rescaling = _by_lanes(weights), _rescaling(graph, operator, roundings=2)
    size = padded_height * padded_width * channels + _LANES

    def step(values: Batch) -> Batch:
        result = np.empty((len(values), *output.shape[1:]), np.int8)
        padded = np.zeros(size, np.int32)
        pointer = ctypes.byref(layer)
        _call(function, pointer, len(values), values, blocks, rescaling, padded, result)
        return result

    return step


def _fully_connected(graph: Graph, operator: Operator) -> Step:
    """A convolution of a line of pixels, which are the images."""
    source, weights, output = (
        graph.tensor(i) for i in (*operator.inputs[:2], operator.outputs[0])
    )
    assert isinstance(operator.options, FullyConnected) and weights.data is not None
    units, depth = weights.shape
    if output.elements != units:
        raise UnsupportedModelError("several rows of one image")
    low, high = activation_range(operator.options.activation, output.q, where=operator.op)
    zero_points = source.q.zero_point, output.q.zero_point
    blocks, rescaling = _by_lanes(weights.data), _rescaling(graph, operator, roundings=1)

    def step(values: Batch) -> Batch:
        count = len(values)
        layer = _Layer(
            *(1, count, depth, 1, count, units),
            *(1, 1, 1, 1, 1, 1, 0, 0, count),
            *(*zero_points, low, high),
        )
        result = np.empty((count, *output.shape[1:]), np.int8)
        padded = np.zeros(count * depth + _LANES, np.int32)
        _call("conv_2d", ctypes.byref(layer), 1, values, blocks, rescaling, padded, result)
        return result

    return step


def _by_lanes(weights: NDArray[np.int8]) -> NDArray[np.int32]:
    """[channel][...] -> [block of channels][...][lane], zeros behind the last channel."""
    rows = weights.reshape(len(weights), -1).astype(np.int32)
    rows = np.pad(rows, ((0, -len(rows) % _LANES), (0, 0)))
    return np.ascontiguousarray(rows.reshape(-1, _LANES, rows.shape[1]).transpose(0, 2, 1))


def _rescaling(graph: Graph, operator: Operator, *, roundings: int) -> NDArray[np.int32]:
    """rescaling_t of each block of channels: [block][5][lane]."""
    source, weights, output = (
        graph.tensor(i) for i in (*operator.inputs[:2], operator.outputs[0])
    )
    pairs = filter_multipliers(source.q, weights.q, output.q, where=operator.op)
    channels = output.shape[-1]
    multipliers, shifts = np.array(pairs * (channels if len(pairs) == 1 else 1), np.int64).T
    left, right = np.maximum(shifts, 0), np.maximum(-shifts, 0)
    if roundings == 1 and left.any():
        raise UnsupportedModelError("a shift to the left before one rounding")
    bias = graph.optional(operator, 2)
    columns = [
        np.zeros(channels, np.int64) if bias is None or bias.data is None else bias.data.ravel(),
        multipliers,
        left,
        31 + right if roundings == 1 else np.full(channels, 31),
        np.zeros(channels, np.int64) if roundings == 1 else right,
    ]
    # Lanes without a channel compute zeros, with a shift that is defined.
    fill = [0, 0, 0, 31, 0]
    more = -channels % _LANES
    padded = [
        np.pad(column, (0, more), constant_values=value)
        for column, value in zip(columns, fill, strict=True)
    ]
    blocks = np.stack(padded).reshape(5, -1, _LANES).transpose(1, 0, 2)
    return np.ascontiguousarray(blocks.astype(np.int32))


def _add(graph: Graph, operator: Operator) -> Step:
    """By a table of all pairs."""
    assert isinstance(operator.options, Arithmetic)
    first, second, output = (graph.tensor(i) for i in (*operator.inputs, operator.outputs[0]))
    if first.shape != second.shape or first.data is not None or second.data is not None:
        raise UnsupportedModelError("an operand that is repeated, or constant")
    limits = activation_range(operator.options.activation, output.q, where=operator.op)
    # By the byte, so that what is negative lies behind what is not.
    values = np.roll(INT8_VALUES, 128)
    sums = sum_of(graph, operator)(values[:, None], values[None, :])
    table = np.clip(sums, *limits).astype(np.int8)

    def step(one: Batch, other: Batch) -> Batch:
        result = np.empty_like(one)
        _call("combine", ctypes.c_int64(one.size), one, other, table, result)
        return result

    return step


def _pool(graph: Graph, operator: Operator) -> Step:
    """Windows that lie side by side, inside of the input."""
    options, average = operator.options, operator.op == "AVERAGE_POOL_2D"
    output = graph.tensor(operator.outputs[0])
    assert isinstance(options, Pool2D)
    if options.pads != (0, 0) or options.stride != options.window:
        raise UnsupportedModelError("windows that overlap, or stick out")
    if options.activation is not Activation.NONE:
        raise UnsupportedModelError("an activation behind a pool")
    (_, rows, columns, channels), (height, width) = output.shape, options.window
    if (
        rows * height > graph.tensor(operator.inputs[0]).shape[1]
        or columns * width > graph.tensor(operator.inputs[0]).shape[2]
    ):
        raise UnsupportedModelError("windows that stick out")
    count = height * width

    def step(values: Batch) -> Batch:
        inside = values[:, : rows * height, : columns * width]
        windows = inside.reshape(-1, rows, height, columns, width, channels)
        if not average:
            largest: Batch = np.ascontiguousarray(windows.max(axis=(2, 4)))
            return largest
        sums = windows.sum(axis=(2, 4), dtype=np.int32)
        # Halves away from zero: C divides towards zero.
        magnitudes = (abs(sums) + count // 2) // count
        return np.ascontiguousarray((np.sign(sums) * magnitudes).astype(np.int8))

    return step


def _pad(graph: Graph, operator: Operator) -> Step:
    margins, output = graph.tensor(operator.inputs[1]).data, graph.tensor(operator.outputs[0])
    if margins is None or margins[0].any():
        raise UnsupportedModelError("margins that are computed, or images added")
    widths = [(int(before), int(behind)) for before, behind in margins]

    def step(values: Batch) -> Batch:
        return np.pad(values, widths, constant_values=output.q.zero_point)

    return step


def _reshape(graph: Graph, operator: Operator) -> Step:
    shape = graph.tensor(operator.outputs[0]).shape
    if shape[0] != 1 or math.prod(shape) != graph.tensor(operator.inputs[0]).elements:
        raise UnsupportedModelError("images that are not the first axis")
    return lambda values: values.reshape(len(values), *shape[1:])


_STEPS: dict[str, Callable[[Graph, Operator], Step]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _pool,
    "PAD": _pad,
    "RESHAPE": _reshape,
}
