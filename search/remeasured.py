"""What of a run was measured again, because a control run behind it failed? remeasured.jsonl,
beside the journal, which stays as it was written: what the search was told, it was told. Front,
report and finalists take the new numbers. Opens no unit itself.

A line is {"replaces": {"model_sha256", "started_at"}, "archid", "measured"}.

Only final networks are measured again. What the measurement of an untrained one decided stays
decided: who was rejected by it is not called back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from harness.errors import JournalError
from harness.ledger import Measured
from harness.measurement import Measurement
from harness.pool import Pool
from search.evaluation import Evaluation, Outcome
from search.jsonl import appending, corrupt, read_lines

REMEASURED_NAME = "remeasured.jsonl"

Remeasured = Mapping[Measured, Measurement]


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
    pool: Pool,
    measure: Callable[..., Measurement],
    read: Callable[[], Iterable[Outcome]],
    *,
    on_step: Callable[[str], None] = lambda step: None,
) -> None:
    """Check each unit that measured once more, and measure again, on others, what is doubted,
    until nothing is. The journal's lock, which the caller has, is that of the file, too.

    Args:
        measure: measure(model, name=...), on any unit of `pool`.
        read: the run's outcomes, corrected by what has been measured again.

    Raises:
        NoUnitError: none is left. What is done stays in the file.
        JournalError: a file is damaged, missing or cannot be written.
        HilnasError: a network that was measured before cannot be now.
    """
    while True:
        on_step("a last control run of each unit")
        pool.confirm()
        suspects = pool.suspects()
        doubted = [
            outcome
            for outcome in read()
            if isinstance(outcome, Evaluation)
            and (unit := outcome.measured.unit) is not None
            and key_of(outcome.measured) in suspects.get(unit.unit, set())
        ]
        if not doubted:
            return
        for number, outcome in enumerate(doubted, start=1):
            on_step(f"measuring again: {number} of {len(doubted)}")
            again = measure(_model_of(run_dir, outcome), name=f"{outcome.archid} again")
            _append(run_dir, outcome, again)


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
