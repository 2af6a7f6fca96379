"""How are candidates evaluated on the machines of a Ray cluster? What search.workers does with
processes, this does with trainers on nodes: it places them, feeds them, and takes a candidate back
when its node is lost. Knows nothing of evolution or journals. Only this and search.ray_boards
import Ray.

A trainer (search.trainer) is an actor that takes one CPU of its node. A virtual board is work of
that CPU; what is to be measured on real ones is handed on to search.ray_boards, and what came of
it is handed back.

An actor is lost with its node, or by Ray's doing; never by its candidate, which runs in a process
of its own below it. So a lost candidate is evaluated again on another trainer, and as its outcome
follows from the run's seed and its archid alone, the journal does not show it.

What crosses the network is pickled by Ray, between processes of one version of hilnas in one
trusted cluster; nothing is unpickled from a file.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from harness.errors import HilnasError, UsageError
from harness.hardware_map import load_hardware_map
from harness.ray_node import OBJECT_STORE_BYTES, check_cluster
from search.asking import Answer
from search.board_node import check_identity
from search.carried import WEIGHTS_DIR, put, read
from search.config import Device, SearchConfig
from search.environment import identity
from search.evaluation import Outcome
from search.ray_boards import Pending, RayBoards, resource_of
from search.trainer import Report, Trainer
from search.workers import (
    GRACE_S,
    LOG_NAME,
    START_DEADLINE_S,
    Evaluate,
    Failure,
    Prepare,
    Task,
)

LOCAL = "local"

# A candidate that was lost so often with its trainer is not tried again: it may be its doing.
LOST_LIMIT = 3
# A trainer answers every STEP_S; one that is silent for so long is lost, whatever Ray says of it.
STEP_S = 1.0
SILENCE_S = 120.0

# A trainer whose candidate waits for a measurement is to hand it back soon.
_ASKING_STEP_S = 0.2


@contextlib.contextmanager
def cluster(address: str, device: Device) -> Iterator[type[RayWorkers]]:
    """Be part of the Ray cluster at `address`, "host:port", which this machine has joined; "local"
    starts one of this machine alone, with the units of its hardware map. Gives what opens the
    workers.

    Raises:
        UsageError: there is no such cluster, this machine has not joined it, it runs another
            version of Ray or Python, or none of its nodes has such a board.
    """
    # In /tmp, because the paths of sockets must be short.
    with tempfile.TemporaryDirectory(
        prefix="hilnas-ray-", dir="/tmp", ignore_cleanup_errors=True
    ) as scratch:
        try:
            _join(address, device, scratch)
            _check_resources(address, device)
            yield RayWorkers
        finally:
            ray.shutdown()


def _join(address: str, device: Device, scratch: str) -> None:
    options: dict[str, Any] = {"address": address}
    if address == LOCAL:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options = {
            "address": LOCAL,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "resources": _units_here(device),
            "_plasma_directory": scratch,  # a container's /dev/shm may be too small
            "_temp_dir": scratch,
        }
    else:
        check_cluster(address, f"--ray {address}", others=LOCAL)
    # Ray prints what it is told of lost nodes to standard output; what we make of it is ours.
    ray._private.worker._worker_logs_enabled = False
    try:
        ray.init(log_to_driver=False, logging_level="critical", **options)
    except Exception as error:  # Ray raises what comes: RuntimeError, ConnectionError, Exception
        raise UsageError(
            f"the Ray cluster could not be joined: {str(error).strip().splitlines()[0]}",
            where=f"--ray {address}",
            hint="run `ray start` on this machine, too; see docs/distributed.md",
        ) from None


def _check_resources(address: str, device: Device) -> None:
    name = resource_of(device.board)
    if device.via == "hardware" and not ray.cluster_resources().get(name):
        raise UsageError(
            f"no node of the cluster has the resource {name!r}",
            where=f"--ray {address}",
            hint="run `hilnas pool serve` on the machine that has such boards",
        )


def _units_here(device: Device) -> dict[str, float]:
    if device.via != "hardware":
        return {}
    return {resource_of(device.board): len(load_hardware_map().units_of(device.board))}


class PlacedTrainer(Trainer):
    """A trainer as an actor."""

    def __init__(self, *args: Any, **options: Any) -> None:
        # A spawned process imports its parent's main module; here that is Ray's own program, which
        # is slow to import and of no use to a candidate.
        sys.modules["__main__"].__file__ = None
        super().__init__(*args, **options)


@dataclass
class _Hand:
    """A trainer as the driver sees it. answer: what it was asked last and has not answered.
    measuring: what its candidate waits for."""

    actor: Any
    deadline: float
    answer: Any = None
    host: str = ""  # "" until it has greeted
    task: Task | None = None
    measuring: Pending | None = None


class RayWorkers:
    """As search.workers.Workers, on a cluster that was joined: at most `count` trainers, as many
    as find room. They start with the first tasks; one whose node is lost is replaced. Use as a
    context manager; leaving it ends all of them, and what they started. boards: where candidates
    that ask for measurements have them made; None: they do not ask."""

    def __init__(
        self,
        count: int,
        evaluate: Evaluate,
        run_dir: Path,
        config: SearchConfig,
        *,
        deadline_s: float,
        prepare: Prepare | None = None,
        boards: RayBoards | None = None,
    ) -> None:
        self._count = count
        self._run_dir = run_dir
        self._boards = boards
        file = config.space.file
        self._args = (evaluate, config)
        self._options = {
            "deadline_s": deadline_s,
            "prepare": prepare,
            "space_file": None if file is None else Path(file).read_bytes(),
        }
        self._identity = identity()
        self._backlog: list[Task] = []
        self._hands: list[_Hand] = []
        self._losses: Counter[int] = Counter()  # of each candidate
        self._false_starts = 0  # in a row

    def submit(self, task: Task) -> None:
        self._backlog.append(task)
        self._dispatch()

    def collect(self, timeout_s: float) -> list[tuple[int, Outcome | Failure]]:
        """What is done by now, as (candidate's index, outcome), after at most about timeout_s; the
        files of its candidates are in the run folder.

        Raises:
            HilnasError: one that a trainer raised, a node unlike this machine, or no trainer that
                starts.
        """
        waited = {hand.answer: hand for hand in self._hands if hand.answer is not None}
        if not waited:
            return []
        answers = list(waited)
        ready, others = ray.wait(answers, timeout=timeout_s)
        if others:
            ready += ray.wait(others, num_returns=len(others), timeout=0)[0]
        done: list[tuple[int, Outcome | Failure]] = []
        for answer, hand in waited.items():
            if answer in ready:
                self._receive(hand, done)
            elif hand.host and time.monotonic() >= hand.deadline:
                self._lose(hand, f"silent for {SILENCE_S:g} s", done)
        self._check_start()
        self._dispatch()
        return done

    def __enter__(self) -> RayWorkers:
        return self

    def __exit__(self, *exc: object) -> None:
        self._backlog.clear()
        hands, self._hands = self._hands, []
        try:
            for hand in hands:
                self._forget(hand)
            ended = [hand.actor.close.remote() for hand in hands if hand.host]
            if ended:
                ready, _ = ray.wait(ended, num_returns=len(ended), timeout=3 * GRACE_S)
                for answer in ready:
                    with contextlib.suppress(RayError):
                        self._log(ray.get(answer))
        finally:
            for hand in hands:
                ray.kill(hand.actor)

    def _dispatch(self) -> None:
        for hand in self._hands:
            if hand.host and hand.answer is None and self._backlog:
                hand.task = self._backlog.pop(0)
                self._step(hand, hand.task)
        starting = sum(not hand.host for hand in self._hands)
        while starting < len(self._backlog) and len(self._hands) < self._count:
            self._hands.append(self._start())
            starting += 1

    def _start(self) -> _Hand:
        placed = ray.remote(PlacedTrainer).options(
            num_cpus=1,
            scheduling_strategy="SPREAD",
            max_restarts=0,
        )
        actor = placed.remote(*self._args, **self._options)
        return _Hand(actor, time.monotonic() + START_DEADLINE_S, actor.greet.remote())

    def _step(self, hand: _Hand, task: Task | None) -> None:
        parent = None if task is None else task.parent
        files = {} if parent is None else read(self._run_dir, parent, WEIGHTS_DIR)
        answer = self._answer_for(hand)
        step_s = STEP_S if hand.measuring is None else _ASKING_STEP_S
        hand.answer = hand.actor.step.remote(task, files, step_s, answer)
        hand.deadline = time.monotonic() + SILENCE_S

    def _answer_for(self, hand: _Hand) -> Answer | None:
        """What came of the measurement that the trainer's candidate waits for."""
        if hand.measuring is None or self._boards is None:
            return None
        answer = self._boards.answer(hand.measuring)
        if answer is not None:
            hand.measuring = None
        return answer

    def _forget(self, hand: _Hand) -> None:
        """Nobody waits for its measurement any more."""
        measuring, hand.measuring = hand.measuring, None
        if measuring is not None and self._boards is not None:
            self._boards.cancel(measuring)

    def _receive(self, hand: _Hand, done: list[tuple[int, Outcome | Failure]]) -> None:
        try:
            answer = ray.get(hand.answer)
        except RayError as error:
            self._lose(hand, _reason(error), done)
            return
        hand.answer = None
        if not hand.host:
            self._welcome(hand, *answer)
            return
        report: Report = answer
        self._log(report.log)
        if report.error is not None:
            raise report.error
        put(self._run_dir, report.files)
        done += report.done
        if report.done:
            for index, _ in report.done:
                del self._losses[index]  # a finalist may bear the same number
            hand.task = None
            self._forget(hand)  # it was given up
        else:
            if report.wanted is not None:
                assert self._boards is not None, "a candidate asks for boards, and there are none"
                hand.measuring = self._boards.submit(report.wanted)
            self._step(hand, None)

    def _welcome(self, hand: _Hand, host: str, found: dict[str, str]) -> None:
        self._false_starts = 0
        check_identity(host, found, self._identity)
        hand.host = host

    def _lose(self, hand: _Hand, reason: str, done: list[tuple[int, Outcome | Failure]]) -> None:
        self._hands.remove(hand)
        self._forget(hand)
        ray.kill(hand.actor)
        if not hand.host:
            self._false_starts += 1
            if self._false_starts == LOST_LIMIT:
                raise HilnasError(
                    f"no trainer starts on the cluster: {reason}",
                    hint="check that every node runs this version of hilnas",
                )
        if hand.task is None:
            return
        index = hand.task.index
        self._losses[index] += 1
        self._log(f"candidate {index} was lost with its trainer on {hand.host}: {reason}\n")
        if self._losses[index] == LOST_LIMIT:
            done.append((index, Failure(f"lost with {LOST_LIMIT} trainers; see {LOG_NAME}")))
        else:
            self._backlog.insert(0, hand.task)  # others may be waiting for it

    def _check_start(self) -> None:
        """A trainer that finds no room may wait for it as long as others are at work."""
        now = time.monotonic()
        if any(hand.host for hand in self._hands):
            for hand in self._hands:
                hand.deadline = hand.deadline if hand.host else now + START_DEADLINE_S
        elif any(now >= hand.deadline for hand in self._hands):
            raise HilnasError(
                f"no node of the cluster took a trainer within {START_DEADLINE_S:g} s",
                expected="free: 1 CPU",
                got=f"{ray.available_resources().get('CPU', 0.0):g} CPU",
                hint="add a node or wait for others' work to end, then resume the run",
            )

    def _log(self, text: bytes | str) -> None:
        if not text:
            return
        with contextlib.suppress(OSError), (self._run_dir / LOG_NAME).open("ab") as file:
            file.write(text.encode() if isinstance(text, str) else text)


def _reason(error: RayError) -> str:
    """In one line: Ray's own come first; an exception raised there stands below its traceback."""
    raised = isinstance(error, RayTaskError) or getattr(error, "actor_init_failed", False)
    return str(error).strip().splitlines()[-1 if raised else 0]
