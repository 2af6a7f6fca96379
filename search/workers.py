"""How are candidates evaluated side by side? Worker processes, one candidate each. Knows nothing
of evolution or journals.

A worker has a process and a pipe of its own rather than a share in a ProcessPoolExecutor: when one
dies, a shared pool breaks for all candidates in flight and cannot tell whose fault it was. Each is
the leader of a session of its own, so that Ctrl-C in a terminal reaches the parent only, and that
compilers and virtual boards it started end with it.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from harness.errors import HilnasError, JournalError
from search.asking import Answer, Wanted, ask_over
from search.config import SearchConfig
from search.evaluation import FAILED, Evaluation, Outcome, Rejected
from search.keeping import writing
from search.tiers import Rung


@dataclass(frozen=True)
class Task:
    """A candidate to evaluate: all that a worker is told of it, because what comes of it must
    depend on nothing else. genotype: as JSON. parent: archid of the network whose weights in the
    run folder it starts from; None: fresh ones. sparsity: 0..1, share of its channels to be
    pruned. rung: those told before it was asked for that were short-trained, oldest first.
    is_finalist: it has been evaluated, is its own parent, and is to be trained on."""

    index: int
    genotype: dict[str, Any]
    parent: str | None = None
    sparsity: float = 0.0
    rung: Rung = ()
    is_finalist: bool = False


# evaluate(task, run folder, configuration). Must be importable by name, because workers are
# spawned. A bad candidate is a returned Rejected of tier "failed"; a HilnasError that is raised
# says that the run cannot go on.
Evaluate = Callable[[Task, Path, SearchConfig], Outcome]
# prepare(configuration): what a worker does once, before its first candidate: heavy imports.
Prepare = Callable[[SearchConfig], None]


@dataclass(frozen=True)
class Deferred:
    """A function by the name of its module and its own, imported where it is called: a parent that
    only hands it to workers needs none of the frameworks it imports."""

    module: str
    name: str

    def __call__(self, *args: Any, **options: Any) -> Any:
        return getattr(importlib.import_module(self.module), self.name)(*args, **options)


START_DEADLINE_S = 300.0
GRACE_S = 5.0
LOG_NAME = "workers.log"

_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Failure:
    """A candidate without an outcome: its worker died, hung or raised."""

    reason: str


@dataclass(frozen=True)
class _Ready:
    """A worker's first message."""


@dataclass
class _Worker:
    process: Any  # of the spawn context
    pipe: Connection
    deadline: float = field(default_factory=lambda: time.monotonic() + START_DEADLINE_S)
    ready: bool = False
    task: Task | None = None
    wanted: Wanted | None = None  # by its task, and not taken yet
    is_asking: bool = False  # its task waits for an answer


class Evaluators(Protocol):
    """What evaluates a run's candidates. Leaving its context ends whatever it started."""

    def __enter__(self) -> Evaluators: ...

    def __exit__(self, *exc: object) -> None: ...

    def submit(self, task: Task) -> None: ...

    def collect(self, timeout_s: float) -> list[tuple[int, Outcome | Failure]]: ...


class OpenEvaluators(Protocol):
    """Workers, or what takes its place."""

    def __call__(
        self,
        count: int,
        evaluate: Evaluate,
        run_dir: Path,
        config: SearchConfig,
        *,
        deadline_s: float,
        prepare: Prepare | None = None,
    ) -> Evaluators: ...


