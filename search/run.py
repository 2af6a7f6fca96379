"""How does a search run? Ask, reject by arithmetic, evaluate in workers, tell, write down.

The journal of a run is a function of its configuration (wall times aside): candidates are told and
written in the order in which they were asked for, and candidate i is asked for as soon as fewer
than `window` candidates are being evaluated, whatever the number of workers and their pace. So a
journal cut off anywhere is a prefix of the whole one, and resuming is running again from the seed
with the recorded outcomes in place of workers.

An outcome that arrived before that of an older candidate waits for it in memory; an interrupted
run loses at most window - 1 of those, and evaluates them again when resumed.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.errors import ConfigError, HilnasError, JournalError
from search.algorithms import protocol
from search.algorithms.opening import open_algorithm
from search.carried import weights_path
from search.config import SearchConfig, dump_config
from search.cost import cost_of
from search.environment import environment, versions
from search.evaluation import (
    FAILED,
    Cost,
    Evaluation,
    Outcome,
    Rejected,
    outcome_from_json,
    outcome_to_json,
)
from search.fitness import broken_by_cost, objectives_of
from search.floors import Floors
from search.genotype import Genotype
from search.journal import Entry, Header, Journal, Record
from search.keeping import write_whole, writing
from search.lowering import Shape
from search.progress import (
    Arrived,
    Asked,
    Finished,
    Noticed,
    OnEvent,
    Progress,
    Started,
    Told,
    time_left,
)
from search.prospects import LOOSEN_BOUNDS, Prospects
from search.space import open_space
from search.sparsity import mutate
from search.tiers import Peer, peer_of
from search.wall_time import WallTime
from search.workers import Evaluators, Failure, Task

JOURNAL_NAME = "journal.jsonl"
CONFIG_NAME = "config.toml"
ENVIRONMENT_NAME = "environment.json"

# So many failures in a row say that the fault is not the candidates'.
HOPELESS_FAILURES = 20

_POLL_S = 0.5


@dataclass(frozen=True)
class RunResult:
    """outcomes: of all candidates told, in order. stopped: "rounds", "minutes", "interrupted", or
    "exhausted" (no new candidate that passes the analytic tier could be found)."""

    run_dir: Path
    outcomes: tuple[Outcome, ...]
    stopped: str

    @property
    def interrupted(self) -> bool:
        return self.stopped == "interrupted"

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Evaluation))


def run_search(
    config: SearchConfig,
    run_dir: Path,
    workers: Evaluators,
    *,
    input_shape: Shape,
    classes: int,
    dataset_sha256: str = "",
    engine_version: str = "",
    resume: bool = False,
    on_event: OnEvent | None = None,
) -> RunResult:
    """Search until the budget of `config.search` is used up, or Ctrl-C; its minutes count from
    this call, also when resuming.

    Args:
        run_dir: holds config.toml (of the latest session), environment.json, journal.jsonl and
            workers.log; made if it is not there.
        workers: open, for this run folder and configuration; nothing is left with them at the
            end of a run that was not interrupted.
        input_shape, classes: of the data set, (height, width, channels).
        dataset_sha256: Dataset.sha256; a run goes on with these samples alone. "": unchecked.
        engine_version: of a library that the user has built; "" where the engine is hilnas's own.
        resume: go on with the run in run_dir.

    Raises:
        JournalError: run_dir is in use, holds a run already, or one that cannot be continued.
        ConfigError: no candidate meets the bounds, or [space] names what cannot be used.
        HilnasError: what a worker raised, or nothing but failures. The journal stays intact.
    """
    space = open_space(config.space)
    try:
        if not resume:
            run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(f"cannot be made: {error.strerror}", where=run_dir) from None
    if not run_dir.is_dir():
        raise JournalError("no such run folder", where=run_dir, hint="check the path")
    header = Header.of(
        config,
        versions(),
        input_shape=input_shape,
        classes=classes,
        dataset_sha256=dataset_sha256,
        engine_version=engine_version,
        space_sha256=space.sha256,
    )
    with Journal(run_dir / JOURNAL_NAME) as journal:
        if resume:
            record = journal.resume(header)
            write_whole(run_dir / CONFIG_NAME, dump_config(config).encode())
        else:
            journal.check_absent()
            _write(run_dir / CONFIG_NAME, dump_config(config))
            _write(run_dir / ENVIRONMENT_NAME, json.dumps(environment(), indent=2) + "\n")
            journal.create(header)
            record = Record(header, (), 0, 0)
        run = _Run(config, run_dir, journal, record, workers, (input_shape, classes), on_event)
        run.start(_messages(record, header))
        try:
            run.go()
        except KeyboardInterrupt:
            run.stopped = "interrupted"
        return run.finish()


@dataclass
class _Candidate:
    index: int
    genotype: Genotype
    cost: Cost
    state: str
    parent: str | None
    sparsity: float
    seconds: float  # of choosing and lowering it
    is_submitted: bool = False  # past the analytic tier
    replayed: bool = False
    outcome: Outcome | None = None

    def reject(self, tier: str, reason: str) -> Rejected:
        table = self.genotype.to_json()
        return Rejected(self.genotype.archid, table, self.cost, tier, reason)

    def complete(self, outcome: Outcome) -> Outcome:
        """With what only the run knows of a candidate."""
        spent = {"analytic": round(self.seconds, 4), **outcome.spent}
        return replace(outcome, parent=self.parent, sparsity=self.sparsity, spent=spent)


class _Asking(NamedTuple):
    """What a journal must agree with at each candidate."""

    archid: str
    state: str
    is_submitted: bool

    def __str__(self) -> str:
        fate = "for the workers" if self.is_submitted else "turned down by arithmetic"
        return f"archid {self.archid}, state {self.state}, {fate}"


class _Run:
    """The loop's state. `queue` holds the candidates asked for and not yet told, oldest first."""

    def __init__(
        self,
        config: SearchConfig,
        run_dir: Path,
        journal: Journal,
        record: Record,
        workers: Evaluators,
        problem: tuple[Shape, int],
        on_event: OnEvent | None,
    ) -> None:
        self.config = config
        self.budget = config.search
        self.run_dir = run_dir
        self.journal = journal
        self.recorded: Sequence[Entry] = record.entries
        self.workers = workers
        self.problem = problem
        self.emit: OnEvent = on_event or (lambda event: None)
        self.space = open_space(config.space)
        self.algorithm = open_algorithm(config, self.space, problem)
        self.queue: deque[_Candidate] = deque()
        self.outcomes: list[Outcome] = []
        self.objectives = objectives_of(config.search, config.bounds)
        self.prospects = Prospects(config.bounds)
        self.floors = Floors(config.bounds)
        self.rung: list[Peer] = []  # of the outcomes, those short-trained
        self.stopped = ""
        self.progress = Progress(rounds=self.budget.rounds)
        self._began = time.monotonic()
        self._before_s = max((entry.at_s for entry in record.entries), default=0.0)
        self._submitted = 0  # candidates past the analytic tier, ...
        self._in_flight = 0  # ... and of those, not yet told
        self._fresh = 0  # outcomes that workers of this process produced
        self._failures = 0  # of those, in a row
        self._sparsities: dict[str | None, float] = {}  # of the outcomes, by archid

    def start(self, messages: tuple[str, ...]) -> None:
        self.emit(Started(self.run_dir, len(self.recorded), messages, self.now()))

    def go(self) -> None:
        while True:
            while self._may_ask():
                self._ask()
            if not self.queue:
                break
            while self.queue[0].outcome is None:
                self._collect()
            self._tell(self.queue.popleft())
        verdict = self.prospects.verdict
        if self.stopped == "exhausted" and verdict and self.prospects.is_verdict_final:
            raise ConfigError(verdict, where=self.config.name, hint=LOOSEN_BOUNDS)

    def finish(self) -> RunResult:
        if verdict := self.prospects.verdict:
            self.emit(Noticed(f"{verdict}; {LOOSEN_BOUNDS}", self.now()))
        now = self.now()
        fresh = self.outcomes[len(self.recorded) :]
        wall = WallTime.of(fresh, workers_s=self.budget.workers * now.elapsed_s)
        self.emit(Finished(self.stopped, now, wall))
        return RunResult(self.run_dir, tuple(self.outcomes), self.stopped)

    def now(self) -> Progress:
        """Where the run stands at this moment."""
        elapsed = time.monotonic() - self._began
        left = time_left(self.budget, self.progress, self._fresh, elapsed)
        return replace(self.progress, elapsed_s=elapsed, left_s=left)

    def _may_ask(self) -> bool:
        if self.stopped:
            return False
        if self._submitted == self.budget.rounds:
            self.stopped = "rounds"
        elif self.prospects.are_hopeless:
            self.stopped = "exhausted"
        elif self.progress.candidates >= len(self.recorded) and self._is_out_of_time():
            self.stopped = "minutes"
        return not self.stopped and self._in_flight < self.budget.window

    def _is_out_of_time(self) -> bool:
        limit_s = self.budget.minutes * 60
        return limit_s > 0 and time.monotonic() - self._began >= limit_s

    def _ask(self) -> None:
        index = self.progress.candidates
        replayed = index < len(self.recorded)
        since = time.monotonic()
        asked = self.algorithm.ask(self._recorded(index) if replayed else None)
        if asked is None:
            self.stopped = "exhausted"
            return
        genotype, state = asked.genotype, self.algorithm.state_digest()
        cost = cost_of(self.space.lower(genotype, *self.problem))
        reason = broken_by_cost(self.config.bounds, cost) or self.floors.broken_by(cost)
        seconds = time.monotonic() - since
        candidate = _Candidate(
            index, genotype, cost, state, asked.parent, self._sparsity_of(asked), seconds
        )
        self.progress = replace(self.progress, candidates=index + 1)
        self.prospects.asked(is_rejected=reason is not None)
        if reason is None:
            candidate.is_submitted = True
            self._submitted += 1
            self._in_flight += 1
        self.queue.append(candidate)
        self.emit(Asked(index, genotype.archid, cost, replayed, self.now()))
        if replayed:
            self._replay(candidate, self.recorded[index])
        elif reason is not None:
            self._arrive(candidate, candidate.complete(candidate.reject("analytic", reason)))
        else:
            parent = self._inherited(asked.parent)
            rung = tuple(self.rung)
            self.workers.submit(Task(index, genotype.to_json(), parent, candidate.sparsity, rung))

    def _inherited(self, parent: str | None) -> str | None:
        """Whose weights a child starts from. From others it would be another candidate."""
        if parent is None or not self.config.training.inherit:
            return None
        path = weights_path(self.run_dir, parent)
        if not path.exists():
            raise JournalError(
                "the weights that a child is to start from are not there",
                where=path,
                hint="restore the file from a copy, then resume the run; or start a new one",
            )
        return parent

    def _sparsity_of(self, asked: protocol.Asked) -> float:
        """The gene beside the genotype: near the parent's, by a generator of its own."""
        pruning = self.config.pruning
        if not pruning.enabled:
            return 0.0
        if asked.parent not in self._sparsities:
            return pruning.sparsity
        seed = (self.budget.seed, int(asked.genotype.archid, 16))
        return mutate(self._sparsities[asked.parent], np.random.default_rng(seed))

    def _recorded(self, index: int) -> protocol.Asked:
        entry = self.recorded[index]
        try:
            return protocol.Asked(self.space.read(entry.outcome.genotype), entry.outcome.parent)
        except ValueError as error:
            raise JournalError(
                f"holds no genotype of the space {self.space.name}: {error}",
                where=f"{self.journal.path}:{index + 2}",
                hint="restore the file from a copy, or start a new run",
            ) from None

    def _replay(self, candidate: _Candidate, entry: Entry) -> None:
        was_submitted = getattr(entry.outcome, "tier", "") != "analytic"
        recorded = _Asking(entry.outcome.archid, entry.state, was_submitted)
        now = _Asking(candidate.genotype.archid, candidate.state, candidate.is_submitted)
        if recorded != now:
            raise JournalError(
                "another candidate than this version of hilnas would ask for",
                where=f"{self.journal.path}:{entry.index + 2}",
                expected=str(now),
                got=str(recorded),
                hint="resume with the versions in environment.json, or start a new run",
            )
        candidate.replayed = True
        self._arrive(candidate, entry.outcome)

    def _collect(self) -> None:
        waiting = {candidate.index: candidate for candidate in self.queue}
        for index, result in self.workers.collect(_POLL_S):
            self._fresh += 1
            candidate = waiting[index]
            self._arrive(candidate, candidate.complete(_settled(candidate, result)))

    def _arrive(self, candidate: _Candidate, outcome: Outcome) -> None:
        candidate.outcome = outcome
        self.progress = self.progress.after(outcome)
        self.emit(Arrived(candidate.index, outcome, self.now()))

    def _tell(self, candidate: _Candidate) -> None:
        outcome = candidate.outcome
        assert outcome is not None
        self._in_flight -= candidate.is_submitted
        self.algorithm.tell(candidate.genotype, outcome)
        if not candidate.replayed:
            at_s = round(self._before_s + time.monotonic() - self._began, 3)
            workers = self.budget.workers
            self.journal.append(Entry(candidate.index, candidate.state, outcome, at_s, workers))
        self.outcomes.append(outcome)
        self._sparsities[outcome.archid] = outcome.sparsity
        self.prospects.told(outcome)
        self.floors.told(outcome)
        if (peer := peer_of(outcome, self.objectives)) is not None:
            self.rung.append(peer)
        self.emit(Told(candidate.index, outcome, candidate.replayed, self.now()))
        if not candidate.replayed and (doubt := self.prospects.doubt()):
            self.emit(Noticed(doubt, self.now()))
        self._check_failures(candidate, outcome)

    def _check_failures(self, candidate: _Candidate, outcome: Outcome) -> None:
        if candidate.replayed or not candidate.is_submitted:
            return
        has_failed = isinstance(outcome, Rejected) and outcome.tier == FAILED
        self._failures = self._failures + 1 if has_failed else 0
        if self._failures == HOPELESS_FAILURES:
            assert isinstance(outcome, Rejected)
            raise HilnasError(
                f"{HOPELESS_FAILURES} candidates failed in a row, the last one: {outcome.reason}",
                where=self.run_dir,
                hint="mend that, then resume the run",
            )


