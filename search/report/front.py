"""Which of the trained networks are worth choosing from? Non-dominated in error, latency, SRAM and
flash, and inside the bounds. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from search.config import Bounds
from search.evaluation import Evaluation, Outcome
from search.fitness import Objectives, broken_by


def pareto_front(outcomes: Sequence[Outcome], bounds: Bounds) -> tuple[Evaluation, ...]:
    """The evaluations that keep every resource bound and that no other such one dominates, fastest
    first. Of equals in all four objectives the first found stays.

    Raises:
        NotComparableError: they were measured under different conditions.
    """
    kept: dict[Objectives, Evaluation] = {}
    for outcome in outcomes:
        if isinstance(outcome, Evaluation) and broken_by(bounds, outcome.measured) is None:
            kept.setdefault(Objectives.of(outcome), outcome)
    evaluations = list(kept.values())
    for evaluation in evaluations[1:]:
        evaluations[0].measured.comparable_with(evaluation.measured)
    front = [
        evaluation
        for objectives, evaluation in kept.items()
        if not any(other.dominates(objectives) for other in kept)
    ]
    return tuple(sorted(front, key=lambda e: (e.measured.latency_us.median, e.val_error)))
