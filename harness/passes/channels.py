"""Which channels does no output depend on? Those of a known value that every reader can fold into
its biases, and those that meet nothing but zero weights. They are taken out, with the filters that
make them and the weights that read them; what stays computes the same numbers bit for bit.

A channel lives and dies with those of other tensors: depthwise convolutions, pools and additions
work channel by channel. So channels are grouped into classes, and a class goes or stays whole.

Kernels are fastest on whole words: so many channels stay that their number is a multiple of four,
or what it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from harness.passes.intervals import Intervals, channels_of, is_padded
from harness.passes.rewriting import Rewriting
from harness.tflite import DepthwiseConv2D, Graph, Operator, Quantisation, Tensor
from harness.tflite.graph import Array
from harness.tflite.operators.reduction import mean_axes

_WORD = 4  # channels

Kept = dict[int, Array]  # by tensor: which channels stay, bools


def remove_channels(graph: Graph, found: Intervals) -> Graph:
    """`graph` without the channels that no output depends on, its intervals being `found`."""
    kept = _Classes(graph, found).kept()
    if all(mask.all() for mask in kept.values()):
        return graph
    rewriting = Rewriting(graph)
    for index, mask in kept.items():
        if not mask.all():
            tensor = graph.tensor(index)
            rewriting.tensors[index] = replace(tensor, shape=(*tensor.shape[:-1], int(mask.sum())))
    return rewriting.finish(
        _REMOVALS[operator.op](rewriting, graph, operator, found, kept)
        if operator.op in _REMOVALS and _touched(operator, kept)
        else operator
        for operator in graph.operators
    )


def _touched(operator: Operator, kept: Kept) -> bool:
    ends = (operator.inputs[0], operator.outputs[0])
    return any(index in kept and not kept[index].all() for index in ends)


class _Classes:
    """Channels of all tensors, numbered through: a tensor's begin at `first`. Channels with the
    same `root` belong together (union-find)."""

    def __init__(self, graph: Graph, found: Intervals) -> None:
        self._graph, self._found = graph, found
        self._first: dict[int, int] = {}
        count = 0
        for tensor in graph.tensors:
            if tensor.dtype != "unused" and tensor.data is None:
                self._first[tensor.index] = count
                count += channels_of(tensor)
        self._parent = list(range(count))
        self._needed = np.zeros(count, bool)
        for index in (*graph.inputs, *graph.outputs):
            self._pin(index)
        for operator in graph.operators:
            self._add(operator)

    def _channels(self, index: int) -> Array:
        first = self._first[index]
        return np.arange(first, first + channels_of(self._graph.tensor(index)))

    def _pin(self, index: int) -> None:
        """All its channels stay."""
        if index in self._first:
            self._needed[self._channels(index)] = True

    def _add(self, operator: Operator) -> None:
        graph = self._graph
        source, output = operator.inputs[0], operator.outputs[0]
        if source in self._found and output in self._found and source in self._first:
            if operator.op in _NEEDS:
                self._needed[self._channels(source)] |= _NEEDS[operator.op](
                    graph, operator, self._found
                )
                return
            if operator.op in _CHANNELWISE and _CHANNELWISE[operator.op](graph, operator):
                operands = operator.inputs if operator.op in _OF_TWO else (source,)
                if all(index in self._first for index in operands):
                    for position in range(len(operands)):
                        self._tie(operator, position)
                    return
        for index in (*operator.inputs, *operator.outputs):
            self._pin(index)

    def _tie(self, operator: Operator, position: int) -> None:
        """Channels in the same place, and those in the same place modulo the smaller number."""
        a = self._channels(operator.inputs[position])
        b = self._channels(operator.outputs[0])
        if isinstance(operator.options, DepthwiseConv2D):
            a = np.repeat(a, operator.options.multiplier)
        longer = max(len(a), len(b))
        for x, y in zip(np.resize(a, longer).tolist(), np.resize(b, longer).tolist(), strict=True):
            self._parent[self._root(x)] = self._root(y)

    def _root(self, channel: int) -> int:
        parent = self._parent
        while parent[channel] != channel:
            parent[channel] = parent[parent[channel]]
            channel = parent[channel]
        return channel

    def kept(self) -> Kept:
        roots = np.array([self._root(channel) for channel in range(len(self._parent))], np.int64)
        stays = np.zeros(len(roots), bool)  # of each class, at its root
        stays[roots[self._needed]] = True
        waiting = True
        while waiting:
            waiting = False
            for index in self._first:
                classes = roots[self._channels(index)]
                mask = stays[classes]
                missing = min(max(_WORD, -(-mask.sum() // _WORD) * _WORD), len(mask)) - mask.sum()
                if missing > 0:
                    stays[classes[~mask][:missing]] = True
                    waiting = True
        return {index: stays[roots[self._channels(index)]] for index in self._first}


def _convolution_needs(graph: Graph, operator: Operator, found: Intervals) -> Array:
    """Where a window covers padding it meets the zero point, not the channel's value: only the
    zero point itself can be folded then."""
    source, weights = graph.tensor(operator.inputs[0]), graph.tensor(operator.inputs[1])
    assert weights.data is not None
    interval = found[source.index]
    foldable = interval.constant
    if is_padded(graph, operator):
        foldable = foldable & (interval.low == source.q.zero_point)
    needed: Array = weights.data.any(axis=(0, 1, 2)) & ~foldable
    return needed


def _product_needs(graph: Graph, operator: Operator, found: Intervals) -> Array:
    source, weights = graph.tensor(operator.inputs[0]), graph.tensor(operator.inputs[1])
    assert weights.data is not None
    channels, depth = channels_of(source), weights.shape[1]
    if depth % channels:
        return np.ones(channels, bool)
    used = weights.data.any(axis=0).reshape(-1, channels).any(axis=0)
    needed: Array = used & ~found[source.index].constant
    return needed


# Which input channels must an operator read? For operators whose outputs mix channels.
_NEEDS: dict[str, Callable[[Graph, Operator, Intervals], Array]] = {
    "CONV_2D": _convolution_needs,
    "FULLY_CONNECTED": _product_needs,
}

_OF_TWO = ("ADD", "MUL", "SUB")


def _always(graph: Graph, operator: Operator) -> bool:
    return True


def _of_one_shape(graph: Graph, operator: Operator) -> bool:
    return len({graph.tensor(i).shape for i in (*operator.inputs, *operator.outputs)}) == 1


def _pads_no_channels(graph: Graph, operator: Operator) -> bool:
    paddings = graph.tensor(operator.inputs[1]).data
    assert paddings is not None
    return len(paddings) > 0 and not paddings[-1].any()


def _keeps_channels(graph: Graph, operator: Operator) -> bool:
    source, output = graph.tensor(operator.inputs[0]), graph.tensor(operator.outputs[0])
    axes = graph.tensor(operator.inputs[1]).data
    assert axes is not None
    reduced = mean_axes(source, axes)
    return (
        reduced is not None
        and reduced[1] < len(source.shape)
        and channels_of(source) == channels_of(output)
    )


def _splits_or_joins(graph: Graph, operator: Operator) -> bool:
    sizes = [channels_of(graph.tensor(i)) for i in (operator.inputs[0], operator.outputs[0])]
    return max(sizes) % min(sizes) == 0


# Does an operator work on each channel by itself?
_CHANNELWISE: dict[str, Callable[[Graph, Operator], bool]] = {
    "ABS": _always,
    "ADD": _of_one_shape,
    "AVERAGE_POOL_2D": _always,
    "DEPTHWISE_CONV_2D": _always,
    "HARD_SWISH": _always,
    "LEAKY_RELU": _always,
    "LOGISTIC": _always,
    "MAX_POOL_2D": _always,
    "MEAN": _keeps_channels,
    "MUL": _of_one_shape,
    "PAD": _pads_no_channels,
    "PADV2": _pads_no_channels,
    "QUANTIZE": _always,
    "RELU": _always,
    "RELU6": _always,
    "RESHAPE": _splits_or_joins,
    "SUB": _of_one_shape,
    "TANH": _always,
}


def _biases(graph: Graph, operator: Operator, channels: int) -> Array:
    bias = graph.optional(operator, 2)
    if bias is None or bias.data is None:
        return np.zeros(channels, np.int64)
    wide: Array = bias.data.astype(np.int64).ravel()
    return wide


def _offsets(source: Tensor, found: Intervals) -> Array:
    """What each channel's constant adds to a sum, for a weight of one."""
    interval, zero_point = found[source.index], source.q.zero_point
    offsets: Array = np.where(interval.constant, interval.low - zero_point, 0)
    return offsets


