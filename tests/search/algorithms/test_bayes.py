"""Bayesian optimisation models what was measured, keeps away from what would be rejected, and does
not compute again what a journal holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from search.algorithms import bayes
from search.algorithms.bayes import BayesianOptimisation
from search.config import Bounds
from search.evaluation import Evaluation
from tests.measurements import make_measurement
from tests.search.algorithms.asking import search
from tests.search.evaluations import make_evaluation, make_rejected
from tests.search.synthetic import PROBLEM, SPACE, outcome_of

TIGHT = Bounds(val_error=0.3, latency_us=2_000.0)


def make_bayes(**changes) -> BayesianOptimisation:
    fields = dict(
        objectives=("val_error", "latency_us"), bounds=TIGHT, seed=0, space=SPACE, problem=PROBLEM
    )
    return BayesianOptimisation(**{**fields, **changes})


def filled(count: int = bayes.FIRST_MEASURED, **changes) -> BayesianOptimisation:
    """Told `count` outcomes of its own random draws, all of them trained."""
    algorithm = make_bayes(**changes)
    for _ in range(count):
        asked = algorithm.ask()
        assert asked is not None
        algorithm.tell(asked.genotype, outcome_of(asked.genotype, Bounds()))
    return algorithm


def test_random_candidates_first_then_children_of_what_was_told() -> None:
    algorithm = make_bayes(bounds=Bounds())

    history = search(algorithm, bayes.FIRST_MEASURED + 4, bounds=Bounds(), window=1)

    first, rest = history.asked[: bayes.FIRST_MEASURED], history.asked[bayes.FIRST_MEASURED :]
    assert {asked.parent for asked in first} == {None}
    assert any(asked.parent in history.archids for asked in rest)


def test_what_would_be_rejected_is_seldom_asked_for() -> None:
    """Half of all draws are too slow here, and nearly none of those chosen under the model."""
    history = search(make_bayes(), 32, bounds=TIGHT)
    is_trained = [isinstance(outcome, Evaluation) for outcome in history.outcomes]

    assert is_trained[:16].count(False) >= 5
    assert is_trained[-12:].count(False) <= 2


def test_candidates_that_arithmetic_rejects_are_not_chosen() -> None:
    small = replace(TIGHT, macs=20_000)
    algorithm = filled(bounds=small)

    asked = algorithm.ask()

    assert asked is not None
    assert outcome_of(asked.genotype, Bounds()).cost.macs <= 20_000


def test_rejected_candidates_teach_what_was_measured_of_them() -> None:
    algorithm = make_bayes()
    genotypes = [asked.genotype for _ in range(3) if (asked := algorithm.ask())]
    algorithm.tell(genotypes[0], make_rejected(genotypes[0], tier="analytic"))
    algorithm.tell(genotypes[1], make_rejected(genotypes[1], tier="failed"))
    slow = make_rejected(genotypes[2], tier="measured", untrained=make_measurement(cycles=10**6))
    algorithm.tell(genotypes[2], slow)

    (told,) = algorithm._told
    assert told.archid == genotypes[2].archid
    assert told.values["latency_us"] == 10_000.0
    assert "val_error" not in told.values


def test_what_is_recorded_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = filled(), filled()
    asked = one.ask()
    monkeypatch.setattr(bayes, "most_promising", None)

    assert other.ask(asked) == asked
    assert other.state_digest() == one.state_digest()


def test_each_output_is_fitted_anew_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    algorithm = filled()
    algorithm.ask()
    fitted = []
    fit = bayes.fit
    monkeypatch.setattr(bayes, "fit", lambda seen: fitted.append(len(seen.y)) or fit(seen))
    for _ in range(2):
        asked = algorithm.ask()
        assert asked is not None
        algorithm.tell(asked.genotype, outcome_of(asked.genotype, Bounds()))

    assert len(fitted) == 1, "one outcome told before the last question, one of two outputs"


def test_outcomes_without_any_difference_and_errors_of_zero_can_be_modelled() -> None:
    algorithm = make_bayes(bounds=Bounds())
    for _ in range(bayes.FIRST_MEASURED):
        asked = algorithm.ask()
        assert asked is not None
        algorithm.tell(asked.genotype, make_evaluation(asked.genotype, val_error=0.0))

    assert algorithm.ask() is not None


def test_macs_can_stand_in_for_latency() -> None:
    algorithm = filled(objectives=("val_error", "macs"), bounds=Bounds(val_error=0.3))

    assert algorithm.ask() is not None


def test_a_model_is_made_of_the_newest_and_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bayes, "KNOWN", 5)
    algorithm = filled()
    seen = []
    choose = bayes.most_promising

    def most_promising(outputs, question, *, seed):
        seen.extend(len(observations.y) for observations, _ in outputs)
        return choose(outputs, question, seed=seed)

    monkeypatch.setattr(bayes, "most_promising", most_promising)
    algorithm.ask()

    assert all(5 < count <= 5 + bayes.BEST for count in seen)
