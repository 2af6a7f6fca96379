"""Which values can each channel of each tensor take, whatever the input? Interval arithmetic with
the kernels' own integers, from the whole of int8 at the graph's inputs onwards.

Every rescaling is monotonous, so that the ends of a channel's interval are the images of the ends
of its accumulator's, provided that nothing there leaves int32; where it could, and for operators
that are not known here, a channel may take any value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.codegen.arithmetic import (
    INT8_MAX,
    INT8_MIN,
    activation_range,
    filter_multipliers,
    mean_parameters,
    quantise_multiplier,
)
from harness.codegen.fixedpoint import INT8_VALUES, rescale_values
from harness.codegen.functions import function_of, product_of, sum_of
from harness.tflite import (
    Axis,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Graph,
    Operator,
    Pool2D,
    Reduction,
    Tensor,
)
from harness.tflite.graph import Arithmetic, Array

_INT32_MIN, _INT32_MAX = -(1 << 31), (1 << 31) - 1
_BLOCK = 1 << 18  # weights looked at together, which bounds the memory that this takes


@dataclass(frozen=True)
class Interval:
    """low[c] <= value <= high[c] for every element of channel c, an int64 array each; channels are
    the tensor's last axis, a scalar has one."""

    low: Array
    high: Array

    @property
    def constant(self) -> Array:
        """Of which channels is the value known? Bools."""
        equal: Array = self.low == self.high
        return equal

    def joined(self, value: int) -> Interval:
        return Interval(np.minimum(self.low, value), np.maximum(self.high, value))

    def clamped(self, low: int, high: int) -> Interval:
        return Interval(np.clip(self.low, low, high), np.clip(self.high, low, high))


Intervals = dict[int, Interval]  # by tensor; int8 tensors only


def find_intervals(graph: Graph) -> Intervals:
    """The intervals of every int8 tensor that an operator or the outside reads or writes.

    Raises:
        UnsupportedModelError: a scale that the code generator would refuse, too.
    """
    found: Intervals = {}
    for index in graph.inputs:
        _note(found, graph.tensor(index), None)
    for operator in graph.operators:
        for index in operator.inputs:
            if index >= 0 and graph.tensor(index).data is not None:
                _note(found, graph.tensor(index), None)
        ends = {graph.tensor(index).dtype for index in (*operator.inputs[:1], *operator.outputs)}
        transfer = _TRANSFERS.get(operator.op) if ends == {"int8"} else None
        for index in operator.outputs:
            interval = None if transfer is None else transfer(graph, operator, found)
            _note(found, graph.tensor(index), interval)
    return found


def _note(found: Intervals, tensor: Tensor, interval: Interval | None) -> None:
    if tensor.dtype != "int8":
        return
    if interval is None and tensor.data is not None:
        values = tensor.data.reshape(-1, channels_of(tensor))
        low, high = values.min(axis=0), values.max(axis=0)
        interval = Interval(low.astype(np.int64), high.astype(np.int64))
    found[tensor.index] = _anything(tensor) if interval is None else interval


def channels_of(tensor: Tensor) -> int:
    return tensor.shape[-1] if tensor.shape else 1


def _anything(tensor: Tensor) -> Interval:
    count = channels_of(tensor)
    return Interval(np.full(count, INT8_MIN, np.int64), np.full(count, INT8_MAX, np.int64))


Transfer = Callable[[Graph, Operator, Intervals], Interval | None]  # None: anything


def is_padded(graph: Graph, operator: Operator) -> bool:
    """Some window of this convolution covers padding, whose value is the input's zero point."""
    options = operator.options
    assert isinstance(options, Conv2D | DepthwiseConv2D)
    sizes = graph.tensor(operator.inputs[0]).shape[1:3]
    outputs = graph.tensor(operator.outputs[0]).shape[1:3]
    window = graph.tensor(operator.inputs[1]).shape[1:3]
    return any(
        before > 0 or (output - 1) * stride + (span - 1) * dilation + 1 > size
        for before, output, stride, span, dilation, size in zip(
            options.pads, outputs, options.stride, window, options.dilation, sizes, strict=True
        )
    )


def accumulators(graph: Graph, operator: Operator, found: Intervals) -> tuple[Array, Array]:
    """The least and the greatest sum, bias included, of each output channel of a convolution or
    matrix product."""
    inputs, weights = graph.tensor(operator.inputs[0]), graph.tensor(operator.inputs[1])
    bias, source = graph.optional(operator, 2), found[inputs.index]
    assert weights.data is not None
    if operator.op == "FULLY_CONNECTED":
        rows = weights.data
        source = regroup(source, weights.shape[1])
    else:
        if is_padded(graph, operator):
            source = source.joined(inputs.q.zero_point)
        if operator.op == "DEPTHWISE_CONV_2D":
            rows = weights.data.reshape(-1, weights.shape[3]).T
            times = weights.shape[3] // inputs.shape[3]
            source = Interval(
                np.repeat(source.low, times)[:, None], np.repeat(source.high, times)[:, None]
            )
        else:
            rows = weights.data.reshape(weights.shape[0], -1)
            source = regroup(source, rows.shape[1])
    least, most = _sum_ends(rows, source, inputs.q.zero_point)
    if bias is not None and bias.data is not None:
        wide = bias.data.astype(np.int64).ravel()
        least, most = least + wide, most + wide
    return least, most


