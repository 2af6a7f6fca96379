"""The front is what nothing dominates; the proxy error is the least that one constant allows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from search.evaluation import Evaluation
from search.fitness import FRONT, Objectives
from search.front import measurements_of, pareto_front
from tests.measurements import make_energy, make_measurement
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
            all(other.values([name]) <= mine.values([name]) for name in FRONT) and other != mine
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


def test_energy_is_part_of_the_front_where_it_is_named() -> None:
    thrifty, wasteful = (
        make_evaluation(measured=make_measurement(cycles=cycles, energy=make_energy(uj)))
        for cycles, uj in ((100_001, 500.0), (100_000, 900.0))
    )

    assert pareto_front([thrifty, wasteful]) == [wasteful]
    both = pareto_front([thrifty, wasteful], (*FRONT, "energy_uj"))
    assert both == [wasteful, thrifty]
