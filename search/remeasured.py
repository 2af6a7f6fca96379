"""What of a run was measured again, because a control run behind it failed? remeasured.jsonl,
beside the journal, which stays as it was written: what the search was told, it was told. Front,
report and finalists take the new numbers. Opens no unit itself.

A line is {"replaces": {"model_sha256", "started_at"}, "archid", "measured"}.

Only final networks are measured again. What the measurement of an untrained one decided stays
decided: who was rejected by it is not called back.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from harness.errors import JournalError
from harness.ledger import Measured
from harness.measurement import Measurement
from search.evaluation import Evaluation, Outcome
from search.jsonl import appending, corrupt, read_lines

REMEASURED_NAME = "remeasured.jsonl"

Remeasured = Mapping[Measured, Measurement]


class Units(Protocol):
    """The pool that measures: see harness.pool.Pool."""

    def confirm(self) -> None: ...

    def suspects(self) -> dict[str, set[Measured]]: ...


def read_remeasured(run_dir: Path) -> dict[Measured, Measurement]:
    """By what each replaces, oldest first; empty where no file is there.

    Raises:
        JournalError: a file that is not what it should be.
    """
    path = run_dir / REMEASURED_NAME
    if not path.exists():
        return {}
    found = {}
    for number, table in enumerate(read_lines(path).tables, start=1):
        try:
            found[Measured(**table["replaces"])] = Measurement.from_json(table["measured"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise corrupt(f"is no measurement: {error!r}", path, number) from None
    return found


def corrected(outcome: Outcome, remeasured: Remeasured) -> Outcome:
    """`outcome` with the last measurement of its final network."""
    if not isinstance(outcome, Evaluation):
        return outcome
    measured = outcome.measured
    for replaced, again in remeasured.items():  # oldest first: each may replace the one before
        if key_of(measured) == replaced:
            measured = again
    return outcome if measured is outcome.measured else replace(outcome, measured=measured)


def key_of(measured: Measurement) -> Measured:
    return Measured(measured.model_sha256, measured.started_at)


def settle(
    run_dir: Path,
    pool: Units,
    measure: Callable[..., Measurement],
    read: Callable[[], Iterable[Outcome]],
    *,
    control_every: int,
    on_step: Callable[[str], None] = lambda step: None,
) -> None:
    """Check each unit that measured once more, and measure again, on others, what is doubted,
    until nothing is. The journal's lock, which the caller has, is that of the file, too.

    A unit that the pool does not know any more (its machine is gone, or it was taken out of the
    map) cannot be asked what it measured since its last good control run: at most control_every
    measurements, so that its last ones are doubted, so many of them.

    Args:
        measure: measure(model, name=...), on any unit of `pool`.
        read: the run's outcomes, as they were told.
        control_every: see Pool; of this run.

    Raises:
        NoUnitError: none is left. What is done stays in the file.
        JournalError: a file is damaged, missing or cannot be written.
        HilnasError: a network that was measured before cannot be now.
    """
    while True:
        on_step("a last control run of each unit")
        pool.confirm()
        told, again = list(read()), read_remeasured(run_dir)
        known = pool.suspects()
        suspects = {**_last_of_others(told, again, known, control_every), **known}
        doubted = [
            outcome
            for outcome in (corrected(each, again) for each in told)
            if isinstance(outcome, Evaluation)
            and (unit := outcome.measured.unit) is not None
            and key_of(outcome.measured) in suspects.get(unit.unit, set())
        ]
        if not doubted:
            return
        for number, outcome in enumerate(doubted, start=1):
            on_step(f"measuring again: {number} of {len(doubted)}")
            fresh = measure(_model_of(run_dir, outcome), name=f"{outcome.archid} again")
            _append(run_dir, outcome, fresh)


def _last_of_others(
    told: Iterable[Outcome], again: Remeasured, known: Container[str], count: int
) -> dict[str, set[Measured]]:
    """The last `count` measurements of each unit that is not `known`."""
    measured = [*again.values()]
    for outcome in told:
        measured += [outcome.untrained] if outcome.untrained is not None else []
        measured += [outcome.measured] if isinstance(outcome, Evaluation) else []
    found: dict[str, dict[Measured, None]] = {}  # of a unit, each once, oldest first
    for each in sorted(measured, key=lambda each: each.started_at):
        if each.unit is not None and each.unit.unit not in known:
            found.setdefault(each.unit.unit, {})[key_of(each)] = None
    return {unit: set(list(keys)[-count:]) for unit, keys in found.items()}


def _model_of(run_dir: Path, outcome: Evaluation) -> bytes:
    path = run_dir / outcome.model
    try:
        return path.read_bytes()
    except OSError as error:
        raise JournalError(
            f"a network that is to be measured again cannot be read: {error.strerror}",
            where=path,
            hint="restore the file from a copy, then resume the run",
        ) from None


def _append(run_dir: Path, outcome: Evaluation, again: Measurement) -> None:
    path = run_dir / REMEASURED_NAME
    file = appending(path)
    try:
        file.append(
            {
                "replaces": key_of(outcome.measured)._asdict(),
                "archid": outcome.archid,
                "measured": again.to_json(),
            }
        )
    finally:
        file.close()
