"""Proxies are judged by their errors and ranks, with the constants that flatter them most."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import NotComparableError
from harness.measurement import Flash, Sram
from search.evaluation import Cost
from search.report.proxy import (
    BAND,
    FEWEST,
    Proxy,
    fullest_band,
    judge_macs,
    judge_proxies,
    weighted_median,
)
from tests.measurements import make_measurement
from tests.search.evaluations import make_evaluation, make_rejected

POINTS = st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**8)), min_size=1, max_size=20)


def judge(*points: tuple[int, int]) -> Proxy:
    """Of (MACs, cycles)."""
    costs = [Cost(macs, 1, 1) for macs, _ in points]
    return judge_macs(costs, [make_measurement(macs=m, cycles=c) for m, c in points])


def measured(macs: int, cycles: int, *, size: int = 100, peak: int = 100, **changes):
    """A candidate with 1000 bytes of flash beside its weights and 500 of SRAM."""
    return make_rejected(
        cost=Cost(macs, size, peak),
        tier="measured",
        untrained=make_measurement(
            macs=macs,
            cycles=cycles,
            flash=Flash(1000, size, size + 1000, 500),
            sram=Sram(peak, 250, 250, peak + 500),
            **changes,
        ),
    )


def test_a_perfect_proxy_has_no_error() -> None:
    proxy = judge(*((macs, 7 * macs) for macs in (100, 2000, 30_000)))

    assert proxy.rank_correlation == pytest.approx(1.0)
    assert proxy.constant == pytest.approx(7.0)
    assert proxy.mape_percent == pytest.approx(0.0)
    assert proxy.worst_percent == pytest.approx(0.0)
    assert proxy.n == 3


def test_the_error_by_hand() -> None:
    """5, 10 and 20 cycles per MAC: the weighted median is 5 (weights 0.2, 0.1, 0.05), and 5
    misses the others by 50 and 75 %."""
    proxy = judge((100, 500), (50, 500), (200, 4000))

    assert proxy.constant == 5.0
    assert proxy.mape_percent == pytest.approx((0 + 50 + 75) / 3)
    assert proxy.worst_percent == pytest.approx(75.0)
    assert proxy.rank_correlation == pytest.approx(np.sqrt(3) / 2)


@given(POINTS, st.floats(1e-3, 1e3))
def test_no_other_factor_has_a_smaller_mape(points: list[tuple[int, int]], factor: float) -> None:
    other = np.mean([100 * abs(factor * macs - cycles) / cycles for macs, cycles in points])

    assert judge(*points).mape_percent <= other * (1 + 1e-9) + 1e-9


@given(POINTS, st.floats(-1e8, 1e8))
def test_no_other_offset_has_a_smaller_mape(points: list[tuple[int, int]], offset: float) -> None:
    x, y = np.array(points, float).T

    best = weighted_median(y - x, 1 / y)

    errors = [np.mean(np.abs(x + constant - y) / y) for constant in (best, offset)]
    assert errors[0] <= errors[1] * (1 + 1e-9) + 1e-9


def test_ranks_are_undefined_where_all_candidates_are_alike() -> None:
    assert judge((10, 20)).rank_correlation is None
    assert judge((10, 20), (10, 30)).rank_correlation is None
    assert ", with an undefined rank correlation over 1" in judge((9, 9)).describe()


def test_describe_says_it_in_one_sentence() -> None:
    assert judge((100, 500), (50, 500), (200, 4000)).describe() == (
        "MACs alone would have misjudged latency by 42 % on average and 75 % at worst (best "
        "single constant, 5.00 cycles per MAC), with a rank correlation of 0.866 over 3 measured "
        "candidates (nucleo_f412zg, via virtual, modelled (pipeline-1), engine aot (1), 100 MHz, "
        "3 WS, -O3)."
    )


def test_nothing_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="no measurement to compare MACs with"):
        judge()


@pytest.mark.parametrize("point", [(0, 5), (5, 0)])
def test_measurements_without_work_are_refused(point: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="a network has no MACs or no cycles"):
        judge(point)


def test_proxies_are_judged_over_all_and_within_a_narrow_band() -> None:
    macs = [1000, 100_000, 110_000, 120_000, 130_000, 140_000, 9_000_000]
    cycles = [4000, 900_000, 700_000, 500_000, 400_000, 300_000, 36_000_000]

    proxy, *_ = judge_proxies([measured(m, c) for m, c in zip(macs, cycles, strict=True)])

    assert proxy.n == 7
    assert proxy.rank_correlation is not None and proxy.rank_correlation > 0.2
    assert (proxy.band_count, proxy.band_rank_correlation) == (5, pytest.approx(-1.0))
    assert proxy.band_spread == pytest.approx(3.0)
    assert (
        "Among the 5 networks whose MACs lie within a factor of 2, it is -1.00" in proxy.describe()
    )


def test_sizes_are_judged_with_the_best_constant_beside_them() -> None:
    sizes = [100, 200, 300, 400, 5000]

    _, flash, sram = judge_proxies([measured(9, 9, size=n, peak=2 * n) for n in sizes])

    assert (flash.name, flash.quantity, flash.constant) == ("model size", "flash", 1000)
    assert (sram.name, sram.quantity, sram.constant) == ("peak memory", "SRAM", 500)
    assert flash.constant_in_words == "+1,000 bytes"
    assert flash.mape_percent == sram.worst_percent == 0.0


def test_the_untrained_network_is_judged_because_arithmetic_knows_no_other() -> None:
    """Training has halved the cycles of every network here."""
    before = [make_measurement(macs=n, cycles=10 * n) for n in range(1, FEWEST + 1)]
    outcomes = [
        replace(make_evaluation(cycles=5 * m.macs), cost=Cost(m.macs, 10, 10), untrained=m)
        for m in before
    ]

    assert judge_proxies(outcomes)[0].constant == pytest.approx(10.0)


def test_pruned_networks_are_judged_whole() -> None:
    """Slimmed ones have a tenth of the MACs, and take twice the cycles for each."""
    outcomes = [
        make_evaluation(
            cost=Cost(macs, 10, 10),
            untrained=make_measurement(macs=macs, cycles=10 * macs),
            slimmed={"blocks": []},
            slimmed_cost=Cost(macs // 10, 1, 1),
            measured=make_measurement(macs=macs // 10, cycles=2 * macs),
        )
        for macs in range(100, 100 + 10 * FEWEST, 10)
    ]

    proxy, *_ = judge_proxies(outcomes)

    assert (proxy.constant, proxy.mape_percent) == (pytest.approx(10.0), pytest.approx(0.0))


def test_pruned_networks_whose_whole_was_not_counted_are_left_out() -> None:
    """Early journals count the slimmed network alone."""
    early = make_evaluation(slimmed={"blocks": []}, cost=Cost(1, 1, 1))
    known = [measured(macs, 7 * macs) for macs in range(1, FEWEST + 1)]

    assert judge_proxies([early, *known[1:]]) == ()
    assert judge_proxies([early, *known])[0].constant == pytest.approx(7.0)


def test_too_few_measurements_say_nothing() -> None:
    assert judge_proxies([measured(m, m) for m in range(1, FEWEST)]) == ()


def test_a_band_of_equals_is_left_out_of_the_sentence() -> None:
    proxy, *_ = judge_proxies([measured(500, cycles) for cycles in (1, 2, 3, 4, 5)])

    assert proxy.band_rank_correlation is None
    assert "Among" not in proxy.describe()


@pytest.mark.parametrize("change", [{"board": "other"}, {"sysclk_hz": 1}])
def test_measurements_under_different_conditions_never_meet(change: dict) -> None:
    found = [measured(9, 9) for _ in range(FEWEST)]

    with pytest.raises(NotComparableError, match=f"measurements differ in {next(iter(change))}"):
        judge_proxies([*found, measured(9, 9, **change)])


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30))
def test_no_band_is_fuller_than_the_fullest(macs: list[int]) -> None:
    values = np.array(macs, float)
    band = values[fullest_band(values)]
    assert band.max() <= BAND * band.min()
    for low in values:
        assert ((values >= low) & (values <= BAND * low)).sum() <= len(band)
