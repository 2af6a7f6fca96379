"""What does a report know of one candidate? Its outcome, its place in the run, and when it was
there, as far as the journal says: what is not recorded is None, never zero."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from harness.measurement import Measurement
from search.evaluation import Evaluation, Outcome
from search.journal import Entry


@dataclass(frozen=True)
class Candidate:
    """index: its place in the order of asking. at_s: seconds of wall time into the run when its
    outcome was there. workers: that the run had then."""

    index: int
    outcome: Outcome
    at_s: float | None = None
    workers: int | None = None

    @property
    def archid(self) -> str:
        return self.outcome.archid

    @property
    def trained(self) -> Evaluation | None:
        return self.outcome if isinstance(self.outcome, Evaluation) else None


def read_candidates(entries: Sequence[Entry]) -> tuple[Candidate, ...]:
    """The candidates of a journal, in the order of asking. Where the journal does not say when all
    of its networks were trained, the clocks of their measurements do."""
    recorded = all(entry.at_s for entry in entries if isinstance(entry.outcome, Evaluation))
    outcomes = [entry.outcome for entry in entries]
    times = [entry.at_s for entry in entries] if recorded else _measured_times(outcomes)
    return tuple(
        Candidate(entry.index, entry.outcome, at_s or None, entry.workers or None)
        for entry, at_s in zip(entries, times, strict=True)
    )


def _measured_times(outcomes: Sequence[Outcome]) -> list[float | None]:
    """Seconds from the beginning of the first measurement to the end of each candidate's last one.
    Pauses of the run are in it."""
    starts = [_start(o.untrained) for o in outcomes if o.untrained is not None]
    first = min((start for start in starts if start is not None), default=None)
    times: list[float | None] = []
    for outcome in outcomes:
        last = outcome.measured if isinstance(outcome, Evaluation) else outcome.untrained
        start = _start(last) if last is not None else None
        if last is None or start is None or first is None:
            times.append(None)
        else:
            times.append(start + last.duration_s - first)
    return times


def _start(measurement: Measurement) -> float | None:
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(measurement.started_at).timestamp()
    return None
