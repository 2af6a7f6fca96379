"""What if a search is killed at exactly this step? `python -m tests.kills.steps FOLDER`: each time
that the process which hands out work opens, writes, synchronises, renames, shortens or removes a
file of the run folder, SIGKILL comes right before it, and in the middle of each line of journal
and finalists. What resumes it is killed, too, at a drawn step; the third session ends.

The loop, the files and their order are the product's. Candidates are made up in this process,
which has one thread and loads no framework, so that its forks are cheap and hundreds of them are
killed in seconds. Prints a JSON line for each step: {"step", "what", "kills", "problems"}.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import search.run
from search.carried import FINALISTS_DIR, MODELS_DIR, weights_path
from search.config import (
    Bounds,
    Budget,
    Data,
    Device,
    Finalists,
    SearchConfig,
    SpaceChoice,
    Training,
)
from search.environment import environment, versions
from search.evaluation import Evaluation, Outcome
from search.finalists import train_finalists
from search.journal import Journal
from search.keeping import write_whole
from search.report.run_folder import FrontRecord, Tested, find_front, read_run, write_front
from search.run import run_search
from search.workers import Failure, Task
from tests.kills.folder import FINALISTS, JOURNAL, archids_of, differences, lines_of
from tests.search import fake_evaluation as fake

CONFIG = SearchConfig(
    "steps",
    Budget(rounds=6, population=2, sample_size=1, workers=2, seed=11, window=3),
    Device("nucleo_f412zg"),
    Data("digits"),
    training=Training(inherit=True),
    bounds=Bounds(val_error=0.1, macs=30_000, flash_bytes=200_000),
    space=SpaceChoice(max_blocks=1, max_layers=1, max_filters=8, max_dense_blocks=1, max_units=16),
    finalists=Finalists(epochs=1, count=2),
)
_CHANGES = {
    "os.rename": "rename",
    "os.remove": "remove",
    "os.truncate": "shorten",
    "os.mkdir": "make",
}
_FAILED = 3  # exit code of a session that ended with an error


class Knife:
    """Counts the steps of this process in `run_dir` and kills it right before step `deadly`."""

    def __init__(self, run_dir: Path, deadly: int) -> None:
        self.run_dir, self.deadly = str(run_dir), deadly
        self.whats: list[str] = []

    def step(self, what: str, path: str) -> None:
        name = os.path.relpath(path, self.run_dir)
        if name.startswith("..") or name.endswith(".lock"):
            return
        self.whats.append(f"{what} {name}")
        if len(self.whats) == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """For good: the process ends soon."""
        write, fsync = os.write, os.fsync

        def write_slowly(descriptor: int, data: bytes) -> int:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            self.step("write", path)
            if len(data) < 2:
                return write(descriptor, data)
            done = write(descriptor, data[: len(data) // 2])
            self.step("write the rest of", path)
            return done + write(descriptor, data[len(data) // 2 :])

        def fsync_slowly(descriptor: int) -> None:
            self.step("synchronise", os.readlink(f"/proc/self/fd/{descriptor}"))
            fsync(descriptor)

        os.write, os.fsync = write_slowly, fsync_slowly
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str) and flags & (os.O_WRONLY | os.O_RDWR):
                self.step("open", path)
        elif event in _CHANGES and isinstance(arguments[0], str | os.PathLike):
            self.step(_CHANGES[event], os.fspath(arguments[0]))


@dataclass
class Inline:
    """Evaluators in this process. The newest task is done first, so that it overtakes. Each that
    is begun stands in `trace`, one a line."""

    run_dir: Path
    trace: Path
    tasks: list[Task] = field(default_factory=list)

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *exc: object) -> None:
        self.tasks.clear()

    def submit(self, task: Task) -> None:
        self.tasks.append(task)

    def collect(self, timeout_s: float) -> list[tuple[int, Outcome | Failure]]:
        if not self.tasks:
            return []
        task = self.tasks.pop()
        return [(task.index, self._evaluate(task))]

    def _evaluate(self, task: Task) -> Outcome:
        """Leaves files as the real one does. The error depends on the parent's weights: a child of
        others would be told from it."""
        outcome = fake.evaluate(task, self.run_dir, CONFIG)
        with self.trace.open("a") as trace:
            trace.write(f"{FINALISTS if task.is_finalist else JOURNAL} {outcome.archid}\n")
        if not isinstance(outcome, Evaluation):
            return outcome
        origin = b""
        if task.parent is not None:
            origin = weights_path(self.run_dir, task.parent).read_bytes()
        weights = hashlib.sha256(origin + outcome.archid.encode()).digest()
        folder = FINALISTS_DIR if task.is_finalist else MODELS_DIR
        if not task.is_finalist:
            write_whole(weights_path(self.run_dir, outcome.archid), weights)
        model = f"{folder}/{outcome.archid}.tflite"
        write_whole(self.run_dir / model, weights)
        error = weights[0] / 512
        return replace(outcome, val_error=error, float_val_error=error, model=model)


def run_session(run_dir: Path, trace: Path) -> None:
    """As `hilnas search`, but for compiling and drawing: resumes where a journal is."""
    with Inline(run_dir, trace) as workers:
        run_search(
            CONFIG,
            run_dir,
            workers,
            input_shape=(28, 28, 1),
            classes=10,
            resume=(run_dir / JOURNAL).exists(),
        )
        front = find_front(CONFIG, read_run(run_dir).outcomes)
        with Journal(run_dir / JOURNAL):
            train_finalists(CONFIG, run_dir, front, workers)
    front = read_run(run_dir).front
    members = tuple(Tested(each.archid, 0.5, f"front/{each.archid}") for each in front)
    write_front(run_dir, FrontRecord("digits", "", 10, members))


def fork_session(run_dir: Path, trace: Path, *, deadly: int) -> tuple[int, list[str]]:
    """Run a session in a fork that dies before step `deadly` (0: of nothing). Returns how it
    ended, as os.waitstatus_to_exitcode has it, and its steps or its last words."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = _FAILED
        try:
            knife = Knife(run_dir, deadly)
            write = os.write
            knife.install()
            run_session(run_dir, trace)
            write(writing, json.dumps(knife.whats).encode())
            code = 0
        except BaseException:
            write(writing, json.dumps([traceback.format_exc(limit=-1)]).encode())
        finally:
            os._exit(code)
    os.close(writing)
    with open(reading, "rb") as pipe:
        words = pipe.read()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), json.loads(words or b"[]")


