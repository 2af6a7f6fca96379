"""In which order do operators need the least memory at once? The order whose largest step is
least, over sets of executed operators (arXiv 1910.05110), up to a cap; a beam search behind it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.kernels import Kernel
from harness.planner.regions import Storage, sharings, words
from harness.tflite import Graph

_TRIALS = 20_000  # steps tried by each of both searches
_WIDEST_BEAM = 32


@dataclass(frozen=True)
class Order:
    """positions: in graph.operators, as executed. exact: no order needs fewer words at its
    largest step."""

    positions: tuple[int, ...]
    exact: bool


def least_peak_order(graph: Graph, kernels: Sequence[Kernel]) -> Order:
    """The graph's own order where none is better; `kernels` are in that order."""
    search = _Search(graph, kernels)
    own = tuple(range(len(graph.operators)))
    own_peak = search.peak(own)
    if own_peak == search.floor:
        return Order(own, exact=True)
    beam = search.beam()
    beam_peak = search.peak(beam)
    return search.exact(*((beam, beam_peak) if beam_peak < own_peak else (own, own_peak)))


@dataclass(frozen=True)
class _Step:
    """What executing one operator means; sets of operators are bits, memory counts in words.

    after: operators whose results it reads. reads: (words, operators that read them, words that
    the output may have in common with them). grows: what it allocates, `idle` of it for results
    that nothing reads; scratch: what it needs besides. most: all that can be in common.
    """

    after: int
    reads: tuple[tuple[int, int, int], ...]
    grows: int
    idle: int
    scratch: int
    most: int


