"""What does a machine of a cluster do for a search? A trainer evaluates one candidate at a time in
a process of its own, in a scratch folder, and hands back what came of it. Knows nothing of Ray.

It holds a Workers of one process, so that a candidate that kills or hangs its process is told from
a machine that is lost, on the spot, and fails with the same words as on one machine.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import HilnasError
from search.asking import Answer, Wanted
from search.carried import Files, put, take
from search.config import SearchConfig
from search.environment import identity
from search.evaluation import Outcome
from search.workers import LOG_NAME, Evaluate, Failure, Prepare, Task, Workers

# Of the log of one step; a framework that prints without end must not fill the driver's disk.
LOG_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True)
class Report:
    """What a step brought. done: as Workers.collect. files: of these candidates. log: what the
    process printed meanwhile. wanted: a measurement that the candidate at work waits for. error:
    one that ends the run."""

    done: Sequence[tuple[int, Outcome | Failure]] = ()
    files: Files = field(default_factory=dict)
    log: bytes = b""
    wanted: Wanted | None = None
    error: HilnasError | None = None


class Trainer:
    """One process that evaluates. space_file: content of the file that config.space names, because
    this machine need not have it; the data set is loaded from this machine's own disk."""

    def __init__(
        self,
        evaluate: Evaluate,
        config: SearchConfig,
        *,
        deadline_s: float,
        prepare: Prepare | None,
        space_file: bytes | None,
    ) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="hilnas-trainer-")
        self._run_dir = Path(self._scratch.name)
        if config.space.file is not None and space_file is not None:
            path = self._run_dir / Path(config.space.file).name
            path.write_bytes(space_file)
            config = replace(config, space=replace(config.space, file=str(path)))
        self._workers = Workers(
            1, evaluate, self._run_dir, config, deadline_s=deadline_s, prepare=prepare
        )
        self._lent: Files = {}  # to the candidate at work
        self._log_read_bytes = 0

    def greet(self) -> tuple[str, dict[str, str]]:
        """This machine's name, and what decides results on it."""
        return platform.node(), identity()

    def step(
        self, task: Task | None, files: Files, timeout_s: float, answer: Answer | None = None
    ) -> Report:
        """Take a task up, if there is one, with the files it reads, or an answer to what the last
        report wanted; then wait at most about timeout_s for an outcome, or until the next
        measurement is wanted."""
        try:
            if answer is not None:
                self._workers.answer(answer)
            put(self._run_dir, files)
            if task is not None:
                self._workers.submit(task)
                self._lent = files
            done = self._workers.collect(timeout_s)
            wanted = self._workers.take_wanted()
            return Report(done, self._files_of(done), self._log(), wanted)
        except HilnasError as error:
            return Report(log=self._log(), error=error.on(platform.node()))

    def close(self) -> bytes:
        """End the process; returns the rest of its log."""
        self._workers.__exit__()
        rest = self._log()
        self._scratch.cleanup()
        return rest

    def _files_of(self, done: Sequence[tuple[int, Outcome | Failure]]) -> Files:
        files: dict[str, bytes] = {}
        for _, outcome in done:
            if not isinstance(outcome, Failure):
                files.update(take(self._run_dir, outcome.archid))
            for name in self._lent:
                (self._run_dir / name).unlink(missing_ok=True)
        return files

    def _log(self) -> bytes:
        path = self._run_dir / LOG_NAME
        if not path.exists():
            return b""
        with path.open("rb") as file:
            file.seek(self._log_read_bytes)
            text = file.read()
        self._log_read_bytes += len(text)
        return text[-LOG_LIMIT_BYTES:]