def try_step(folder: Path, step: int, steps: int, whole: Path) -> tuple[int, list[str]]:
    """Of the run that is killed before `step` of its `steps`: how often it was, and problems."""
    run_dir, trace = folder / f"run-{step}", folder / f"trace-{step}"
    draw = random.Random(step)
    kills, problems = 0, []
    kept = {JOURNAL: b"", FINALISTS: b""}
    for deadly in (step, draw.randint(1, steps), 0):
        before = {name: set(archids_of(lines_of(run_dir / name))) for name in kept}
        trace.write_text("")
        code, words = fork_session(run_dir, trace, deadly=deadly)
        if code not in (0, -signal.SIGKILL) or (deadly == step and code == 0):
            return kills, [*problems, f"ended with {code}: {words}"]
        kills += code == -signal.SIGKILL
        for name, bytes_before in kept.items():
            kept[name] = lines_of(run_dir / name).whole
            if not kept[name].startswith(bytes_before):
                problems.append(f"{name} lost or changed what stood in it")
        for line in trace.read_text().splitlines():
            name, archid = line.split()
            if archid in before[name]:
                problems.append(f"{archid} of {name} was evaluated again")
    return kills, problems + differences(run_dir, whole)


def _ask_for_versions_once() -> None:
    """They come from a compiler, a process for each session."""
    known, host = versions(), environment()
    search.run.versions = lambda: known
    search.run.environment = lambda: host


def main(folder: Path) -> None:
    _ask_for_versions_once()
    whole = folder / "whole"
    code, whats = fork_session(whole, folder / "trace", deadly=0)
    if code != 0:
        raise RuntimeError(f"the undisturbed run ended with {code}: {whats}")
    for step, what in enumerate(whats, start=1):
        kills, problems = try_step(folder, step, len(whats), whole)
        told = {"step": step, "what": what, "kills": kills, "problems": problems}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
