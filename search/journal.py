"""What has a run found out so far? An append-only JSONL file, one candidate a line, synchronised
to disk line by line. Knows nothing of algorithms or workers.

Line 1 is the header: {"schema", "config_sha256", "config", "versions"}. Line n + 2 is candidate n:
{"index": n, "state", "at_s", "outcome"}; `state` is the algorithm's state_digest() right after the
candidate was asked for, so that a replay notices where it leaves the recorded run; `at_s` is the
wall time in seconds that the run had taken until then, pauses apart, `workers` how many it had.

Schema history
    1   first form; early journals of it have no `at_s` or no `workers`, and `parent` beside the
        outcome or not at all
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from harness.errors import JournalError
from search.config import Budget, Data, Device, SearchConfig
from search.evaluation import Outcome, outcome_from_json, outcome_to_json
from search.jsonl import CORRUPT_HINT, Appender, corrupt, line_of, read_lines
from search.keeping import write_whole
from search.lowering import Shape

SCHEMA = 1

# What a resumed run may change: none of these decides which candidate follows which.
MAY_CHANGE = (
    "search.minutes",
    "search.workers",
    "device.tflm_dir",
    "device.control_every",
    "space.file",
    "finalists.epochs",
    "finalists.count",
    "finalists.spread",
)
MAY_GROW = ("search.rounds",)
_DATASET = "found.dataset_sha256"
# Of schema 1, whatever else may change by now: another list would make older journals unreadable.
_NOT_DIGESTED = ("search.minutes", "search.workers", "search.rounds")


@dataclass(frozen=True)
class Header:
    """config: flattened, "table.key" -> value, with what was found: the data set's input_shape and
    classes, because a configuration may load another set where the one it names is not installed,
    and the digest of its samples, because files may change; the digest of the file that describes
    the space; and the version of an engine that is no part of hilnas, because what it takes and
    gives decides which candidate follows which.
    versions: of the packages that decide results."""

    config: dict[str, Any]
    versions: dict[str, str]

    @classmethod
    def of(
        cls,
        config: SearchConfig,
        versions: dict[str, str],
        *,
        input_shape: Shape = (),
        classes: int = 0,
        dataset_sha256: str = "",
        engine_version: str = "",
        space_sha256: str | None = None,
    ) -> Header:
        found = {"found.input_shape": list(input_shape), "found.classes": classes}
        if dataset_sha256:
            found[_DATASET] = dataset_sha256
        if engine_version:
            found["found.engine_version"] = engine_version
        if space_sha256 is not None:
            found["found.space_sha256"] = space_sha256
        return cls({**_flatten(asdict(config)), **found}, versions)

    @property
    def config_sha256(self) -> str:
        """Tells a header that was damaged or edited."""
        fixed = {key: value for key, value in self.config.items() if key not in _NOT_DIGESTED}
        return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "config_sha256": self.config_sha256,
            "config": self.config,
            "versions": self.versions,
        }


@dataclass(frozen=True)
class Entry:
    """One candidate. state: digest of the algorithm right after it was asked for. at_s: seconds of
    wall time into the run; workers: of that session; both 0 where the journal does not say."""

    index: int
    state: str
    outcome: Outcome
    at_s: float = 0.0
    workers: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "state": self.state,
            "at_s": self.at_s,
            "workers": self.workers,
            "outcome": outcome_to_json(self.outcome),
        }


@dataclass(frozen=True)
class Record:
    """A journal as read. `intact_bytes` ends its last whole line; `torn_bytes` follow it."""

    header: Header
    entries: tuple[Entry, ...]
    intact_bytes: int
    torn_bytes: int


def read_journal(path: Path) -> Record:
    """Read without locking or changing the file; a torn last line is left out.

    Raises:
        JournalError: not there, no header, another schema, or a whole line that is not what it
            should be (with its number).
    """
    lines = read_lines(path)
    if not lines.tables:
        raise JournalError("has no header line", where=path, hint="start a new run")
    header = _header(lines.tables[0], path)
    entries = []
    for number, table in enumerate(lines.tables[1:], start=2):
        try:
            entry = _entry(table)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise corrupt(f"is no candidate: {error!r}", path, number) from None
        if entry.index != number - 2:
            raise JournalError(
                "candidates are not in order",
                where=f"{path}:{number}",
                expected=f"index {number - 2}",
                got=repr(entry.index),
                hint=CORRUPT_HINT,
            )
        entries.append(entry)
    return Record(header, tuple(entries), lines.intact_bytes, lines.torn_bytes)


class Journal:
    """The one writer of a journal file; a second one, in any process, is refused until this one is
    closed. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Takes the lock. Raises JournalError where another writer holds it."""
        self.path = path
        self._lines: Appender | None = None
        self._lock = FileLock(f"{path}.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise JournalError(
                "another process is writing this run",
                where=path.parent,
                hint="wait for it or end it, or choose another run folder",
            ) from None

    def create(self, header: Header) -> None:
        """Start an empty journal: it is there with its header, or not at all, so that a run that
        is killed here can begin again. Raises JournalError where there is one already."""
        self.check_absent()
        write_whole(self.path, line_of(header.to_json()))
        self._lines = Appender(self.path)

    def check_absent(self) -> None:
        if self.path.exists():
            raise JournalError(
                "there is a journal already",
                where=self.path,
                hint="resume it, or choose another run folder",
            )

    def resume(self, header: Header) -> Record:
        """Go on behind the last whole line; a torn one is cut off.

        Raises:
            JournalError: as read_journal; no journal is there; or the run was started with another
                configuration or other samples.
        """
        if not self.path.exists():
            raise JournalError(
                "is not there: the run was stopped before it began, or the folder is another one",
                where=self.path,
                hint="begin it with --out instead of --resume, or check the path",
            )
        record = read_journal(self.path)
        _check_same_config(record.header.config, header.config, self.path)
        _check_same_samples(record.header.config, header.config, self.path)
        self._lines = Appender(self.path, keep_bytes=record.intact_bytes)
        return record

    def append(self, entry: Entry) -> None:
        """On disk when this returns."""
        assert self._lines is not None, "create() or resume() comes first"
        self._lines.append(entry.to_json())

    def close(self) -> None:
        if self._lines is not None:
            self._lines.close()
            self._lines = None
        self._lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _entry(table: dict[str, Any]) -> Entry:
    """Raises KeyError, TypeError, ValueError or AttributeError where it is none."""
    index, state, outcome = table["index"], table["state"], table["outcome"]
    outcome = outcome_from_json({"parent": table.get("parent"), **outcome})
    at_s, workers = float(table.get("at_s", 0.0)), int(table.get("workers", 0))
    return Entry(index, state, outcome, at_s, workers)


def _header(table: dict[str, Any], path: Path) -> Header:
    if table.get("schema") != SCHEMA:
        raise JournalError(
            "is a journal of another schema",
            where=f"{path}:1",
            expected=SCHEMA,
            got=repr(table.get("schema")),
            hint="read it with the version of hilnas that wrote it",
        )
    config, versions = table.get("config"), table.get("versions")
    if not isinstance(config, dict) or not isinstance(versions, dict):
        raise corrupt("is no header: config or versions are missing", path, 1)
    header = Header(config, versions)
    if table.get("config_sha256") != header.config_sha256:
        raise corrupt("config_sha256 does not belong to the header's config", path, 1)
    return header


def _check_same_config(recorded: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    # A key that the record lacks is younger; its default is what searches did before it.
    defaults = SearchConfig("defaults", Budget(), Device(""), Data(""))
    recorded = {**_flatten(asdict(defaults)), **recorded}
    for key in sorted((recorded.keys() | now.keys()) - {_DATASET}):
        before, after = recorded.get(key), now.get(key)
        grown = key in MAY_GROW and int(before or 0) <= int(after or 0)
        if before != after and not grown and key not in MAY_CHANGE:
            raise JournalError(
                f"the run was started with another configuration: {key} differs",
                where=path,
                expected=repr(before),
                got=repr(after),
                hint="restore it, or start a new run",
            )


def _check_same_samples(recorded: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    # Early journals do not say which samples they were started with.
    before, after = recorded.get(_DATASET), now.get(_DATASET)
    if before is not None and before != after:
        raise JournalError(
            f"the run was started with other samples than [data] {now['data.name']} holds now",
            where=path,
            expected=f"sha256 {before}",
            got=after,
            hint="restore the files as they were, or start a new run",
        )


def _flatten(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            # As it is read back: JSON knows no tuples.
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat
