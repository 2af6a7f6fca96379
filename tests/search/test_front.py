"""The front is what nothing dominates; the proxy error is the least that one constant allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import NotComparableError
from harness.measurement import Measurement, Spread
from search.evaluation import Evaluation
from search.fitness import Objectives
from search.front import measurements_of, pareto_front, proxy_error
from tests.measurements import make_measurement
from tests.search.evaluations import make_evaluation, make_rejected

EVALUATIONS = st.lists(
    st.builds(
        make_evaluation,
        val_error=st.sampled_from([0.1, 0.2, 0.3]),
        cycles=st.sampled_from([100, 200, 300]),
        sram_bytes=st.sampled_from([2000, 3000]),
        flash_bytes=st.sampled_from([10_000, 11_000]),
    ),
    max_size=12,
)


@given(EVALUATIONS)
def test_the_front_is_exactly_what_nothing_dominates(evaluations: list[Evaluation]) -> None:
    front = pareto_front(evaluations)
    scores = [Objectives.of(evaluation) for evaluation in evaluations]

    for evaluation in evaluations:
        mine = Objectives.of(evaluation)
        is_dominated = any(
            all(getattr(other, name) <= value for name, value in vars(mine).items())
            and other != mine
            for other in scores
        )
        assert (evaluation in front) == (not is_dominated)


@given(EVALUATIONS)
def test_the_front_is_in_order_of_error(evaluations: list[Evaluation]) -> None:
    errors = [evaluation.val_error for evaluation in pareto_front(evaluations)]

    assert errors == sorted(errors)


def test_a_trade_in_any_one_objective_keeps_a_candidate() -> None:
    base = make_evaluation()
    others = [
        make_evaluation(val_error=0.1, cycles=200_000),
        make_evaluation(cycles=90_000, sram_bytes=9_500),
        make_evaluation(sram_bytes=8_000, flash_bytes=21_000),
        make_evaluation(flash_bytes=19_000, val_error=0.3),
    ]
    dominated = make_evaluation(val_error=0.21, cycles=100_001)

    front = pareto_front([base, *others, dominated])

    assert len(front) == 5 and dominated not in front


def test_of_no_evaluations_the_front_is_empty() -> None:
    assert pareto_front([]) == []


def test_each_candidate_that_reached_the_board_is_counted_once() -> None:
    trained = make_evaluation(cycles=1000)
    over = make_rejected(tier="measured", untrained=make_measurement(cycles=9000))

    found = measurements_of([trained, over, make_rejected(tier="analytic"), make_rejected()])

    assert [measurement.cycles.median for measurement in found] == [1000, 9000]


def measured(macs: int, cycles: int) -> Measurement:
    return make_measurement(macs=macs, cycles=cycles)


def test_a_perfect_proxy_has_no_error() -> None:
    error = proxy_error([measured(macs, 7 * macs) for macs in (100, 2000, 30_000)])

    assert error.rank_correlation == pytest.approx(1.0)
    assert error.cycles_per_mac == pytest.approx(7.0)
    assert error.mape_percent == pytest.approx(0.0)
    assert error.worst_percent == pytest.approx(0.0)
    assert error.n == 3


def test_the_error_by_hand() -> None:
    """5, 10 and 20 cycles per MAC: the weighted median is 5 (weights 0.2, 0.1, 0.05), and 5
    misses the others by 50 and 75 %."""
    error = proxy_error([measured(100, 500), measured(50, 500), measured(200, 4000)])

    assert error.cycles_per_mac == 5.0
    assert error.mape_percent == pytest.approx((0 + 50 + 75) / 3)
    assert error.worst_percent == pytest.approx(75.0)
    assert error.rank_correlation == pytest.approx(np.sqrt(3) / 2)


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**8)), min_size=1, max_size=20),
    st.floats(1e-3, 1e3),
)
def test_no_other_constant_has_a_smaller_mape(
    points: list[tuple[int, int]], constant: float
) -> None:
    error = proxy_error([measured(macs, cycles) for macs, cycles in points])

    other = np.mean([100 * abs(constant * macs - cycles) / cycles for macs, cycles in points])
    assert error.mape_percent <= other * (1 + 1e-9) + 1e-9


def test_ranks_are_undefined_where_all_candidates_are_alike() -> None:
    assert proxy_error([measured(10, 20)]).rank_correlation is None
    assert proxy_error([measured(10, 20), measured(10, 30)]).rank_correlation is None


def test_describe_says_it_in_one_sentence() -> None:
    error = proxy_error([measured(100, 500), measured(50, 500), measured(200, 4000)])

    assert error.describe() == (
        "MACs alone would have misjudged latency by 42 % on average and 75 % at worst (best "
        "single constant, 5.00 cycles per MAC), with a rank correlation of 0.866 over 3 measured "
        "candidates (nucleo_f412zg, via virtual, modelled (pipeline-1), engine aot (1), 100 MHz, "
        "3 WS, -O3)."
    )
    assert (
        ", with an undefined rank correlation over 1" in proxy_error([measured(9, 9)]).describe()
    )


def test_nothing_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="no measurement to compare MACs with"):
        proxy_error([])


@pytest.mark.parametrize("changes", [{"macs": 0}, {"cycles": 0}])
def test_measurements_without_work_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a measurement has no MACs or no cycles"):
        proxy_error([make_measurement(**changes)])


def test_measurements_of_different_clocks_are_not_mixed() -> None:
    other = make_measurement(cycles=2, sysclk_hz=1, latency_us=Spread.of([1.0]))

    with pytest.raises(NotComparableError, match="measurements differ in sysclk_hz"):
        proxy_error([make_measurement(), other])
