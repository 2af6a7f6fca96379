"""Who would break a bound at the least rates measured is turned down, and nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.config import Bounds
from search.evaluation import Cost, Outcome
from search.fitness import broken_by
from search.floors import LEAST_MEASURED, MARGIN, Floors
from tests.measurements import make_energy, make_measurement
from tests.search.evaluations import make_evaluation, make_rejected

MEASURED = make_evaluation(cycles=100_000, sram_bytes=9_000, flash_bytes=20_000)
COST = MEASURED.cost
US_PER_MAC = 1000.0 / COST.macs


def after(*outcomes: Outcome, bounds: Bounds) -> Floors:
    floors = Floors(bounds)
    for outcome in outcomes:
        floors.told(outcome)
    return floors


def of_times(factor: float) -> Cost:
    return replace(COST, macs=round(COST.macs * factor))


def test_latency_is_expected_by_the_least_time_for_a_mac() -> None:
    slow = make_evaluation(cycles=300_000)
    floors = after(slow, *[MEASURED] * LEAST_MEASURED, slow, bounds=Bounds(latency_us=8000.0))

    assert floors.broken_by(of_times(0.99 * 8 / MARGIN)) is None
    assert floors.broken_by(of_times(1.01 * 8 / MARGIN)) == (
        f"least expected latency {1.01 * 8000:,.10g} exceeds the bound of 8,000 us"
    )


def test_flash_and_sram_are_expected_by_what_there_is_beyond_the_known() -> None:
    outcomes = [MEASURED] * LEAST_MEASURED
    code = 20_000 - COST.model_size_bytes
    static = 9_000 - COST.memory_floor_bytes
    larger = replace(COST, model_size_bytes=50_000, memory_floor_bytes=30_000)

    bound = round(50_000 + MARGIN * code)
    assert after(*outcomes, bounds=Bounds(flash_bytes=bound + 1)).broken_by(larger) is None
    assert "expected flash" in str(
        after(*outcomes, bounds=Bounds(flash_bytes=bound - 1)).broken_by(larger)
    )
    bound = round(30_000 + MARGIN * static)
    assert after(*outcomes, bounds=Bounds(sram_bytes=bound + 1)).broken_by(larger) is None
    assert "expected SRAM" in str(
        after(*outcomes, bounds=Bounds(sram_bytes=bound - 1)).broken_by(larger)
    )


def test_energy_counts_where_it_was_measured() -> None:
    measured = make_measurement(macs=COST.macs, energy=make_energy(1000.0))
    with_energy = make_evaluation(untrained=measured, measured=measured)
    bounds = Bounds(energy_uj=5000.0)
    twice = of_times(2 * 5 / MARGIN)

    assert "expected energy" in str(
        after(*[with_energy] * LEAST_MEASURED, bounds=bounds).broken_by(twice)
    )
    assert after(*[MEASURED] * LEAST_MEASURED, bounds=bounds).broken_by(twice) is None


def test_those_turned_down_as_measured_count_and_those_never_measured_do_not() -> None:
    turned_down = make_rejected(tier="measured", untrained=MEASURED.untrained)
    never = make_rejected(tier="analytic")
    bounds = Bounds(latency_us=1.0)

    assert (
        after(*[turned_down] * (LEAST_MEASURED - 1), never, bounds=bounds).broken_by(COST) is None
    )
    assert after(*[turned_down] * LEAST_MEASURED, bounds=bounds).broken_by(COST) is not None


def test_soft_bounds_turn_nobody_down() -> None:
    bounds = Bounds(latency_us=1.0, soft=("latency_us",))
    assert after(*[MEASURED] * LEAST_MEASURED, bounds=bounds).broken_by(of_times(9)) is None


def test_networks_without_macs_say_nothing_of_latency_and_keep_every_bound_on_it() -> None:
    bounds = Bounds(latency_us=1.0)
    without = make_evaluation(cost=replace(COST, macs=0))

    assert after(*[without] * LEAST_MEASURED, bounds=bounds).broken_by(of_times(9)) is None
    assert after(*[MEASURED] * LEAST_MEASURED, bounds=bounds).broken_by(of_times(0)) is None


@given(
    cycles=st.lists(st.integers(1, 10**7), min_size=LEAST_MEASURED, max_size=12),
    flash=st.integers(9_000, 10**6),
    bound=st.floats(1.0, 1e6),
)
def test_nobody_is_turned_down_who_was_measured_and_keeps_the_bounds(
    cycles: list[int], flash: int, bound: float
) -> None:
    outcomes = [make_evaluation(cycles=each, flash_bytes=flash) for each in cycles]
    bounds = Bounds(latency_us=bound, flash_bytes=400_000, sram_bytes=9_500)
    floors = after(*outcomes, bounds=bounds)

    if any(broken_by(bounds, outcome.untrained) is None for outcome in outcomes):
        assert floors.broken_by(COST) is None


@pytest.mark.parametrize("told", range(LEAST_MEASURED))
def test_few_networks_turn_nobody_down(told: int) -> None:
    assert after(*[MEASURED] * told, bounds=Bounds(latency_us=1e-3)).broken_by(COST) is None