class Workers:
    """`count` processes that evaluate what is submitted, first come, first served. Processes start
    with the first tasks. Use as a context manager; leaving it ends all of them: SIGTERM, a grace
    period, SIGKILL."""

    def __init__(
        self,
        count: int,
        evaluate: Evaluate,
        run_dir: Path,
        config: SearchConfig,
        *,
        deadline_s: float,
        prepare: Prepare | None = None,
    ) -> None:
        self._count = count
        self._args = (evaluate, prepare, run_dir, config)
        self._run_dir = run_dir
        self._deadline_s = deadline_s
        self._backlog: list[Task] = []
        self._workers: list[_Worker] = []

    def submit(self, task: Task) -> None:
        self._backlog.append(task)
        self._dispatch()

    def collect(self, timeout_s: float) -> list[tuple[int, Outcome | Failure]]:
        """What is done by now, as (candidate's index, outcome), after at most about timeout_s.

        Raises:
            HilnasError: one that a worker raised, or a worker that does not start.
        """
        now = time.monotonic()
        until = min([now + timeout_s, *(w.deadline for w in self._workers if self._is_waited(w))])
        signalled = wait([w.pipe for w in self._workers], max(0.0, until - now))
        done: list[tuple[int, Outcome | Failure]] = []
        for worker in list(self._workers):
            if worker.pipe in signalled:
                self._receive(worker, done)
            elif self._is_waited(worker) and time.monotonic() >= worker.deadline:
                self._expire(worker, done)
        self._dispatch()
        return done

    def take_wanted(self) -> Wanted | None:
        """A measurement that a candidate has asked for since the last call; it waits for answer().
        For whoever has one process: with more, nothing says whose it is."""
        for worker in self._workers:
            if worker.wanted is not None:
                wanted, worker.wanted = worker.wanted, None
                return wanted
        return None

    def answer(self, answer: Answer) -> None:
        """What came of take_wanted(). A candidate that was given up meanwhile hears nothing."""
        for worker in self._workers:
            if worker.is_asking:
                worker.is_asking = False
                with contextlib.suppress(OSError):  # as in _send
                    worker.pipe.send(answer)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exc: object) -> None:
        self._backlog.clear()
        self._end(self._workers)
        self._workers = []

    def _dispatch(self) -> None:
        idle = [w for w in self._workers if w.task is None]
        while self._backlog and (idle or len(self._workers) < self._count):
            worker = idle.pop(0) if idle else self._start()
            worker.task = self._backlog.pop(0)
            if worker.ready:
                self._send(worker)

    def _start(self) -> _Worker:
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=_serve, args=(theirs, *self._args))
        # A worker inherits the blocked signal, so that Ctrl-C cannot hit it before it has a
        # session of its own. The resource tracker unblocks it when it starts, so that comes first.
        resource_tracker.ensure_running()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _send(self, worker: _Worker) -> None:
        worker.deadline = time.monotonic() + self._deadline_s
        with contextlib.suppress(OSError):  # a dead worker shows as end of file when collecting
            worker.pipe.send(worker.task)

    @staticmethod
    def _is_waited(worker: _Worker) -> bool:
        return worker.task is not None or not worker.ready

    def _receive(self, worker: _Worker, done: list[tuple[int, Outcome | Failure]]) -> None:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            self._bury(worker, done)
            return
        if isinstance(message, _Ready):
            worker.ready = True
            if worker.task is not None:
                self._send(worker)
        elif isinstance(message, Wanted):
            worker.wanted, worker.is_asking = message, True
        elif isinstance(message, HilnasError):
            raise message
        elif worker.task is not None:
            done.append((worker.task.index, message))
            worker.task = None

    def _bury(self, worker: _Worker, done: list[tuple[int, Outcome | Failure]]) -> None:
        self._workers.remove(worker)
        self._end([worker])
        how = _describe_exit(worker.process.exitcode)
        if not worker.ready:
            raise HilnasError(
                f"a worker {how} before it was ready", hint=f"see {LOG_NAME} in the run folder"
            )
        if worker.task is not None:
            done.append((worker.task.index, Failure(f"its worker {how}; see {LOG_NAME}")))

    def _expire(self, worker: _Worker, done: list[tuple[int, Outcome | Failure]]) -> None:
        self._workers.remove(worker)
        self._end([worker])
        if not worker.ready:
            raise HilnasError(
                f"a worker was not ready after {START_DEADLINE_S:g} s",
                hint=f"see {LOG_NAME} in the run folder",
            )
        assert worker.task is not None
        reason = f"no outcome after {self._deadline_s:g} s; its worker was killed"
        done.append((worker.task.index, Failure(reason)))

    @staticmethod
    def _end(workers: list[_Worker]) -> None:
        try:
            for worker in workers:
                worker.process.terminate()
            until = time.monotonic() + GRACE_S
            for worker in workers:
                worker.process.join(max(0.0, until - time.monotonic()))
        finally:
            # All before the first join: a second Ctrl-C may cut the waiting short.
            for worker in workers:
                _kill_session(worker.process.pid)
                worker.process.kill()
            for worker in workers:
                worker.process.join(GRACE_S)
                worker.pipe.close()


def _kill_session(pid: int | None) -> None:
    # The worker may be gone while what it started lives on in its group.
    if pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _describe_exit(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return (
            "was killed by SIGKILL, as the kernel does where memory runs out (fewer [search] "
            "workers or a smaller [training] batch_size need less)"
        )
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _serve(
    pipe: Connection,
    evaluate: Evaluate,
    prepare: Prepare | None,
    run_dir: Path,
    config: SearchConfig,
) -> None:
    """A worker's life."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, _leave)  # context managers clean up
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _redirect_output(run_dir / LOG_NAME)
        ask_over(pipe)
        if prepare is not None:
            prepare(config)
        pipe.send(_Ready())
        while True:
            task: Task = pipe.recv()
            pipe.send(_attempt(evaluate, task, run_dir, config))
    except HilnasError as error:
        pipe.send(error)
    except (EOFError, BrokenPipeError):  # the parent is gone
        return


def _attempt(
    evaluate: Evaluate, task: Task, run_dir: Path, config: SearchConfig
) -> Outcome | Failure:
    try:
        outcome = evaluate(task, run_dir, config)
    except HilnasError:
        raise
    except Exception as error:  # a defect of ours must not end a run of days
        _require_room(f"{error}")
        with writing(run_dir / LOG_NAME):
            traceback.print_exc()
        return Failure(f"{type(error).__name__}: {error}; see {LOG_NAME}")
    if not isinstance(outcome, Evaluation | Rejected):
        return Failure(f"evaluate returned {outcome!r}, not an outcome")
    if isinstance(outcome, Rejected) and outcome.tier == FAILED:
        _require_room(outcome.reason)
    return outcome


def _require_room(reason: str) -> None:
    """No candidate is to blame for a full disk: the run ends, and can be resumed. Compilers and
    libraries pass on the system's words where they do not pass on its error."""
    for number in (errno.ENOSPC, errno.EDQUOT):
        if os.strerror(number) in reason:
            raise JournalError(reason, hint="make room, then resume the run")


def _end_with_parent() -> None:
    """A parent that was killed could not end its workers: they would train on, for nobody."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(os.getpid(), signal.SIGKILL)


def _leave(signum: int, frame: object) -> None:
    raise SystemExit(128 + signum)


def _redirect_output(path: Path) -> None:
    """Frameworks print from C; the terminal belongs to the parent's progress display."""
    with writing(path):
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
