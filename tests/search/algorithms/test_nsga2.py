"""NSGA-II keeps what a sort by hand would keep, and goals come before trade-offs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.algorithms.nsga2 import NSGA2
from search.config import Bounds, SpaceChoice
from search.spaces.munas.genotype import MunasGenotype
from search.spaces.munas.space import Munas
from tests.search.evaluations import make_evaluation, make_rejected

OBJECTIVES = ("val_error", "latency_us", "sram_bytes")
Point = tuple[float, ...]


def make_nsga2(**changes) -> NSGA2:
    fields = dict(population=6, objectives=OBJECTIVES, bounds=Bounds(), seed=0, space=Munas())
    return NSGA2(**{**fields, **changes})


def network(number: int) -> MunasGenotype:
    return Munas(SpaceChoice(max_blocks=2)).sample(np.random.default_rng(number))


def tell(nsga2: NSGA2, number: int, point: Point) -> None:
    error, latency_us, sram_bytes = point
    nsga2.tell(
        network(number),
        make_evaluation(
            network(number),
            val_error=error,
            cycles=round(100 * latency_us),
            sram_bytes=round(sram_bytes),
        ),
    )


def points_of(nsga2: NSGA2) -> list[Point]:
    return [member.objectives.values(OBJECTIVES) for member in nsga2.population]


def dominates(one: Point, other: Point) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


def fronts(points: Sequence[Point]) -> list[list[Point]]:
    """Peeled off one by one: those that nothing left dominates."""
    left, peeled = list(points), []
    while left:
        front = [p for p in left if not any(dominates(q, p) for q in left)]
        peeled.append(front)
        left = [p for p in left if p not in front]
    return peeled


def crowding(point: Point, front: Sequence[Point]) -> float:
    """Deb's: over the objectives, the gap between the neighbours, relative to the whole range."""
    total = 0.0
    for k in range(len(point)):
        values = sorted(p[k] for p in front)
        place = values.index(point[k])
        if place in (0, len(values) - 1):
            return float("inf")
        total += (values[place + 1] - values[place - 1]) / (values[-1] - values[0])
    return total


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_who_leaves_is_the_most_crowded_of_the_last_front_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = rng.permutation(20) + 1, rng.permutation(20) + 10, rng.permutation(20) + 2000
    nsga2, kept = make_nsga2(), list[Point]()
    for number, (error, latency, sram) in enumerate(zip(*columns, strict=True)):
        candidates = [*kept, (error / 32, float(latency), float(sram))]
        tell(nsga2, number, candidates[-1])
        kept = points_of(nsga2)

        assert len(kept) == min(len(candidates), 6)
        for gone in set(candidates) - set(kept):
            last = fronts(candidates)[-1]
            assert gone in last
            assert crowding(gone, last) == min(crowding(point, last) for point in last)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_ranks_are_those_of_fronts_peeled_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nsga2 = make_nsga2(population=20)
    for number in range(20):
        error, latency, sram = rng.integers(1, 6, size=3)  # with equal values, and equal points
        tell(nsga2, number, (error / 8, float(latency), 2000.0 + sram))
    peeled = fronts(points_of(nsga2))

    for individual in nsga2._population:
        point = individual.get("member").objectives.values(OBJECTIVES)
        assert point in peeled[individual.get("rank")]


def test_the_better_rank_wins_the_tournament() -> None:
    nsga2 = make_nsga2(population=2)
    tell(nsga2, 0, (0.1, 10.0, 2000))
    tell(nsga2, 1, (0.2, 20.0, 3000))

    parents = [nsga2._parent() for _ in range(200)]

    assert parents.count(network(0)) > 130, "drawn into three of four tournaments"


def test_a_network_that_reaches_the_goals_ranks_before_any_that_does_not() -> None:
    goals = Bounds(val_error=0.3, latency_us=50.0, soft=("latency_us",))
    nsga2 = make_nsga2(population=3, bounds=goals)
    tell(nsga2, 0, (0.01, 80.0, 2000))
    tell(nsga2, 1, (0.29, 49.0, 9000))
    tell(nsga2, 2, (0.40, 10.0, 2000))
    tell(nsga2, 3, (0.35, 10.0, 9000))

    kept = points_of(nsga2)

    assert kept[0] == (0.29, 49.0, 9000.0)
    assert (0.01, 80.0, 2000.0) not in kept, "60 % too slow; the others miss by less"


def test_those_that_miss_every_goal_compete_by_how_far() -> None:
    nsga2 = make_nsga2(population=2, bounds=Bounds(val_error=0.1))
    tell(nsga2, 0, (0.2, 10.0, 2000))
    tell(nsga2, 1, (0.9, 10.0, 2000))

    parents = [nsga2._parent() for _ in range(200)]

    assert parents.count(network(0)) > 130


@pytest.mark.parametrize("tier", ["analytic", "measured", "failed"])
def test_rejected_candidates_never_enter_the_population(tier: str) -> None:
    nsga2 = make_nsga2()
    nsga2.tell(network(0), make_rejected(network(0), tier=tier))

    assert nsga2.population == []
    assert nsga2.state()["seen"] == 1


def test_equal_candidates_do_not_break_the_ranking() -> None:
    nsga2 = make_nsga2(population=3)
    for number in range(5):
        tell(nsga2, number, (0.2, 10.0, 2000))

    assert len(nsga2.population) == 3
    assert nsga2.ask() is not None