class _Search:
    """floor: words that every order needs."""

    def __init__(self, graph: Graph, kernels: Sequence[Kernel]) -> None:
        storage = Storage(graph)
        count = len(graph.operators)
        sizes = [words(size) for size in storage.sizes]
        writer = {
            index: position
            for position, operator in enumerate(graph.operators)
            for index in operator.outputs
        }
        readers = [0] * len(sizes)
        for position, operator in enumerate(graph.operators):
            for piece in storage.read(operator):
                readers[piece] |= 1 << position
        for piece in storage.outputs:
            readers[piece] |= 1 << count  # is never executed
        self._steps = []
        for position, operator in enumerate(graph.operators):
            written = storage.written(operator)
            common = {
                piece: min(
                    sizes[piece],
                    sizes[written[0]] if how.equal else words(how.reach),
                )
                for piece, how in sharings(storage, operator, kernels[position]).items()
            }
            self._steps.append(
                _Step(
                    after=sum({1 << writer[i] for i in operator.inputs if i in writer}),
                    reads=tuple(
                        (sizes[piece], readers[piece], common.get(piece, 0))
                        for piece in storage.read(operator)
                    ),
                    grows=sum(sizes[piece] for piece in written),
                    idle=sum(sizes[piece] for piece in written if not readers[piece]),
                    scratch=words(kernels[position].scratch_bytes),
                    most=sizes[written[0]] if written else 0,
                )
            )
        self._followers: list[list[int]] = [[] for _ in range(count)]
        self._first = 0
        for position, step in enumerate(self._steps):
            if not step.after:
                self._first |= 1 << position
        for position, operator in enumerate(graph.operators):
            for earlier in {writer[index] for index in operator.inputs if index in writer}:
                self._followers[earlier].append(position)
        inputs = [storage.of[index] for index in graph.inputs]
        self._end = (1 << count) - 1
        self._held = sum(sizes[piece] for piece in inputs if readers[piece])
        self.floor = max(
            sum(sizes[piece] for piece in inputs),
            *(
                sum(size for size, _, _ in step.reads)
                + step.grows
                + step.scratch
                - min(step.most, sum(c for _, r, c in step.reads if not r >> count))
                for step in self._steps
            ),
        )

    def _execute(self, done: int, held: int, position: int) -> tuple[int, int]:
        """(words at that step, words held behind it)"""
        step = self._steps[position]
        left = ~(done | 1 << position)
        freed, common = step.idle, 0
        for size, readers, shared in step.reads:
            if not readers & left:
                freed += size
                common += shared
        grown = held + step.grows
        return grown + step.scratch - min(step.most, common), grown - freed

    def _moves(
        self, done: int, ready: int, held: int, peak: int
    ) -> Iterator[tuple[int, int, int]]:
        """(position, words at that step, words held behind it) of the operators worth executing
        next. One that needs no more than the peak so far and leaves no more than there was is the
        only one: whatever is executed instead, executing it first costs nothing, because what it
        frees is free at all later steps, and what it allocates is needed in any case."""
        found = []
        while ready:
            position = (ready & -ready).bit_length() - 1
            ready &= ready - 1
            needed, left = self._execute(done, held, position)
            if needed <= peak and left <= held:
                yield position, needed, left
                return
            found.append((position, needed, left))
        yield from found

    def _ready_after(self, done: int, ready: int, position: int) -> int:
        """The operators that may follow, `position` being the last of `done`."""
        ready &= ~(1 << position)
        for follower in self._followers[position]:
            if not self._steps[follower].after & ~done:
                ready |= 1 << follower
        return ready

    def peak(self, order: Sequence[int]) -> int:
        done, held, peak = 0, self._held, self.floor
        for position in order:
            needed, held = self._execute(done, held, position)
            peak = max(peak, needed)
            done |= 1 << position
        return peak

    def exact(self, best: tuple[int, ...], peak: int) -> Order:
        """The best order, or `best`, whose largest step is `peak`, where none is better or the cap
        is reached. States come out of the heap by their largest step so far, so the first complete
        one is best; of equal ones the longest comes first."""
        heap = [(self.floor, 0, 0, self._first, self._held)]
        reached: dict[int, tuple[int, int, int]] = {0: (self.floor, 0, -1)}  # peak, from, by
        trials = 0
        while heap:
            so_far, length, done, ready, held = heapq.heappop(heap)
            if so_far > reached[done][0]:
                continue  # found again, with a smaller step
            if done == self._end:
                return Order(self._trace(reached), exact=True)
            for position, needed, left in self._moves(done, ready, held, so_far):
                trials += 1
                following, most = done | 1 << position, max(so_far, needed)
                if most >= peak or most >= reached.get(following, (peak, 0, 0))[0]:
                    continue
                reached[following] = (most, done, position)
                after = self._ready_after(following, ready, position)
                heapq.heappush(heap, (most, length - 1, following, after, left))
            if trials > _TRIALS:
                return Order(best, exact=False)
        return Order(best, exact=True)

    def _trace(self, reached: dict[int, tuple[int, int, int]]) -> tuple[int, ...]:
        order, done = [], self._end
        while done:
            _, done, position = reached[done]
            order.append(position)
        return tuple(reversed(order))

    def beam(self) -> tuple[int, ...]:
        """A good order: of the sets of each size, those with the smallest step so far, then those
        that hold least, go on. Behind its cap one goes on, by the graph's own order."""
        none: tuple[int, ...] = ()
        states = [(self.floor, self._held, 0, self._first, none)]
        width, trials = _WIDEST_BEAM, 0
        for _ in self._steps:
            found: dict[int, tuple[int, int, int, int, tuple[int, ...]]] = {}
            for peak, held, done, ready, order in states[:width]:
                if trials > _TRIALS:
                    ready &= -ready
                for position, needed, left in self._moves(done, ready, held, peak):
                    trials += 1
                    following, most = done | 1 << position, max(peak, needed)
                    if following not in found or most < found[following][0]:
                        after = self._ready_after(following, ready, position)
                        found[following] = (most, left, following, after, (*order, position))
            if trials > _TRIALS:
                width = 1
            states = sorted(found.values())
        return states[0][4]
