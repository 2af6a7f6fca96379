"""Fitness is µNAS' random scalarisation over named objectives; bounds are broken by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import MeasurementRefusedError
from harness.measurement import Flash
from search.config import Bounds, Budget
from search.evaluation import Cost
from search.fitness import (
    FRONT,
    Objectives,
    broken_by,
    broken_by_cost,
    draw_weights,
    excess,
    fitness,
    nearest,
    objectives_of,
)
from tests.measurements import make_energy, make_measurement
from tests.search.evaluations import make_evaluation, make_rejected

BOUNDS = Bounds(val_error=0.1, latency_us=1000.0, sram_bytes=10_000, flash_bytes=40_000)
GOOD = Objectives(
    val_error=0.05, latency_us=900.0, sram_bytes=2_000, flash_bytes=8_000, macs=70_000
)
EVEN = dict.fromkeys((*FRONT, "macs"), 1.0)


def test_objectives_are_the_measured_ones() -> None:
    evaluation = make_evaluation(
        val_error=0.25, cycles=70_000, sram_bytes=8_000, flash_bytes=30_000
    )
    evaluation = replace(evaluation, untrained=make_measurement(cycles=1), float_val_error=0.9)
    macs = evaluation.measured.macs

    assert Objectives.of(evaluation) == Objectives(0.25, 700.0, 8_000, 30_000, macs)


def test_energy_is_an_objective_and_a_bound_where_it_was_measured() -> None:
    measured = make_measurement(energy=make_energy(1000.0))
    objectives = Objectives.of_measured(0.05, measured)
    bounds = Bounds(energy_uj=1600.0)

    assert objectives.values(("energy_uj",)) == (pytest.approx(1000.0),)
    assert fitness(objectives, ("energy_uj",), bounds, {"energy_uj": 1.0}) == pytest.approx(-0.625)
    assert objectives_of(Budget(), bounds) == ("energy_uj",)
    assert broken_by(bounds, measured) is None
    assert broken_by(Bounds(energy_uj=500.0), measured) == (
        "measured energy 1,000 exceeds the bound of 500 uJ"
    )
    assert excess(objectives, Bounds(energy_uj=800.0, soft=("energy_uj",))) == pytest.approx(0.25)
    assert replace(objectives, energy_uj=9.0).dominates(objectives, (*FRONT, "energy_uj"))


def test_energy_that_was_not_measured_is_never_passed_over() -> None:
    with pytest.raises(MeasurementRefusedError, match="a measurement holds no energy"):
        GOOD.values(("energy_uj",))
    with pytest.raises(MeasurementRefusedError, match="a measurement holds no energy"):
        broken_by(Bounds(energy_uj=1.0), make_measurement())


def test_the_worst_normalised_objective_counts() -> None:
    assert fitness(GOOD, FRONT, BOUNDS, EVEN) == pytest.approx(-0.9)


def test_a_small_weight_makes_its_objective_matter_more() -> None:
    assert fitness(GOOD, FRONT, BOUNDS, {**EVEN, "val_error": 0.1}) == pytest.approx(-5.0)


def test_an_objective_counts_at_most_ten_times_its_bound() -> None:
    slow = replace(GOOD, latency_us=1e9)

    assert fitness(slow, FRONT, BOUNDS, {**EVEN, "latency_us": 0.5}) == pytest.approx(-20.0)


def test_only_the_objectives_named_count() -> None:
    bounds = replace(BOUNDS, macs=35_000)

    assert fitness(GOOD, ("latency_us",), bounds, EVEN) == pytest.approx(-0.9)
    assert fitness(GOOD, ("val_error", "macs"), bounds, EVEN) == pytest.approx(-2.0)


def test_without_bounds_the_validation_error_decides() -> None:
    assert fitness(GOOD, objectives_of(Budget(), Bounds()), Bounds(), EVEN) == -0.05


@pytest.mark.parametrize(
    ("budget", "bounds", "names"),
    [
        (Budget(), Bounds(), ("val_error",)),
        (Budget(), Bounds(macs=5), ("val_error",)),
        (Budget(), BOUNDS, FRONT),
        (Budget(), replace(BOUNDS, val_error=None, macs=5), FRONT[1:]),
        (Budget(), Bounds(val_error=0.1, macs=5, soft=("macs",)), ("val_error", "macs")),
        (Budget(objectives=("macs", "val_error")), BOUNDS, ("macs", "val_error")),
    ],
)
def test_what_is_minimised_is_what_is_listed_or_what_has_a_bound(
    budget: Budget, bounds: Bounds, names: tuple[str, ...]
) -> None:
    assert objectives_of(budget, bounds) == names


@given(st.integers(0, 2**64))
def test_weights_lie_above_zero_and_differ_between_draws(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = draw_weights(rng, FRONT), draw_weights(rng, FRONT)

    assert all(0 < value <= 1 for value in first.values())
    assert first != second


def test_weights_are_uniform() -> None:
    rng = np.random.default_rng(0)
    drawn = [value for _ in range(5000) for value in draw_weights(rng, FRONT).values()]
    shares, _ = np.histogram(drawn, bins=10, range=(0, 1))

    assert shares.min() > 1750 and shares.max() < 2250  # 2000 expected


def test_an_objective_more_or_less_leaves_the_weights_of_the_others() -> None:
    few, many = (
        draw_weights(np.random.default_rng(1), names) for names in (FRONT[:2], (*FRONT, "macs"))
    )

    assert {name: many[name] for name in FRONT} == few
    assert "macs" in many


def test_dominance_needs_one_better_and_none_worse() -> None:
    assert replace(GOOD, latency_us=99.0).dominates(GOOD)
    assert not GOOD.dominates(GOOD)
    assert not replace(GOOD, latency_us=99.0, sram_bytes=2001).dominates(GOOD)


def test_dominance_looks_at_nothing_but_what_is_named() -> None:
    fast = replace(GOOD, latency_us=99.0, sram_bytes=2001, macs=80_000)

    assert fast.dominates(GOOD, ("val_error", "latency_us"))
    assert not replace(GOOD, macs=1).dominates(GOOD), "a proxy is no part of the front"


def test_the_excess_is_relative_and_counts_goals_only() -> None:
    goals = replace(BOUNDS, soft=("latency_us",))

    assert excess(GOOD, goals) == 0.0
    assert excess(replace(GOOD, val_error=0.15, latency_us=2000.0), goals) == pytest.approx(1.5)
    assert excess(replace(GOOD, sram_bytes=10**6), goals) == 0.0, "a hard bound rejects instead"
    assert excess(replace(GOOD, val_error=1.0), Bounds()) == 0.0


MEASURED = make_measurement()  # 1000 us, 9,000 bytes of SRAM, 20,000 of flash, 50,000 MACs


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [
        (Bounds(), None),
        (Bounds(0.01, 1000.0, 9_000, 20_000, 50_000), None),
        (Bounds(latency_us=999.5), "measured latency 1,000 exceeds the bound of 999.5 us"),
        (Bounds(sram_bytes=8_999), "measured SRAM 9,000 exceeds the bound of 8,999 bytes"),
        (Bounds(flash_bytes=19_999), "measured flash 20,000 exceeds the bound of 19,999 bytes"),
        (Bounds(macs=49_999), "MACs 50,000 exceeds the bound of 49,999 MACs"),
        (Bounds(macs=49_999, latency_us=1.0, soft=("macs", "latency_us")), None),
    ],
)
def test_a_measurement_breaks_bounds_by_name(bounds: Bounds, sentence: str | None) -> None:
    assert broken_by(bounds, MEASURED) == sentence


def test_the_nearest_is_the_one_whose_worst_bound_is_missed_least() -> None:
    bounds = Bounds(latency_us=500.0, flash_bytes=10_000, macs=1, soft=("macs",))
    even, lopsided, fast = (
        make_rejected(tier="measured", untrained=make_measurement(cycles=cycles, flash=flash))
        for cycles, flash in (
            (75_000, Flash(7_000, 8_000, 15_000, 0)),
            (51_000, Flash(22_000, 8_000, 30_000, 0)),
            (1_000, Flash(12_000, 8_000, 20_000, 0)),
        )
    )
    too_big = make_rejected(tier="measured")

    found = nearest(bounds, [lopsided, fast, too_big, even])

    assert found == (
        even,
        "measured latency 750 exceeds the bound of 500 us; measured flash 15,000 exceeds the "
        "bound of 10,000 bytes",
    )
    assert nearest(bounds, [too_big]) is None


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [
        (Bounds(0.01, 0.1, 3_000, 2_000, 1_234_567), None),
        (
            Bounds(
                macs=1, flash_bytes=1, sram_bytes=1, soft=("macs", "flash_bytes", "sram_bytes")
            ),
            None,
        ),
        (Bounds(macs=1_000_000), "MACs 1,234,567 exceeds the bound of 1,000,000 MACs"),
        (Bounds(flash_bytes=1_999), "model size 2,000 exceeds the bound of 1,999 bytes of flash"),
        (
            Bounds(sram_bytes=2_999),
            "memory of one operator 3,000 exceeds the bound of 2,999 bytes of SRAM",
        ),
    ],
)
def test_a_cost_breaks_bounds_by_name(bounds: Bounds, sentence: str | None) -> None:
    assert broken_by_cost(bounds, Cost(1_234_567, 2_000, 4_000, 3_000)) == sentence