def _filtered(graph: Graph, operator: Operator, found: Intervals) -> Interval:
    options = operator.options
    assert isinstance(options, Conv2D | DepthwiseConv2D | FullyConnected)
    inputs, weights = graph.tensor(operator.inputs[0]), graph.tensor(operator.inputs[1])
    output = graph.tensor(operator.outputs[0])
    where = f"operator {operator.index} ({operator.op})"
    pairs = filter_multipliers(inputs.q, weights.q, output.q, where=where)
    limits = activation_range(options.activation, output.q, where=where)
    return _rescaled(*accumulators(graph, operator, found), pairs, output.q.zero_point, limits)


def _sum_ends(rows: Array, source: Interval, zero_point: int) -> tuple[Array, Array]:
    """The least and the greatest sum of products of each of `rows` [channels][depth] with what
    `source` [depth] or [channels][1] allows. In doubles, which hold every such integer: 2^23
    products below 2^16."""
    low, high = (ends.astype(np.float64) - zero_point for ends in (source.low, source.high))
    least, most = np.empty(len(rows)), np.empty(len(rows))
    step = max(1, _BLOCK // rows.shape[1])
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        weights = rows[block].astype(np.float64)
        positive = np.maximum(weights, 0)
        if low.ndim == 2:
            first, last = low[block, 0], high[block, 0]
            sums, more = weights.sum(axis=1), positive.sum(axis=1) * (last - first)
            least[block], most[block] = sums * last - more, sums * first + more
        else:
            more = positive @ (high - low)
            least[block], most[block] = weights @ high - more, weights @ low + more
    return least.astype(np.int64), most.astype(np.int64)


def _rescaled(
    least: Array,
    most: Array,
    pairs: list[tuple[int, int]],
    zero_point: int,
    limits: tuple[int, int],
) -> Interval:
    """The images of sums in least..most under one (multiplier, shift), or one a channel."""
    multipliers, shifts = np.array(pairs, np.int64).T
    left = np.maximum(shifts, 0)
    safe = (least >= _INT32_MIN >> left) & (most <= _INT32_MAX >> left)
    low, high = (
        rescale_values(np.where(safe, ends, 0), multipliers, shifts) + zero_point
        for ends in (least, most)
    )
    safe &= (low >= _INT32_MIN) & (high <= _INT32_MAX)
    return Interval(np.where(safe, low, limits[0]), np.where(safe, high, limits[1])).clamped(
        *limits
    )


def regroup(interval: Interval, channels: int) -> Interval:
    """The same elements in the same order, with another length of the last axis."""
    before = len(interval.low)
    if channels % before == 0:
        times = channels // before
        return Interval(np.tile(interval.low, times), np.tile(interval.high, times))
    if before % channels == 0:
        return Interval(
            interval.low.reshape(-1, channels).min(axis=0),
            interval.high.reshape(-1, channels).max(axis=0),
        )
    low, high = int(interval.low.min()), int(interval.high.max())
    return Interval(np.full(channels, low), np.full(channels, high))


def _concatenation(graph: Graph, operator: Operator, found: Intervals) -> Interval | None:
    options, rank = operator.options, len(graph.tensor(operator.outputs[0]).shape)
    assert isinstance(options, Axis)
    if not all(index in found for index in operator.inputs):
        return None
    lows = [found[index].low for index in operator.inputs]
    highs = [found[index].high for index in operator.inputs]
    if options.axis == rank - 1:
        return Interval(np.concatenate(lows), np.concatenate(highs))
    return Interval(np.min(lows, axis=0), np.max(highs, axis=0))


def _reshape(graph: Graph, operator: Operator, found: Intervals) -> Interval:
    output = graph.tensor(operator.outputs[0])
    return regroup(found[operator.inputs[0]], channels_of(output))


def _pool_2d(graph: Graph, operator: Operator, found: Intervals) -> Interval:
    """A maximum or a rounded average of integers lies between the least and the greatest; padding
    takes no part."""
    options, output = operator.options, graph.tensor(operator.outputs[0])
    assert isinstance(options, Pool2D)
    where = f"operator {operator.index} ({operator.op})"
    limits = activation_range(options.activation, output.q, where=where)
    return found[operator.inputs[0]].clamped(*limits)


def _pad(graph: Graph, operator: Operator, found: Intervals) -> Interval:
    paddings = graph.tensor(operator.inputs[1]).data
    assert paddings is not None
    value = pad_value(graph, operator)
    interval = found[operator.inputs[0]]
    if not len(paddings):
        return interval
    if paddings[:-1].any():
        interval = interval.joined(value)
    before, after = (int(count) for count in paddings[-1])
    return Interval(
        np.pad(interval.low, (before, after), constant_values=value),
        np.pad(interval.high, (before, after), constant_values=value),
    )


def _mirror_pad(graph: Graph, operator: Operator, found: Intervals) -> Interval | None:
    paddings = graph.tensor(operator.inputs[1]).data
    assert paddings is not None
    return found[operator.inputs[0]] if len(paddings) and not paddings[-1].any() else None


def _resize(graph: Graph, operator: Operator, found: Intervals) -> Interval:
    """Copies, or weighted means that round to the nearest."""
    return found[operator.inputs[0]]


def pad_value(graph: Graph, operator: Operator) -> int:
    """What PAD and PADV2 pad with."""
    if operator.op == "PADV2":
        value = graph.tensor(operator.inputs[2]).data
        assert value is not None
        return int(value.ravel()[0])
    return graph.tensor(operator.outputs[0]).q.zero_point


def _reduction(graph: Graph, operator: Operator, found: Intervals) -> Interval | None:
    source, output = graph.tensor(operator.inputs[0]), graph.tensor(operator.outputs[0])
    options, interval = operator.options, found[source.index]
    assert isinstance(options, Reduction)
    if len(source.shape) - 1 in options.axes or channels_of(source) != channels_of(output):
        return None
    if operator.op in ("REDUCE_MAX", "REDUCE_MIN"):
        return interval
    count = source.elements // output.elements
    where = f"operator {operator.index} ({operator.op})"
    if operator.op == "MEAN":
        pair = mean_parameters(source.q.scale, output.q.scale, count, where=where)
    else:
        pair = quantise_multiplier(source.q.scale / output.q.scale, where=where)
    return _rescaled(
        (interval.low - source.q.zero_point) * count,
        (interval.high - source.q.zero_point) * count,
        [pair],
        output.q.zero_point,
        (INT8_MIN, INT8_MAX),
    )


def _function(graph: Graph, operator: Operator, found: Intervals) -> Interval | None:
    function = function_of(graph, operator)
    interval = found.get(operator.inputs[0])
    if function is None or interval is None:
        return None
    results = function(INT8_VALUES).astype(np.int64)
    ends = np.stack([interval.low, interval.high], axis=1)
    distinct, place = np.unique(ends, axis=0, return_inverse=True)
    images = [results[low - INT8_MIN : high - INT8_MIN + 1] for low, high in distinct.tolist()]
    low = np.array([image.min() for image in images])
    high = np.array([image.max() for image in images])
    return Interval(low[place], high[place])


def _function_of_two(graph: Graph, operator: Operator, found: Intervals) -> Interval | None:
    """Constants of constants; of the others only that the result is clamped."""
    options, output = operator.options, graph.tensor(operator.outputs[0])
    assert isinstance(options, Arithmetic)
    first, second = (found.get(index) for index in operator.inputs)
    shapes = {graph.tensor(index).shape for index in (*operator.inputs, output.index)}
    if first is None or second is None or len(shapes) > 1:
        return None
    where = f"operator {operator.index} ({operator.op})"
    limits = activation_range(options.activation, output.q, where=where)
    product = operator.op == "MUL"
    function = product_of(graph, operator)[1] if product else sum_of(graph, operator)
    known = first.constant & second.constant
    results = np.clip(function(first.low, second.low), *limits)
    return Interval(np.where(known, results, limits[0]), np.where(known, results, limits[1]))


_TRANSFERS: dict[str, Transfer] = {
    "ABS": _function,
    "ADD": _function_of_two,
    "AVERAGE_POOL_2D": _pool_2d,
    "CONCATENATION": _concatenation,
    "CONV_2D": _filtered,
    "DEPTHWISE_CONV_2D": _filtered,
    "EXPAND_DIMS": _reshape,
    "FULLY_CONNECTED": _filtered,
    "HARD_SWISH": _function,
    "LEAKY_RELU": _function,
    "LOGISTIC": _function,
    "MAX_POOL_2D": _pool_2d,
    "MEAN": _reduction,
    "MIRROR_PAD": _mirror_pad,
    "MUL": _function_of_two,
    "PAD": _pad,
    "PADV2": _pad,
    "QUANTIZE": _function,
    "REDUCE_MAX": _reduction,
    "REDUCE_MIN": _reduction,
    "RELU": _function,
    "RELU6": _function,
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SQUEEZE": _reshape,
    "SUB": _function_of_two,
    "SUM": _reduction,
    "TANH": _function,
}
