"""What does a run folder say, clocks aside, and in what does it differ from another one?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JOURNAL = "journal.jsonl"
FINALISTS = "finalists.jsonl"

# What a clock decides: of journal and finalists, then of the report.
_CLOCKS = frozenset(
    ("at_s", "train_seconds", "spent", "activities", "started_at", "duration_s", "build_s")
    + ("by_seconds", "wall_time", "finalists_time", "seconds", "run_dir")
)
# Compared by their values or, because clocks are drawn in them, only by being there.
_NOT_BYTES = frozenset((JOURNAL, FINALISTS, "measurement.json", "environment.json"))
_DRAWN = frozenset(("report.html", "front.svg", "front.png", "workers.log"))


@dataclass(frozen=True)
class Lines:
    """Of a JSONL file at one moment: its whole lines, and the bytes of a torn one behind them."""

    whole: bytes
    torn: int

    @property
    def count(self) -> int:
        return self.whole.count(b"\n")


def lines_of(path: Path) -> Lines:
    data = path.read_bytes() if path.exists() else b""
    end = data.rfind(b"\n") + 1
    return Lines(data[:end], len(data) - end)


def files_of(run_dir: Path) -> set[str]:
    """All files, by name within the folder; the lock of a run is no part of it."""
    paths = (path for path in run_dir.rglob("*") if path.is_file())
    names = {path.relative_to(run_dir).as_posix() for path in paths}
    return {name for name in names if not name.endswith(".lock")}


def drafts_of(run_dir: Path) -> list[str]:
    return sorted(name for name in files_of(run_dir) if Path(name).name.startswith("."))


def written_at(run_dir: Path, archids: set[str]) -> dict[str, int]:
    """When the models and weights of these candidates were written, in ns: evaluating one again
    would write them again."""
    return {
        name: (run_dir / name).stat().st_mtime_ns
        for name in sorted(files_of(run_dir))
        if name.split("/")[0] in ("models", "weights") and Path(name).name.split(".")[0] in archids
    }


def archids_of(lines: Lines) -> list[str]:
    tables = map(json.loads, lines.whole.splitlines())
    return [table["outcome"]["archid"] for table in tables if "outcome" in table]


def differences(run_dir: Path, whole: Path) -> list[str]:
    """Sentences; none where the folder holds what the undisturbed run's does."""
    found = []
    here, there = files_of(run_dir), files_of(whole)
    for name in sorted(here ^ there):
        found.append(f"{name} is {'left over' if name in here else 'missing'}")
    for name in sorted(here & there):
        base = Path(name).name
        if base in _DRAWN:
            continue
        one, other = run_dir / name, whole / name
        if not (same_values(one, other) if base in _NOT_BYTES else _same(one, other)):
            found.append(f"{name} differs")
    return found


def same_values(one: Path, other: Path) -> bool:
    """Whether two files of JSON say the same but for clocks."""
    return bool(_values(one) == _values(other))


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def _values(path: Path) -> Any:
    if path.suffix != ".jsonl":
        return _timeless(json.loads(path.read_text()))
    tables = [_timeless(json.loads(line)) for line in path.read_text().splitlines()]
    if path.name == FINALISTS:  # in the order in which workers were done
        tables.sort(key=lambda table: str(table["outcome"]["archid"]))
    return tables


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key not in _CLOCKS}
    return [_timeless(each) for each in value] if isinstance(value, list) else value
