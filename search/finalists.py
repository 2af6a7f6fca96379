"""What do the best networks of a search still gain? Those of the front are trained on, with more
epochs than any candidate could be given, and measured again. Each stands in finalists.jsonl as
soon as it is done, so that an interrupted run goes on with the next. Must not know how a network
is trained.

A line is {"epochs", "outcome"}: how long the network was trained on, and what came of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.errors import JournalError
from search.carried import weights_path
from search.config import Bounds, Finalists, SearchConfig
from search.evaluation import (
    FAILED,
    Evaluation,
    Outcome,
    Rejected,
    outcome_from_json,
    outcome_to_json,
)
from search.fitness import FRONT, Objectives, broken_by
from search.hypervolume import hypervolume
from search.jsonl import appending, corrupt, read_lines
from search.workers import Evaluators, Failure, Task

FINALISTS_NAME = "finalists.jsonl"
FINALIST = "finalist"  # the tier

# What is left of a candidate's error when it was a finalist: the median of the four of an hour's
# run (docs/search.md), 20 epochs each. It only weighs error against the rest in choosing.
GAIN = 0.85

_POLL_S = 0.5


def read_finalists(run_dir: Path, epochs: int) -> dict[str, Outcome]:
    """What came of those that were trained on for so many epochs, by archid; empty where no file
    is there.

    Raises:
        JournalError: a file that is not what it should be.
    """
    path = run_dir / FINALISTS_NAME
    if not path.exists():
        return {}
    found = {}
    for number, table in enumerate(read_lines(path).tables, start=1):
        try:
            outcome = outcome_from_json(table["outcome"])
            if table["epochs"] == epochs:
                found[outcome.archid] = outcome
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise corrupt(f"is no finalist: {error!r}", path, number) from None
    return found


def train_finalists(
    config: SearchConfig,
    run_dir: Path,
    front: Sequence[Evaluation],
    workers: Evaluators,
    *,
    on_finalist: Callable[[int, int, Outcome], None] = lambda done, count, outcome: None,
) -> None:
    """Train the networks of `front` on as [finalists] says, but those that finalists.jsonl holds
    already; its lock is the journal's, which the caller has.

    Args:
        front: as the search left it.
        workers: those of the search, with nothing left to do.
        on_finalist: told how many of how many are done, and what came of the last.

    Raises:
        JournalError: the file is damaged, or cannot be written; or the weights of a finalist are
            not there, which is said before any is trained.
        HilnasError: what a worker raised. What is done stays in the file.
    """
    chosen = choose(front, config.finalists, config.bounds) if config.finalists.epochs else []
    known = read_finalists(run_dir, config.finalists.epochs)
    missing = {
        number: each for number, each in enumerate(chosen, start=1) if each.archid not in known
    }
    if not missing:
        return
    _check_weights(config, run_dir, list(missing.values()))
    path, done = run_dir / FINALISTS_NAME, len(chosen) - len(missing)
    file = appending(path)
    try:
        # The longest first: no worker is to wait long for another one's last.
        for number, each in sorted(missing.items(), key=lambda item: -item[1].cost.macs):
            workers.submit(
                Task(number, each.genotype, each.archid, each.sparsity, is_finalist=True)
            )
        while done < len(chosen):
            for number, result in workers.collect(_POLL_S):
                outcome = _settled(missing[number], result)
                file.append(
                    {"epochs": config.finalists.epochs, "outcome": outcome_to_json(outcome)}
                )
                done += 1
                on_finalist(done, len(chosen), outcome)
    finally:
        file.close()


def _check_weights(config: SearchConfig, run_dir: Path, finalists: Sequence[Evaluation]) -> None:
    slimmed = config.pruning.enabled
    paths = [weights_path(run_dir, each.archid, slimmed=slimmed) for each in finalists]
    absent = [path for path in paths if not path.exists()]
    if absent:
        raise JournalError(
            f"the weights of {len(absent)} of {len(paths)} finalists are not there",
            where=absent[0],
            hint="restore them from a copy, or resume the run with [finalists] epochs = 0 (runs "
            "that began with that in an earlier version of hilnas kept none)",
        )


def choose(front: Sequence[Evaluation], finalists: Finalists, bounds: Bounds) -> list[Evaluation]:
    """The `count` of least val_error, the best first; then `spread` others, each the one that adds
    the most to the hypervolume of those before it (greedy subset selection, Guerreiro et al.,
    GECCO 2015), within the bounds, or a tenth beyond the front where there is none."""
    rest = sorted(front, key=lambda each: (each.val_error, each.archid))
    chosen, rest = rest[: finalists.count], rest[finalists.count :]
    reference = {name: getattr(bounds, name) or _beyond(front, name) for name in FRONT}
    expected = {each.archid: _expected(each) for each in front}
    for _ in range(min(finalists.spread, len(rest))):
        known = [expected[each.archid] for each in chosen]
        shares = [hypervolume([*known, expected[each.archid]], reference) for each in rest]
        chosen.append(rest.pop(int(np.argmax(shares))))
    return chosen


def _expected(evaluation: Evaluation) -> Objectives:
    """What it may be as a finalist."""
    return replace(Objectives.of(evaluation), val_error=GAIN * evaluation.val_error)


def _beyond(front: Sequence[Evaluation], name: str) -> float:
    """A reference that nobody lies on: they would dominate nothing."""
    values = [value for each in front for value in Objectives.of(each).values((name,))]
    return 1.1 * max(values, default=0.0) or 1.0


def better_of(evaluation: Evaluation, finalist: Outcome | None, bounds: Bounds) -> Evaluation:
    """The finalist where it keeps the hard bounds and errs no more often; otherwise the candidate
    that it was."""
    if (
        isinstance(finalist, Evaluation)
        and broken_by(bounds, finalist.measured) is None
        and finalist.val_error <= evaluation.val_error
    ):
        return finalist
    return evaluation


def _settled(before: Evaluation, result: Outcome | Failure) -> Outcome:
    """What is known of a finalist from the search, and what it is now."""
    if isinstance(result, Failure):
        return _failed(before, result.reason)
    if result.archid != before.archid:
        return _failed(before, f"its outcome is that of archid {result.archid}")
    try:
        json.dumps(outcome_to_json(result), allow_nan=False)
    except (TypeError, ValueError) as error:
        return _failed(before, f"its outcome has no JSON: {error}")
    if isinstance(result, Rejected):
        return replace(result, parent=before.parent)
    return replace(
        before,
        float_val_error=result.float_val_error,
        val_error=result.val_error,
        plain_val_error=result.plain_val_error,
        measured=result.measured,
        model=result.model,
        train_seconds=result.train_seconds,
        spent=result.spent,
        activities=result.activities,
    )


def _failed(before: Evaluation, reason: str) -> Rejected:
    return Rejected(
        archid=before.archid,
        genotype=before.genotype,
        cost=before.cost,
        tier=FAILED,
        reason=reason,
        parent=before.parent,
        sparsity=before.sparsity,
    )
