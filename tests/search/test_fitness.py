"""Fitness is µNAS' random scalarisation over named objectives; bounds are broken by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.config import Bounds
from search.evaluation import Cost
from search.fitness import (
    Objectives,
    Weights,
    broken_by,
    broken_by_cost,
    draw_weights,
    fitness,
)
from tests.measurements import make_measurement
from tests.search.evaluations import make_evaluation

BOUNDS = Bounds(val_error=0.1, latency_us=1000.0, sram_bytes=10_000, flash_bytes=40_000)
EVEN = Weights(1.0, 1.0, 1.0, 1.0)


def test_objectives_are_the_measured_ones() -> None:
    evaluation = make_evaluation(
        val_error=0.25, cycles=70_000, sram_bytes=8_000, flash_bytes=30_000
    )
    evaluation = replace(evaluation, untrained=make_measurement(cycles=1), float_val_error=0.9)

    assert Objectives.of(evaluation) == Objectives(0.25, 700.0, 8_000, 30_000)


def test_the_worst_normalised_objective_counts() -> None:
    objectives = Objectives(val_error=0.05, latency_us=900.0, sram_bytes=2_000, flash_bytes=8_000)

    assert fitness(objectives, BOUNDS, EVEN) == pytest.approx(-0.9)


def test_a_small_weight_makes_its_objective_matter_more() -> None:
    objectives = Objectives(val_error=0.05, latency_us=900.0, sram_bytes=2_000, flash_bytes=8_000)

    assert fitness(objectives, BOUNDS, replace(EVEN, val_error=0.1)) == pytest.approx(-5.0)


def test_an_objective_counts_at_most_ten_times_its_bound() -> None:
    objectives = Objectives(val_error=0.05, latency_us=1e9, sram_bytes=1, flash_bytes=1)

    assert fitness(objectives, BOUNDS, replace(EVEN, latency_us=0.5)) == pytest.approx(-20.0)


def test_only_bounded_objectives_count() -> None:
    objectives = Objectives(val_error=0.9, latency_us=500.0, sram_bytes=10**6, flash_bytes=10**6)

    assert fitness(objectives, Bounds(latency_us=1000.0), EVEN) == pytest.approx(-0.5)


def test_without_bounds_the_validation_error_decides() -> None:
    objectives = Objectives(0.3, 1.0, 1, 1)

    assert fitness(objectives, Bounds(), EVEN) == -0.3
    assert fitness(objectives, Bounds(macs=5), EVEN) == -0.3, "macs are no objective"


@given(st.integers(0, 2**64))
def test_weights_lie_above_zero_and_differ_between_draws(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = draw_weights(rng), draw_weights(rng)

    assert all(0 < value <= 1 for value in vars(first).values())
    assert first != second


def test_weights_are_uniform() -> None:
    rng = np.random.default_rng(0)
    drawn = [value for _ in range(5000) for value in vars(draw_weights(rng)).values()]
    shares, _ = np.histogram(drawn, bins=10, range=(0, 1))

    assert shares.min() > 1750 and shares.max() < 2250  # 2000 expected


def test_dominance_needs_one_better_and_none_worse() -> None:
    base = Objectives(0.2, 100.0, 1000, 2000)

    assert replace(base, latency_us=99.0).dominates(base)
    assert not base.dominates(base)
    assert not replace(base, latency_us=99.0, sram_bytes=1001).dominates(base)


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
    ],
)
def test_a_measurement_breaks_bounds_by_name(bounds: Bounds, sentence: str | None) -> None:
    assert broken_by(bounds, MEASURED) == sentence


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [
        (Bounds(0.01, 0.1, 3_000, 2_000, 1_234_567), None),
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
