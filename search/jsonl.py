"""How is a file of JSON lines read, and how does it grow, so that a crash costs its last line at
most? Must not know what a line says."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import JournalError
from search.keeping import writing

CORRUPT_HINT = "restore the file from a copy, or start a new run"


@dataclass(frozen=True)
class Lines:
    """A file as read: an object a line. `intact_bytes` ends its last whole line; `torn_bytes`
    follow it."""

    tables: tuple[dict[str, Any], ...]
    intact_bytes: int
    torn_bytes: int


def read_lines(path: Path) -> Lines:
    """Read without changing the file; a torn last line is left out.

    Raises:
        JournalError: it cannot be read, or a whole line is no JSON object (with its number).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JournalError(
            f"cannot be read: {error.strerror}", where=path, hint="check the run folder"
        ) from None
    intact = data.rfind(b"\n") + 1
    lines = data[:intact].split(b"\n")[:-1]
    tables = tuple(_parse(line, path, number) for number, line in enumerate(lines, start=1))
    return Lines(tables, intact, len(data) - intact)


class Appender:
    """Adds lines to a file, which is made where it is not there. keep_bytes: of it, the rest is
    cut off first; None: all."""

    def __init__(self, path: Path, *, keep_bytes: int | None = None) -> None:
        self.path = path
        with writing(path):
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            if keep_bytes is not None and os.fstat(self._file).st_size > keep_bytes:
                os.ftruncate(self._file, keep_bytes)
                os.fsync(self._file)

    def append(self, table: dict[str, Any]) -> None:
        """On disk when this returns. Raises JournalError where it cannot be written."""
        line = line_of(table)
        with writing(self.path):
            while line:
                line = line[os.write(self._file, line) :]
            os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)


def appending(path: Path) -> Appender:
    """To the file at `path`, without its torn last line; made where it is not there.

    Raises:
        JournalError: it cannot be read or written, or a whole line is no JSON object.
    """
    return Appender(path, keep_bytes=read_lines(path).intact_bytes if path.exists() else None)


def line_of(table: dict[str, Any]) -> bytes:
    """`table` as it stands in a file. Raises ValueError for NaN: it is not JSON, and no objective
    of ours may be one."""
    return json.dumps(table, sort_keys=True, allow_nan=False).encode() + b"\n"


def corrupt(what: str, path: Path, number: int) -> JournalError:
    """Line `number` is not what it should be."""
    return JournalError(what, where=f"{path}:{number}", hint=CORRUPT_HINT)


def _parse(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        table = json.loads(line)
    except ValueError:  # not JSON, or not UTF-8
        raise corrupt("is not JSON", path, number) from None
    if not isinstance(table, dict):
        raise corrupt("is not a JSON object", path, number)
    return table
