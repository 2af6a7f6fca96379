"""The most promising candidate on functions whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from search.algorithms.surrogate import (
    Hyperparameters,
    Observations,
    Question,
    Scalarisation,
    fit,
    most_promising,
)

GRID = np.linspace(0, 1, 9)[:, None]
ONE = Scalarisation(np.ones(1), np.zeros(1), np.ones(1))


def observe(function) -> tuple[Observations, Hyperparameters]:
    seen = Observations(GRID, np.array([function(float(x)) for (x,) in GRID]))
    return seen, fit(seen)


@pytest.fixture(scope="module")
def valley() -> tuple[Observations, Hyperparameters]:
    """Least at 0.55, between two points of the grid."""
    return observe(lambda x: 0.1 + (x - 0.55) ** 2)


@pytest.fixture(scope="module")
def slope() -> tuple[Observations, Hyperparameters]:
    """A cost that grows from left to right."""
    return observe(lambda x: 1.0 + 3 * x)


def question(pool: list[float], **changes) -> Question:
    fields = dict(
        scalarisation=ONE,
        limits={},
        baseline=GRID[[4]],
        pending=np.empty((0, 1)),
        pool=np.array(pool)[:, None],
    )
    return Question(**{**fields, **changes})


def test_the_best_of_the_pool_is_chosen(valley) -> None:
    assert most_promising([valley], question([0.0, 0.2, 0.55, 0.9]), seed=1) == 2


def test_an_output_that_breaks_its_limit_costs_the_choice(valley, slope) -> None:
    pool = [0.0, 0.2, 0.45, 0.55, 0.9]
    limited = question(pool, limits={1: 1.0 + 3 * 0.5}, baseline=GRID[[1]])

    assert most_promising([valley, slope], limited, seed=1) == 2


def test_what_is_pending_is_not_chosen_again(valley) -> None:
    twice = question([0.549, 0.9], pending=np.array([[0.55]]))
    unseen = Observations(np.array([[0.0], [0.1], [0.2]]), np.array([0.5, 0.4, 0.45]))
    rough = (unseen, fit(unseen))

    assert most_promising([rough], twice, seed=1) == 1


def test_weights_decide_between_objectives(valley, slope) -> None:
    def chosen(weights: list[float]) -> int:
        both = Scalarisation(np.array(weights), np.array([0.1, 1.0]), np.array([0.3, 3.0]))
        pool = question([0.01, 0.55], scalarisation=both, baseline=GRID[[8]])
        return most_promising([valley, slope], pool, seed=1)

    assert chosen([0.95, 0.05]) == 1
    assert chosen([0.05, 0.95]) == 0


def test_the_order_of_a_scalarisation_is_best_first_and_looks_at_the_objectives_alone() -> None:
    values = np.array([[0.3, 9.0], [0.1, 99.0], [0.2, 1.0]])

    assert ONE.order(values) == [1, 2, 0]


def test_the_worst_scaled_objective_counts_and_the_sum_breaks_ties() -> None:
    even = Scalarisation(np.full(2, 0.5), np.zeros(2), np.array([1.0, 10.0]))

    assert even.order(np.array([[1.0, 1.0], [0.4, 8.0], [0.1, 8.0]])) == [2, 1, 0]


def test_the_same_seed_gives_the_same_choice_and_the_threads_are_given_back(valley) -> None:
    threads = torch.get_num_threads()
    pool = question(list(np.linspace(0.5, 0.6, 40)))

    assert most_promising([valley], pool, seed=3) == most_promising([valley], pool, seed=3)
    assert torch.get_num_threads() == threads


def test_known_candidates_side_by_side_do_not_break_the_model() -> None:
    seen = Observations(np.full((12, 1), 0.5), np.linspace(0.1, 0.2, 12))

    assert most_promising([(seen, fit(seen))], question([0.5, 0.5]), seed=0) in (0, 1)