def _sliced(quantisation: Quantisation, mask: Array) -> Quantisation:
    if len(quantisation.scales) == 1:
        return quantisation
    return replace(
        quantisation,
        scales=tuple(np.array(quantisation.scales)[mask].tolist()),
        zero_points=tuple(np.array(quantisation.zero_points)[mask].tolist()),
    )


def _remove_from_conv_2d(
    rewriting: Rewriting, graph: Graph, operator: Operator, found: Intervals, kept: Kept
) -> Operator:
    source, weights = graph.tensor(operator.inputs[0]), graph.tensor(operator.inputs[1])
    assert weights.data is not None
    read, made = kept[source.index], kept[operator.outputs[0]]
    sums = weights.data.sum(axis=(1, 2), dtype=np.int64)
    bias = _biases(graph, operator, len(made)) + sums[:, ~read] @ _offsets(source, found)[~read]
    data = np.ascontiguousarray(weights.data[made][..., read])
    return rewriting.filters(operator, data, bias[made], _sliced(weights.q, made))


def _remove_from_depthwise_conv_2d(
    rewriting: Rewriting, graph: Graph, operator: Operator, found: Intervals, kept: Kept
) -> Operator:
    weights, made = graph.tensor(operator.inputs[1]), kept[operator.outputs[0]]
    assert weights.data is not None
    bias = _biases(graph, operator, len(made))
    data = np.ascontiguousarray(weights.data[..., made])
    return rewriting.filters(operator, data, bias[made], _sliced(weights.q, made))


def _remove_from_fully_connected(
    rewriting: Rewriting, graph: Graph, operator: Operator, found: Intervals, kept: Kept
) -> Operator:
    source, weights = graph.tensor(operator.inputs[0]), graph.tensor(operator.inputs[1])
    assert weights.data is not None
    made = kept[operator.outputs[0]]
    read = np.resize(kept[source.index], weights.shape[1])
    offsets = np.resize(_offsets(source, found), weights.shape[1])
    bias = _biases(graph, operator, len(made)) + (
        weights.data[:, ~read].astype(np.int64) @ offsets[~read]
    )
    data = np.ascontiguousarray(weights.data[made][:, read])
    return rewriting.filters(operator, data, bias[made], _sliced(weights.q, made))


_REMOVALS = {
    "CONV_2D": _remove_from_conv_2d,
    "DEPTHWISE_CONV_2D": _remove_from_depthwise_conv_2d,
    "FULLY_CONNECTED": _remove_from_fully_connected,
}
