"""Regions that exist at the same time lie apart, or over each other as far as they may."""

from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.planner import exact, packing
from harness.planner.packing import Placement, place
from harness.planner.regions import Lifetimes, Region, Sharing


@st.composite
def alive(draw: st.DrawFn, *, most: int = 14, largest: int = 300) -> Lifetimes:
    regions, shared = [], {}
    for _ in range(draw(st.integers(1, most))):
        first = draw(st.integers(-1, 20))
        size = draw(st.integers(1, largest))
        regions.append(Region(size, first, first + draw(st.integers(0, 6))))
    for i, source in enumerate(regions):
        for j, output in enumerate(regions):
            if i != j and source.last == output.first > source.first and draw(st.booleans()):
                reach = draw(st.integers(0, output.size))
                shared[i, j] = Sharing(draw(st.booleans()), reach)
    return Lifetimes(tuple(regions), shared, max(region.last for region in regions) + 1)


def allowed(lifetimes: Lifetimes, i: int, j: int, at: int, other: int) -> bool:
    """Region i may begin at `at` while j begins at `other`."""
    one, two = lifetimes.regions[i], lifetimes.regions[j]
    apart = one.last < two.first or two.last < one.first
    if apart or at + one.size <= other or other + two.size <= at:
        return True
    if (sharing := lifetimes.shared.get((i, j))) is not None:
        return (sharing.equal and at == other) or other + two.size <= at + sharing.reach
    if (sharing := lifetimes.shared.get((j, i))) is not None:
        return (sharing.equal and at == other) or at + one.size <= other + sharing.reach
    return False


def is_sound(lifetimes: Lifetimes, starts: tuple[int, ...]) -> bool:
    pairs = product(range(len(starts)), repeat=2)
    return all(i == j or allowed(lifetimes, i, j, starts[i], starts[j]) for i, j in pairs)


@given(alive())
def test_regions_that_live_together_do_not_overlap(lifetimes: Lifetimes) -> None:
    found = place(lifetimes)

    assert is_sound(lifetimes, found.starts)
    assert all(start % 4 == 0 for start in found.starts)
    ends = [at + region.size for at, region in zip(found.starts, lifetimes.regions, strict=True)]
    assert found.arena_bytes == max(ends) >= lifetimes.lower_bound()
    assert found.arena_bytes > lifetimes.lower_bound() or found.optimal


@given(alive())
def test_placing_twice_gives_the_same_addresses(lifetimes: Lifetimes) -> None:
    assert place(lifetimes) == place(lifetimes)


@settings(deadline=None)
@given(alive(most=5, largest=12))
def test_a_placement_that_is_called_best_is_the_best_of_all(lifetimes: Lifetimes) -> None:
    found = place(lifetimes)
    needed = -(-found.arena_bytes // 4)

    def fits(starts: tuple[int, ...]) -> bool:
        i = len(starts)
        if i == len(lifetimes.regions):
            return True
        return any(
            all(allowed(lifetimes, i, j, 4 * at, starts[j]) for j in range(i))
            and fits((*starts, 4 * at))
            for at in range(needed - lifetimes.regions[i].words)
        )

    assert not (found.optimal and fits(()))


@given(st.lists(st.integers(1, 100).map(lambda n: 4 * n), min_size=1, max_size=8))
@example([8, 252, 256, 256, 8, 256, 256, 4])
def test_a_chain_is_placed_in_no_more_than_its_lower_bound(sizes: list[int]) -> None:
    regions = tuple(Region(size, i - 1, i) for i, size in enumerate(sizes))
    lifetimes = Lifetimes(regions, {}, len(sizes))

    found = place(lifetimes)

    assert found.optimal
    assert found.arena_bytes <= lifetimes.lower_bound() * 9 / 8


def test_nothing_needs_no_arena() -> None:
    assert place(Lifetimes((), {}, 1)) == Placement((), 0, optimal=True)


def test_an_output_begins_below_its_input_as_far_as_it_must() -> None:
    regions = (Region(100, 0, 1), Region(120, 1, 2))

    found = place(Lifetimes(regions, {(0, 1): Sharing(False, 90)}, 3))

    assert found == Placement((32, 0), 132, optimal=True)  # 120 - 90, at the next word


def test_an_output_of_equal_beginning_lies_in_its_input_wherever_that_is() -> None:
    regions = (Region(40, 0, 2), Region(100, 1, 2), Region(60, 2, 3))

    found = place(Lifetimes(regions, {(1, 2): Sharing(True, 0)}, 4))

    assert found.starts[1] == found.starts[2]
    assert found.arena_bytes == 140


# Greedy placements of this chain need 516 bytes, for a bound of 512.
_SIZES = [8, 252, 256, 256, 8, 256, 256, 4]
_CHAIN = Lifetimes(tuple(Region(size, i - 1, i) for i, size in enumerate(_SIZES)), {}, len(_SIZES))


def test_what_climbing_misses_the_exact_search_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_CLIMBS", 0)

    assert place(_CHAIN).arena_bytes == 512
    assert place(_CHAIN).optimal


@pytest.mark.parametrize(("name", "cap"), [("_NODES", 0), ("_NODES", 2), ("_MOST_REGIONS", 7)])
def test_behind_the_caps_nothing_is_called_best(
    name: str, cap: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "_CLIMBS", 0)
    monkeypatch.setattr(exact, name, cap)

    found = place(_CHAIN)

    assert not found.optimal
    assert found.arena_bytes == 516


def test_meetings_and_needs_are_those_of_every_single_step() -> None:
    """Found by what begins and ends, without walking through the steps that a region lives."""
    rng = random.Random(3)
    for _ in range(300):
        steps = rng.randint(1, 9)
        regions = []
        for _ in range(rng.randint(1, 9)):
            first = rng.randint(-1, steps - 1)
            regions.append(Region(rng.randint(1, 20), first, rng.randint(first, steps)))
        found = Lifetimes(tuple(regions), {}, steps)
        alive = [
            {i for i, region in enumerate(regions) if region.first <= time <= region.last}
            for time in range(-1, steps + 1)
        ]
        assert found.needed() == [
            4 * sum(regions[i].words for i in there)
            - max((4 * regions[i].words - regions[i].size for i in there), default=0)
            for there in alive
        ]
        assert found.meetings() == [
            set().union(*(there for there in alive if i in there)) - {i}
            for i in range(len(regions))
        ]
