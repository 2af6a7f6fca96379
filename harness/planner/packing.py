"""At which address does each region lie? Greedy placements, random exchanges in the best one, and
an exact search for what is left between them and the lower bound."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from harness.planner.exact import pack_exactly
from harness.planner.regions import WORD, Lifetimes, Region, words

_CLIMBS = 400  # placements tried behind the greedy ones, fewer for large graphs:
_VISITS = 200_000  # pairs of regions compared while trying
_ASIDE = 0.5  # how often another group than the highest one is moved

Group = tuple[int, ...]  # regions that begin at one address


@dataclass(frozen=True)
class Placement:
    """starts: an address for each region. arena_bytes: the end of the highest one. optimal: no
    placement of these lifetimes needs fewer words."""

    starts: tuple[int, ...]
    arena_bytes: int
    optimal: bool


def place(lifetimes: Lifetimes) -> Placement:
    """The same placement for the same lifetimes, always."""
    regions = lifetimes.regions
    if not regions:
        return Placement((), 0, optimal=True)
    bound, met = lifetimes.lower_bound(), lifetimes.meetings()
    climbs = []
    for groups in (_together(lifetimes, met), [(i,) for i in range(len(regions))]):
        found = []
        for order in _greedy_orders(regions, groups):
            starts = _first_fit(lifetimes, met, order)
            found.append((end_of(regions, starts), starts, order))
            if found[-1][0] == bound:
                return Placement(tuple(starts), bound, optimal=True)
        climbs.append(min(found, key=lambda one: one[0]))
    end, starts = min((_climb(lifetimes, met, bound, *one) for one in climbs), key=_first)
    exactly = pack_exactly(lifetimes, met, words(end), words(bound))
    if exactly.starts is not None:
        starts = list(exactly.starts)
        end = end_of(regions, starts)
    return Placement(tuple(starts), end, exactly.complete)


def _climb(
    lifetimes: Lifetimes,
    met: Sequence[set[int]],
    bound: int,
    end: int,
    starts: list[int],
    order: list[Group],
) -> tuple[int, list[int]]:
    """(end, addresses) of a placement that is no worse: again and again, a group at the end of the
    arena, or one that it meets, is placed earlier."""
    regions = lifetimes.regions
    rng = random.Random(0)
    visits = sum(len(others) for others in met) + len(met)
    for _ in range(min(_CLIMBS, _VISITS // visits)):
        if end == bound or len(order) < 2:
            break
        highest = [i for i, at in enumerate(starts) if at + regions[i].size == end]
        chosen = rng.choice(highest)
        if rng.random() < _ASIDE:
            chosen = rng.choice(sorted(met[chosen] | {chosen}))
        at = next(position for position, group in enumerate(order) if chosen in group)
        tried = list(order)
        tried.insert(rng.randrange(at + 1), tried.pop(at))
        tried_starts = _first_fit(lifetimes, met, tried)
        tried_end = end_of(regions, tried_starts)
        if tried_end <= end:
            starts, end, order = tried_starts, tried_end, tried
    return end, starts


def _first(found: tuple[int, list[int]]) -> int:
    return found[0]


def _together(lifetimes: Lifetimes, met: Sequence[set[int]]) -> list[Group]:
    """Regions in groups that begin at one address wherever they may: what is done in place."""
    groups: dict[int, list[int]] = {i: [i] for i in range(len(lifetimes.regions))}
    equal = {pair for pair, sharing in lifetimes.shared.items() if sharing.equal}
    for source, output in sorted(equal, key=lambda pair: (pair[1], pair[0])):
        first, second = groups[source], groups[output]
        if first is second:
            continue
        # Only regions that meet can be in the way; from the smaller group's side they are fewer.
        small, large = (first, second) if len(first) < len(second) else (second, first)
        if all(
            (i, j) in equal or (j, i) in equal for i in small for j in met[i] if groups[j] is large
        ):
            first += second
            groups.update(dict.fromkeys(second, first))
    return [tuple(groups[i]) for i in groups if groups[i][0] == i]


def _greedy_orders(regions: Sequence[Region], groups: Sequence[Group]) -> list[list[Group]]:
    """Large ones first; those that are large and live long; in order of time; and those of the
    fullest step first."""
    changes: dict[int, int] = {}  # words that begin to be held at each step, less those that end
    for region in regions:
        changes[region.first] = changes.get(region.first, 0) + region.words
        changes[region.last + 1] = changes.get(region.last + 1, 0) - region.words
    times = sorted(changes)
    held = dict(zip(times, accumulate(changes[time] for time in times), strict=True))
    fullest = max(sorted({region.first for region in regions}), key=held.__getitem__)

    def size(group: Group) -> int:
        return max(regions[i].size for i in group)

    def first(group: Group) -> int:
        return min(regions[i].first for i in group)

    def last(group: Group) -> int:
        return max(regions[i].last for i in group)

    keys: list[Callable[[Group], tuple[int, ...]]] = [
        lambda group: (-size(group), first(group)),
        lambda group: (-size(group) * (last(group) - first(group) + 1), first(group)),
        lambda group: (first(group), -size(group)),
        lambda group: (not first(group) <= fullest <= last(group), -last(group), -size(group)),
    ]
    return [sorted(groups, key=key) for key in keys]


def _first_fit(lifetimes: Lifetimes, met: Sequence[set[int]], order: Sequence[Group]) -> list[int]:
    """The lowest free address for each group in turn."""
    starts = [0] * len(lifetimes.regions)
    placed: set[int] = set()
    for group in order:
        # Beginning strictly between `low` and `high` would overlap a region already placed. In
        # order of `low`, an interval passed once cannot matter again.
        forbidden = []
        for chosen in group:
            for other in met[chosen] & placed:
                forbidden += _forbidden(lifetimes, chosen, other, starts[other])
        start = 0
        for low, high in sorted(forbidden):
            if low < start < high:
                start = words(high) * WORD
        for chosen in group:
            starts[chosen] = start
        placed.update(group)
    return starts


def _forbidden(lifetimes: Lifetimes, chosen: int, other: int, at: int) -> list[tuple[int, int]]:
    """Open intervals in which `chosen` must not begin, `other` beginning at `at`."""
    low, high = at - lifetimes.regions[chosen].size, at + lifetimes.regions[other].size
    sharing = lifetimes.shared.get((chosen, other))  # the input below or over its output
    if sharing is not None:
        high -= sharing.reach
    else:
        sharing = lifetimes.shared.get((other, chosen))
        if sharing is not None:
            low += sharing.reach
    if sharing is not None and sharing.equal:
        return [(low, at), (at, high)]
    return [(low, high)]


def end_of(regions: Sequence[Region], starts: Sequence[int]) -> int:
    return max(start + region.size for start, region in zip(starts, regions, strict=True))
