"""Which evaluations are worth keeping? Pure arithmetic on outcomes; draws and prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.measurement import Measurement
from search.evaluation import Evaluation, Outcome
from search.fitness import FRONT, Objectives


def pareto_front(
    evaluations: Iterable[Evaluation], names: Sequence[str] = FRONT
) -> list[Evaluation]:
    """The evaluations that no other dominates in the objectives named (val_error, median
    latency_us, total SRAM and total flash), by ascending val_error, then latency. Of equal ones
    all are kept."""
    scored = [(Objectives.of(evaluation), evaluation) for evaluation in evaluations]
    front = [
        (mine, evaluation)
        for mine, evaluation in scored
        if not any(other.dominates(mine, names) for other, _ in scored)
    ]
    front.sort(key=lambda pair: (pair[0].val_error, pair[0].latency_us, pair[1].archid))
    return [evaluation for _, evaluation in front]


def measurements_of(outcomes: Iterable[Outcome]) -> list[Measurement]:
    """One measurement of each candidate that reached a board: of the final model where it was
    trained, of the untrained export where that broke a bound."""
    found = []
    for outcome in outcomes:
        measured = outcome.measured if isinstance(outcome, Evaluation) else outcome.untrained
        if measured is not None:
            found.append(measured)
    return found
