"""Hypervolume over candidates and time is that of the networks a run was to find."""

from __future__ import annotations

import pytest

from search.config import Bounds
from search.evaluation import Outcome
from search.fitness import Objectives
from search.hypervolume import hypervolume
from search.journal import Entry
from search.report.candidate import Candidate, read_candidates
from search.report.growth import growth_of
from tests.measurements import make_measurement
from tests.search.evaluations import make_evaluation, make_rejected

BOUNDS = Bounds(val_error=0.5, latency_us=2000.0)


def told(*outcomes: Outcome, every_s: float = 0.0) -> tuple[Candidate, ...]:
    return read_candidates(
        [Entry(n, "0" * 8, outcome, every_s * (n + 1)) for n, outcome in enumerate(outcomes)]
    )


def test_shares_stand_at_the_candidate_that_reached_them() -> None:
    poor = make_evaluation(val_error=0.4, cycles=150_000)
    good = make_evaluation(val_error=0.1, cycles=100_000)

    growth = growth_of(told(make_rejected(), poor, make_rejected(), good, every_s=10), BOUNDS)

    share = hypervolume([Objectives.of(good)], {"val_error": 0.5, "latency_us": 2000.0})
    assert share == pytest.approx(0.8 * 0.5)
    assert [at for at, _ in growth.by_candidate] == [2, 4]
    assert [at for at, _ in growth.by_time] == [20, 40]
    assert growth.share == pytest.approx(share)
    assert growth.box == "val_error 0.5, latency_us 2,000"
    assert growth.describe() == (
        "Hypervolume: 0.4000 of the box below val_error 0.5, latency_us 2,000; nine tenths of "
        "that after 4 candidates, 40 s."
    )


def test_networks_that_break_a_hard_bound_do_not_count() -> None:
    bounds = Bounds(val_error=0.5, macs=1)

    growth = growth_of(told(make_evaluation()), bounds)

    assert growth.by_candidate == () and growth.share == 0.0
    assert "no network was trained" in growth.describe()


def test_an_error_without_a_bound_counts_up_to_one() -> None:
    assert growth_of((), Bounds(flash_bytes=10)).reference == {"val_error": 1.0, "flash_bytes": 10}


def test_a_run_that_misses_its_goal_says_so() -> None:
    growth = growth_of(told(make_evaluation(val_error=0.9)), BOUNDS)

    assert growth.describe().endswith("; no network lies inside it.")


def test_without_recorded_times_the_clocks_of_the_measurements_count() -> None:
    def at(minute: int, duration_s: float):
        started_at = f"2026-01-01T00:0{minute}:00+00:00"
        return make_measurement(started_at=started_at, duration_s=duration_s)

    first = make_evaluation(untrained=at(1, 1.0), measured=at(2, 1.5))
    second = make_evaluation(untrained=at(1, 2.0), measured=at(3, 0.5))

    assert [c.at_s for c in told(first, make_rejected(), second)] == [61.5, None, 120.5]


def test_times_that_are_missing_or_no_times_are_absent() -> None:
    broken = make_measurement(started_at="yesterday")
    growth = growth_of(told(make_evaluation(untrained=broken, measured=broken)), BOUNDS)

    assert growth.by_time == () != growth.by_candidate
    assert " s." not in growth.describe()
