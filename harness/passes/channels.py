"""Which channels does no output depend on? Those of a known value that every reader can fold into
its biases, and those that meet nothing but zero weights.

A channel lives and dies with those of other tensors: depthwise convolutions, pools and additions
work channel by channel. So channels are grouped into classes, and a class goes or stays whole.

Kernels are fastest on whole words: so many channels stay that their number is a multiple of four,
or what it was.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.passes.intervals import Intervals, channels_of, is_padded
from harness.passes.links import links_of
from harness.tflite import Graph, Operator
from harness.tflite.graph import Array

_WORD = 4  # channels

Kept = dict[int, Array]  # by tensor: which channels stay, bools


def find_kept(graph: Graph, found: Intervals) -> Kept:
    """`found` are the graph's intervals."""
    return _Classes(graph, found).kept()


class _Classes:
    """Channels of all tensors, numbered through: a tensor's begin at `first`. Channels with the
    same `root` belong together (union-find)."""

    def __init__(self, graph: Graph, found: Intervals) -> None:
        self._graph, self._found = graph, found
        self._first: dict[int, int] = {}
        count = 0
        operands = (index for o in graph.operators for index in (*o.inputs, *o.outputs))
        for index in dict.fromkeys((*graph.inputs, *operands)):
            if index >= 0 and graph.tensor(index).data is None:
                self._first[index] = count
                count += channels_of(graph.tensor(index))
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
        source, found = operator.inputs[0], self._found
        needs = _NEEDS.get(operator.op)
        output = operator.outputs[0]
        if needs is not None and source in self._first and source in found and output in found:
            self._needed[self._channels(source)] |= needs(self._graph, operator, found)
            return
        links = links_of(self._graph, operator) or []
        linked = {index for link in links for index in (link.tensor, link.other)}
        if not linked or not linked <= {*found} & {*self._first}:
            for index in (*operator.inputs, *operator.outputs):
                self._pin(index)
            return
        for link in links:
            ones = (self._first[link.tensor] + link.channels).tolist()
            others = (self._first[link.other] + link.other_channels).tolist()
            for one, other in zip(ones, others, strict=True):
                self._parent[self._root(one)] = self._root(other)

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
