"""Is there a placement that needs fewer words? Branch and bound over regions in ascending order of
their addresses, as in MiniMalloc (Moffitt, ASPLOS 2023)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.planner.regions import WORD, Lifetimes, words

_NODES = 1000  # partial placements looked at
_MOST_REGIONS = 64


@dataclass(frozen=True)
class Exhausted:
    """starts: addresses in bytes, None where nothing better was found. complete: there is nothing
    better than what is known now."""

    starts: tuple[int, ...] | None
    complete: bool


def pack_exactly(
    lifetimes: Lifetimes, met: Sequence[set[int]], most: int, bound: int
) -> Exhausted:
    """Look for placements of fewer than `most` words, down to `bound`. met: for each region, the
    others that exist at the same time.

    Of the best placements, one has the least sum of addresses. In it every region lies directly on
    another that it meets, or at 0, so placing regions in ascending order of their addresses leaves
    each one place: on the highest of those below it. Overlaps keep that true as long as the output
    begins no higher than the input. Not so where it must begin exactly there (a depthwise
    convolution in place): then both may have to be lifted together, which is not tried, and
    nothing is proved.
    """
    if most <= bound:
        return Exhausted(None, complete=True)
    if len(lifetimes.regions) > _MOST_REGIONS:
        return Exhausted(None, complete=False)
    search = _Search(lifetimes, met, most, bound)
    search.run()
    rigid = any(
        how.equal and how.reach < lifetimes.regions[output].size
        for (_, output), how in lifetimes.shared.items()
    )
    best = None if search.best is None else tuple(WORD * start for start in search.best)
    exhausted = search.nodes <= _NODES and not rigid
    return Exhausted(best, complete=exhausted or search.most <= bound)


class _Search:
    """Everything in words. most: what has to be undercut."""

    def __init__(
        self, lifetimes: Lifetimes, met: Sequence[set[int]], most: int, bound: int
    ) -> None:
        regions = lifetimes.regions
        self._size = [region.words for region in regions]
        self._bytes = [region.size for region in regions]
        # Step -1 counts as 0.
        self._times = [range(region.first + 1, region.last + 2) for region in regions]
        self._meeting = [sorted(others) for others in met]
        self._shared = lifetimes.shared
        self._starts: list[int | None] = [None] * len(regions)
        self._top = [0] * (lifetimes.steps + 2)
        self._waiting = [0] * (lifetimes.steps + 2)  # at least so much comes on top
        for i, times in enumerate(self._times):
            for time in times:
                self._waiting[time] += self._size[i]
        self._pairs: list[list[tuple[int, int, int, int]]] = [[] for _ in regions]
        for (source, output), how in lifetimes.shared.items():
            common = how.words(regions[source], regions[output])
            time = self._times[output][0]
            self._waiting[time] -= common
            for i in (source, output):
                self._pairs[i].append((time, source, output, common))
        self.most, self._bound = most, bound
        self.best: list[int] | None = None
        self.nodes = 0

    def run(self, floor: int = 0) -> None:
        """Place the rest at `floor` or above."""
        self.nodes += 1
        if self.nodes > _NODES or self.most <= self._bound:
            return
        waiting = [i for i, start in enumerate(self._starts) if start is None]
        if not waiting:
            self.best = [start for start in self._starts if start is not None]
            self.most = max(start + s for start, s in zip(self.best, self._size, strict=True))
            return
        places = [(at, i) for i in waiting for at in self._places(i)]
        # Above the end of one that could still come, it would leave a hole that fits that one.
        lid = min(at + self._size[i] for at, i in places)
        for at, i in sorted(places, key=lambda place: (place[0], -self._size[place[1]])):
            if floor <= at < lid and at + self._size[i] < self.most:
                undo = self._put(i, at)
                if all(
                    self._top[time] + self._waiting[time] < self.most for time in self._times[i]
                ):
                    self.run(at)
                self._take_back(i, undo)

    def _places(self, i: int) -> Iterator[int]:
        """Where `i` can lie, given what lies below it: on top, or with one that begins there."""
        least = 0
        choices = []  # either exactly at the first, or at the second or above
        for j in self._meeting[i]:
            start = self._starts[j]
            if start is None:
                continue
            above = start + self._size[j]
            if (how := self._shared.get((i, j))) is not None:
                above = start + words(self._bytes[j] - how.reach)
            else:
                how = self._shared.get((j, i))
            if how is not None and how.equal:
                choices.append((start, above))
            else:
                least = max(least, above)
        for at, _ in choices:
            if at >= least and all(at == start or at >= above for start, above in choices):
                yield at
        yield max([least, *(above for _, above in choices)])

    def _put(self, i: int, at: int) -> list[int]:
        """Returns what _take_back needs."""
        before = [self._top[time] for time in self._times[i]]
        self._starts[i] = at
        for time in self._times[i]:
            self._top[time] = max(self._top[time], at + self._size[i])
            self._waiting[time] -= self._size[i]
        self._settle(i, 1)
        return before

    def _take_back(self, i: int, before: list[int]) -> None:
        self._settle(i, -1)
        for time, top in zip(self._times[i], before, strict=True):
            self._top[time] = top
            self._waiting[time] += self._size[i]
        self._starts[i] = None

    def _settle(self, i: int, sign: int) -> None:
        """What a pair has in common is counted while one of it waits."""
        for time, source, output, common in self._pairs[i]:
            if self._starts[source] is not None and self._starts[output] is not None:
                self._waiting[time] += sign * common
