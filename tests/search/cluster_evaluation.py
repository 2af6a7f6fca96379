"""Evaluators for trainers on a cluster, where candidates meet more than their own faults."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import MeasurementRefusedError, NoUnitError
from harness.ledger import Measured
from harness.measurement import Measurement, UnitCheck
from search import asking
from search.asking import Wanted
from search.carried import FINALISTS_DIR, weights_path
from search.config import Device, SearchConfig
from search.evaluation import Evaluation, Outcome
from search.space import open_space
from search.spaces.munas.genotype import MunasGenotype
from search.workers import Task
from tests.measurements import make_measurement
from tests.search import fake_evaluation as fake
from tests.search.evaluations import make_evaluation

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


def ask(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    """A network that is measured by whoever is asked, twice."""
    return _measured_by(task, lambda model, name: asking.ask(Wanted(model, name)))


def measure_here(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    """What `ask` comes to without anybody to ask."""
    return _measured_by(task, lambda model, name: measure_briefly(model, None, name=name))


def _measured_by(task: Task, measure: Callable[[bytes, str], Measurement]) -> Outcome:
    genotype = MunasGenotype.from_json(task.genotype)
    model = genotype.archid.encode()
    untrained, final = measure(model, "untrained"), measure(model + b" trained", "trained")
    error = int(genotype.archid[:6], 16) % 1000 / 1000
    return make_evaluation(genotype, val_error=error, untrained=untrained, measured=final)


def measure_briefly(model: bytes, session: Any, *, name: str) -> Measurement:
    """As harness.measure.measure, of a unit that is opened and not used; cycles follow from the
    model alone. The second network on a doomed node waits there for the end."""
    if (announced := os.environ.get(DOOMED)) is not None:
        if Path(announced).exists():
            Path(announced).write_text("it is time")
            time.sleep(600)
        Path(announced).touch()
    sha256 = hashlib.sha256(model).hexdigest()
    return make_measurement(cycles=int(sha256[:4], 16) + 1, model_sha256=sha256)


def measuring(device: Device) -> Callable[..., Measurement]:
    return measure_briefly


# Set in the processes of a node whose units are all set aside.
REFUSING = "HILNAS_TEST_REFUSING"


class FakePool:
    """Of one unit that nobody opens."""

    def __init__(self, config: SearchConfig, run: str, **options: Any) -> None: ...

    def measure(self, model: bytes, *, name: str, measure_on: Any) -> Measurement:
        if REFUSING in os.environ:
            raise NoUnitError("all are set aside")
        if model == b"bad":
            raise MeasurementRefusedError("outputs differ")
        if model == b"bug":
            raise ZeroDivisionError("a defect")
        if model == b"deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if model == b"slow":
            time.sleep(600)
        return replace(make_measurement(), unit=UnitCheck("unit0", 1.0, None, None))

    def confirm(self) -> None:
        if REFUSING in os.environ:
            raise NoUnitError("the unit is in use")

    def suspects(self) -> Any:
        return {"unit0": {Measured("of a model", "then")}}


class Sleeper:
    """A trainer that never says that it is there."""

    def __init__(self, *args: Any, **options: Any) -> None: ...

    def greet(self) -> None:
        time.sleep(600)


class Broken:
    """A trainer of a node with other files."""

    def __init__(self, *args: Any, **options: Any) -> None:
        raise ImportError("of another version")

    def greet(self) -> None: ...
