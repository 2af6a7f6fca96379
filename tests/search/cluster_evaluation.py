"""Evaluators for trainers on a cluster, where candidates meet more than their own faults."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from search.carried import FINALISTS_DIR, weights_path
from search.config import SearchConfig
from search.evaluation import Evaluation, Outcome
from search.space import open_space
from search.workers import Task
from tests.search import fake_evaluation as fake

# Set in the processes of a node that is going to die; says where to announce that it is time.
DOOMED = "HILNAS_TEST_DOOMED"
# Where a candidate says that it sleeps.
ASLEEP = "HILNAS_TEST_ASLEEP"


def evaluate(*args: Any) -> Outcome:
    """The first candidate on a doomed node waits there for the end."""
    if (announced := os.environ.get(DOOMED)) is not None:
        Path(announced).write_text(str(os.getpid()))
        time.sleep(600)
    return fake.evaluate(*args)


def leave_files(*args: Any) -> Outcome:
    """A model and weights for each that is trained; says in the weights whether its parent's were
    there."""
    outcome = fake.evaluate(*args)
    run_dir, parent = args[-2], args[0].parent
    if isinstance(outcome, Evaluation):
        inherited = (run_dir / "weights" / f"{parent}.npz").exists()
        for folder, suffix in (("models", "tflite"), ("weights", "npz")):
            (run_dir / folder).mkdir(exist_ok=True)
            path = run_dir / folder / f"{outcome.archid}.{suffix}"
            path.write_text(f"{outcome.archid} {inherited}")
    return outcome


def train_on(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    """A finalist, with a model that is made of its weights."""
    outcome = fake.improve(task, run_dir, config)
    weights = weights_path(run_dir, task.parent or "", slimmed=config.pruning.enabled)
    (run_dir / FINALISTS_DIR).mkdir(exist_ok=True)
    path = run_dir / FINALISTS_DIR / f"{outcome.archid}.tflite"
    path.write_bytes(b"trained on from " + weights.read_bytes())
    return outcome


def kill_trainer(task: Task, *rest: Any, broken_index: int) -> Outcome:
    """As Ray would do where a node runs out of memory, and whoever is hit is not the culprit."""
    if task.index == broken_index:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    return fake.evaluate(task, *rest)


def sleep(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    """Says in a file who sleeps, and on whose behalf."""
    announced = Path(os.environ[ASLEEP])
    draft = announced.with_suffix(".draft")
    draft.write_text(json.dumps([os.getpid(), os.getppid()]))
    draft.replace(announced)
    return fake.sleep(task, run_dir, config)


def name_space(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    """Fails with the digest of the space file it was given."""
    raise RuntimeError(f"space {open_space(config.space).sha256}")


class Broken:
    """A trainer of a node with other files."""

    def __init__(self, *args: Any, **options: Any) -> None:
        raise ImportError("of another version")

    def greet(self) -> None: ...