def _write(path: Path, text: str) -> None:
    with writing(path, hint="make room, then start again"):
        path.write_text(text, encoding="utf-8")


def _settled(candidate: _Candidate, result: Outcome | Failure) -> Outcome:
    """The outcome as the journal will hold it, so that a replay tells the same."""
    if isinstance(result, Failure):
        return candidate.reject(FAILED, result.reason)
    if result.archid != candidate.genotype.archid:
        return candidate.reject(FAILED, f"its outcome is that of archid {result.archid}")
    try:
        text = json.dumps(outcome_to_json(result), allow_nan=False)
    except (TypeError, ValueError) as error:
        return candidate.reject(FAILED, f"its outcome has no JSON: {error}")
    return outcome_from_json(json.loads(text))


def _messages(record: Record, header: Header) -> tuple[str, ...]:
    """What changed since the recorded part of the run."""
    messages = []
    if record.torn_bytes:
        messages.append(
            f"the journal's last line was torn ({record.torn_bytes} bytes) and is cut off; "
            "its candidate is evaluated again"
        )
    before, now = record.header.versions, header.versions
    for name in sorted(before):  # what was not recorded then decided nothing
        if before[name] != now.get(name):
            messages.append(
                f"{name} was {before[name]} and is {now.get(name)}: what follows need not be "
                "what the uninterrupted run would have found"
            )
    return tuple(messages)
