"""What has become of a unit? A file of JSON lines for each unit of the map, below the user's state
folder: it outlives commands and crashes, and is what the processes of a pool know of each other's
measurements. Opens no unit, decides nothing.

A line is {"at", "probe", "kind", ...}. `at`: UTC. `probe`: of the unit then; lines of another one
are another unit's that had this name, and count for nothing. Kinds, and what else they say:

    control      a good control run: run, key, cycles, drift_ppm, deviation_ppm
    measured     run, model_sha256, image_sha256, started_at
    failure      during, error (its class), said
    rung         during, rung, error, result, seconds
    vanished     said: what is not there
    suspect      measured: list of {"model_sha256", "started_at"} since the last good control
    quarantined  why
    released
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from harness.errors import JournalError
from harness.hardware_map import MappedUnit, plain_probe
from harness.lease import holder_of
from harness.workspace import state_dir

_LOCK_S = 10.0  # a line is written in milliseconds
_POLL_S = 0.01
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class Measured(NamedTuple):
    """What tells a measurement from all others of its unit."""

    model_sha256: str
    started_at: str


class ControlRun(NamedTuple):
    """A good one. key: control runs are compared with those of the same key alone."""

    run: str
    key: str
    cycles: float
    drift_ppm: float | None
    deviation_ppm: float | None


class Quarantine(NamedTuple):
    why: str
    since: str

    def __str__(self) -> str:
        return f"quarantined since {self.since}: {self.why}"


@dataclass
class History:
    """What a ledger comes to. controls: all good ones, oldest first. unconfirmed: measured since
    the last of them. quarantine: None where the unit may be used. vanished: how often in a row,
    with nothing measured in between, the last time at vanished_at (seconds of the system's clock).
    """

    controls: list[ControlRun] = field(default_factory=list)
    unconfirmed: list[Measured] = field(default_factory=list)
    suspects: set[Measured] = field(default_factory=set)
    quarantine: Quarantine | None = None
    vanished: int = 0
    vanished_at: float = 0.0
    _is_doubtful: bool = False  # since the last control run it was away, or failed

    def is_control_due(self, run: str, every: int) -> bool:
        """Before it is measured on in `run`, where `every` measurements want one."""
        return (
            not self.controls
            or self._is_doubtful
            or self.controls[-1].run != run
            or len(self.unconfirmed) >= every
        )

    def pause_left_s(self) -> float:
        """How long a unit that vanished is still left alone: each time twice as long."""
        if not self.vanished:
            return 0.0
        doubled: float = _FIRST_PAUSE_S * 2 ** min(self.vanished - 1, 16)
        pause = min(doubled, _LONGEST_PAUSE_S)
        return max(0.0, min(pause, self.vanished_at + pause - time.time()))

    def take(self, table: dict[str, Any]) -> None:
        """One more line. Raises KeyError, TypeError or ValueError where it is none."""
        known = _TAKE.get(table["kind"])
        at = datetime.fromisoformat(table["at"])
        if known is not None:  # failures and rungs are for people
            known(self, table, at)


def _control(history: History, table: dict[str, Any], at: datetime) -> None:
    history.controls.append(ControlRun(*(table[name] for name in ControlRun._fields)))
    history.unconfirmed.clear()
    history._is_doubtful = False


def _measured(history: History, table: dict[str, Any], at: datetime) -> None:
    history.unconfirmed.append(Measured(table["model_sha256"], table["started_at"]))
    history.vanished = 0


def _vanished(history: History, table: dict[str, Any], at: datetime) -> None:
    history.vanished += 1
    history.vanished_at = at.timestamp()
    history._is_doubtful = True


def _suspect(history: History, table: dict[str, Any], at: datetime) -> None:
    history.suspects.update(Measured(**each) for each in table["measured"])
    history.unconfirmed.clear()


def _quarantined(history: History, table: dict[str, Any], at: datetime) -> None:
    history.quarantine = Quarantine(table["why"], table["at"])
    history._is_doubtful = True


def _released(history: History, table: dict[str, Any], at: datetime) -> None:
    history.quarantine = None


_TAKE: dict[str, Callable[[History, dict[str, Any], datetime], None]] = {
    "control": _control,
    "measured": _measured,
    "vanished": _vanished,
    "suspect": _suspect,
    "quarantined": _quarantined,
    "released": _released,
}


class Ledger:
    """The ledger of one unit, which any number of processes may read and append to.

    Every call raises JournalError: the file cannot be read or written, or a line of it is damaged.
    """

    def __init__(self, unit: MappedUnit) -> None:
        self.path = state_dir() / "units" / f"{unit.name}.jsonl"
        self._probe = plain_probe(unit.probe)
        self._history = History()
        self._bytes = self._lines = 0  # that the history has taken

    def history(self) -> History:
        """As of now; not to be changed. Costs what was appended since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._bytes)
                fresh = file.read()
        except FileNotFoundError:
            return self._history
        except OSError as error:
            raise self._failed(f"cannot be read: {error.strerror}") from None
        for line in fresh[: fresh.rfind(b"\n") + 1].splitlines(keepends=True):
            self._bytes += len(line)
            self._lines += 1
            try:
                table = json.loads(line)
                if table["probe"] == self._probe:
                    self._history.take(table)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                where = f"{self.path}:{self._lines}"
                raise self._failed(f"is no event of a unit: {error!r}", where) from None
        return self._history

    def append(self, kind: str, **facts: Any) -> None:
        """On disk when this returns. A torn last line, which a crash left, is cut off."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        table = {"at": at, "probe": self._probe, "kind": kind, **facts}
        line = json.dumps(table, allow_nan=False).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                self._lock(file)
                _cut_torn_line(file)
                while line:
                    line = line[os.write(file, line) :]
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise self._failed(f"cannot be written: {error.strerror}") from None

    def _lock(self, file: int) -> None:
        end = time.monotonic() + _LOCK_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > end:
                    raise self._failed(f"is locked by another process for {_LOCK_S:g} s") from None
                time.sleep(_POLL_S)

    def _failed(self, what: str, where: object = None) -> JournalError:
        hint = "mend or remove the file: without it the unit's history starts anew"
        return JournalError(what, where=where or self.path, hint=hint)


def state_of(unit: MappedUnit) -> str:
    """In words: quarantined, in use, away or free."""
    history = Ledger(unit).history()
    if history.quarantine is not None:
        return str(history.quarantine)
    if (holder := holder_of(unit.probe)) is not None:
        return f"in use by {holder}"
    return "away when last looked for" if history.vanished else "free"


def _cut_torn_line(file: int) -> None:
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        whole = os.pread(file, size, 0)
        os.ftruncate(file, whole.rfind(b"\n") + 1)
