"""Which channels does no output depend on? Those of a known value that every reader can fold into
its biases, and those that meet nothing but zero weights.

A channel lives and dies with those of other tensors: depthwise convolutions, pools and additions
work channel by channel. So channels are grouped into classes, and a class goes or stays whole.

Kernels are fastest on whole words: so many channels stay that their number is a multiple of four,
or what it was.
"""

from __future__ import annotations

import heapq
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
        self._parent = np.arange(count)
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
        if not linked or not all(index in found and index in self._first for index in linked):
            for index in (*operator.inputs, *operator.outputs):
                self._pin(index)
            return
        for link in links:
            self._join(
                self._first[link.tensor] + link.channels,
                self._first[link.other] + link.other_channels,
            )

    def _join(self, ones: Array, others: Array) -> None:
        """The classes of ones[i] and others[i] are one, for all i. Each root is hooked onto the
        smallest that it is to be one with, until none is apart. Of those that are, half are gone
        after two rounds: who is not hooked in them has at least one hooked onto itself."""
        while True:
            ones, others = self._roots(ones), self._roots(others)
            apart = ones != others
            if not apart.any():
                return
            ones, others = ones[apart], others[apart]
            np.minimum.at(self._parent, np.maximum(ones, others), np.minimum(ones, others))

    def _roots(self, channels: Array) -> Array:
        found = self._parent[channels]
        while not np.array_equal(above := self._parent[found], found):
            self._parent[found] = found = self._parent[above]  # paths are halved on the way
        self._parent[channels] = found
        return found

    def kept(self) -> Kept:
        roots = self._roots(np.arange(len(self._parent)))
        needed = np.zeros(len(roots), bool)  # of each class, at its root
        needed[roots[self._needed]] = True
        stays = np.array(self._fill_words(roots, needed[roots]), bool)
        return {index: stays[self._channels(index)] for index in self._first}

    def _fill_words(self, roots: Array, needed: Array) -> list[bool]:
        """Which channels stay: those needed, and tensor by tensor, again and again, the first ones
        that are missing to whole words. A tensor is looked at where a class of it has changed."""
        tensors = list(self._first)
        sizes = [channels_of(self._graph.tensor(index)) for index in tensors]
        owners = np.repeat(np.arange(len(tensors)), sizes)  # of each channel
        members = np.argsort(roots, kind="stable")  # by class
        bounds = np.searchsorted(roots[members], np.arange(len(roots) + 1))
        counts = np.bincount(owners[needed], minlength=len(tensors)).tolist()
        stays: list[bool] = needed.tolist()
        searched = [self._first[index] for index in tensors]  # all before it stay
        waiting = list(range(len(tensors)))  # (round, tensor) as one number, ascending: a heap
        queued = [True] * len(tensors)
        while waiting:
            number, place = divmod(heapq.heappop(waiting), len(tensors))
            queued[place] = False
            count = counts[place]
            missing = min(max(_WORD, -(-count // _WORD) * _WORD), sizes[place]) - count
            chosen: list[int] = []
            while len(chosen) < missing:
                if not stays[searched[place]]:
                    chosen.append(int(roots[searched[place]]))
                searched[place] += 1
            for root in dict.fromkeys(chosen):
                for channel in members[bounds[root] : bounds[root + 1]].tolist():
                    stays[channel] = True
                    owner = int(owners[channel])
                    counts[owner] += 1
                    if not queued[owner]:
                        queued[owner] = True
                        following = number + (owner <= place)
                        heapq.heappush(waiting, following * len(tensors) + owner)
        return stays


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
