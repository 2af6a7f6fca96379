"""What does a run folder hold, as values? Reads config.toml, journal.jsonl, remeasured.jsonl,
environment.json and, once a run has finished, front.json. Writes front.json only.

front.json, schema 1: {"schema", "dataset", "notice", "test_images", "members": [{"archid",
"test_error", "folder", "model_sha256"}]}; test_error is that of the int8 model on the test split,
0..1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import JournalError
from search.config import SearchConfig, load_config
from search.evaluation import Evaluation, Outcome
from search.finalists import better_of, read_finalists
from search.fitness import FRONT, Objectives, broken_by, excess
from search.front import pareto_front
from search.journal import read_journal
from search.keeping import write_whole
from search.remeasured import corrected, read_remeasured
from search.report.ancestry import Ancestry, trace
from search.report.candidate import Candidate, read_candidates
from search.report.growth import Growth, growth_of
from search.report.proxy import Proxy, judge_proxies
from search.report.tiers import Reason, Tier, reasons_of, tiers_of
from search.run import CONFIG_NAME, ENVIRONMENT_NAME, JOURNAL_NAME
from search.wall_time import WallTime

FRONT_NAME = "front.json"
FRONT_DIR = "front"
SCHEMA = 1


@dataclass(frozen=True)
class Tested:
    """A front member after the run: test_error 0..1, folder relative to the run folder,
    model_sha256 of what was tested ("" in older files)."""

    archid: str
    test_error: float
    folder: str
    model_sha256: str = ""


@dataclass(frozen=True)
class FrontRecord:
    """front.json. dataset: what was really used; notice: what the user must know about it."""

    dataset: str
    notice: str
    test_images: int
    members: tuple[Tested, ...]


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it. tested: by archid; empty while the run has not finished.
    finalists: what came of those trained on, among them who did not take a place on the front."""

    config: SearchConfig
    candidates: tuple[Candidate, ...]
    front: tuple[Evaluation, ...]
    tested: dict[str, Tested]
    dataset: str
    notice: str
    test_images: int
    versions: dict[str, str]
    host: dict[str, Any]
    finalists: tuple[Outcome, ...] = ()

    @cached_property
    def outcomes(self) -> tuple[Outcome, ...]:
        return tuple(candidate.outcome for candidate in self.candidates)

    @property
    def is_tested(self) -> bool:
        """Whether all of the front was, and there is one."""
        return bool(self.front) and all(e.archid in self.tested for e in self.front)

    def error_of(self, evaluation: Evaluation) -> float:
        """0..1: on the test split where all of the front has been tested, so that no two splits
        meet in one column; else on the validation split."""
        if self.is_tested:
            return self.tested[evaluation.archid].test_error
        return evaluation.val_error

    @cached_property
    def growth(self) -> Growth:
        return growth_of(self.candidates, self.config.bounds)

    @cached_property
    def tiers(self) -> tuple[Tier, ...]:
        return tiers_of(self.outcomes, self.finalists)

    @cached_property
    def wall_time(self) -> WallTime | None:
        """Of the whole search, with the workers that it had at each moment, or those of the
        configuration where the journal does not say; None where it does not say what all of the
        time was spent on."""
        told = [bool(outcome.activities) for outcome in self.outcomes if outcome.untrained]
        if not told or not all(told):
            return None
        workers_s = before_s = 0.0
        for each in self.candidates:
            if each.at_s is not None and each.at_s > before_s:
                workers = each.workers or self.config.search.workers
                workers_s += workers * (each.at_s - before_s)
                before_s = each.at_s
        return WallTime.of(self.outcomes, workers_s=workers_s) if workers_s else None

    @cached_property
    def finalists_time(self) -> WallTime | None:
        """After the search; None where nothing was trained on."""
        return WallTime.of_finalists(self.finalists)

    @cached_property
    def reasons(self) -> tuple[Reason, ...]:
        return reasons_of(self.outcomes)

    @cached_property
    def proxies(self) -> tuple[Proxy, ...]:
        """Raises NotComparableError: candidates were measured under different conditions."""
        return judge_proxies(self.outcomes)

    @cached_property
    def ancestries(self) -> tuple[Ancestry, ...]:
        """Of the front's members, in its order."""
        return tuple(trace(self.candidates, evaluation.archid) for evaluation in self.front)


def read_run(run_dir: Path) -> Run:
    """Raises JournalError or ConfigError naming the file that is missing or damaged."""
    if not run_dir.is_dir():
        raise JournalError("no such run folder", where=run_dir, hint="check the path")
    config = load_config(run_dir / CONFIG_NAME)
    record = read_journal(run_dir / JOURNAL_NAME)
    again = read_remeasured(run_dir)
    candidates = read_candidates(
        [replace(entry, outcome=corrected(entry.outcome, again)) for entry in record.entries]
    )
    finalists = {
        archid: corrected(outcome, again)
        for archid, outcome in read_finalists(run_dir, config.finalists.epochs).items()
    }
    found = read_front(run_dir)
    return Run(
        config=config,
        candidates=candidates,
        front=find_front(config, _with_finalists(config, candidates, finalists)),
        tested={member.archid: member for member in found.members},
        dataset=found.dataset or config.data.name,
        notice=found.notice,
        test_images=found.test_images,
        versions=record.header.versions,
        host=_read_host(run_dir / ENVIRONMENT_NAME),
        finalists=tuple(finalists.values()),
    )


def _with_finalists(
    config: SearchConfig, candidates: Sequence[Candidate], finalists: Mapping[str, Outcome]
) -> list[Outcome]:
    """The outcomes, those trained on after the search as they are now."""
    return [
        better_of(trained, finalists.get(candidate.archid), config.bounds)
        if (trained := candidate.trained)
        else candidate.outcome
        for candidate in candidates
    ]


def find_front(config: SearchConfig, outcomes: Sequence[Outcome]) -> tuple[Evaluation, ...]:
    """The Pareto front of those whose final model keeps the hard bounds, fastest first. val_error
    and soft bounds are goals: as long as no network reaches them all, the front holds those that
    miss one."""
    inside = [
        outcome
        for outcome in outcomes
        if isinstance(outcome, Evaluation) and broken_by(config.bounds, outcome.measured) is None
    ]
    good = [outcome for outcome in inside if not excess(Objectives.of(outcome), config.bounds)]
    names = (*FRONT, "energy_uj") if config.needs_energy else FRONT
    front = pareto_front(good or inside, names)
    return tuple(sorted(front, key=lambda e: (e.measured.latency_us.median, e.val_error)))


def read_front(run_dir: Path) -> FrontRecord:
    """front.json, or an empty record where there is none yet.

    Raises:
        JournalError: it is there but not what it should be.
    """
    path = run_dir / FRONT_NAME
    if not path.exists():
        return FrontRecord("", "", 0, ())
    try:
        table = json.loads(path.read_text())
        if table.pop("schema") != SCHEMA:
            raise ValueError(f"schema is not {SCHEMA}")
        members = tuple(Tested(**member) for member in table.pop("members"))
        return FrontRecord(**table, members=members)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise JournalError(
            f"is no front record: {error!r}", where=path, hint="resume the run to write it anew"
        ) from None


def write_front(run_dir: Path, front: FrontRecord) -> None:
    """Replaces front.json in one step."""
    text = json.dumps({"schema": SCHEMA, **asdict(front)}, indent=2) + "\n"
    write_whole(run_dir / FRONT_NAME, text.encode())


def _read_host(path: Path) -> dict[str, Any]:
    try:
        host = json.loads(path.read_text())["host"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # facts about the host are welcome, but nothing depends on them
    return host if isinstance(host, dict) else {}
