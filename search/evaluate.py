"""How does a genotype become an Evaluation? Measured before it is trained, and again afterwards.
This one walk runs in worker processes; it knows nothing of other candidates but what its task
tells."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from harness.errors import DoesNotFitError, HilnasError, JournalError, ToolchainError, UsageError
from harness.measurement import Measurement
from search.config import SearchConfig
from search.cost import cost_of
from search.evaluation import FAILED, TRAINED, Evaluation, Outcome, Rejected
from search.export import CALIBRATION_IMAGES, export_int8, export_untrained, int8_error
from search.fitness import broken_by
from search.network import Network
from search.space import open_space
from search.train import train
from search.wall_time import EXPORTING, MEASURING, TRAINING, Stopwatch
from search.workers import Task
from search.workplace import Workplace, open_workplace

MODELS_NAME = "models"

_workplace: Workplace | None = None  # of this worker process, made by prepare


def prepare(config: SearchConfig) -> None:
    """What a worker does once: heavy imports (by importing this module), data, threads."""
    global _workplace
    torch.set_num_threads(1)
    _workplace = open_workplace(config)


def evaluate(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    """Evaluate a candidate, in a process where `prepare` was called.

    Returns what evaluate_in returns. Raises UsageError, ToolchainError or JournalError when the
    next candidate would fail, too.
    """
    assert _workplace is not None, "prepare comes first"
    return evaluate_in(_workplace, task, run_dir, config)


def evaluate_in(workplace: Workplace, task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    """The walk of one candidate. Its randomness depends on the run's seed and its archid alone.

    Returns:
        An Evaluation; its model lies in run_dir/models. Or Rejected: "measured" when the untrained
        export breaks a bound or does not fit the board, "failed" when a step failed.
    """
    space, data = open_space(config.space), workplace.dataset
    genotype = space.read(task.genotype)
    ops = space.lower(genotype, data.input_shape, data.classes)
    cost, seed = cost_of(ops), seed_of(config.search.seed, genotype.archid)
    name = f"candidate {task.index} ({genotype.archid})"
    untrained: Measurement | None = None
    watch = Stopwatch()

    def reject(tier: str, reason: str) -> Rejected:
        return Rejected(
            archid=genotype.archid,
            genotype=task.genotype,
            cost=cost,
            tier=tier,
            reason=reason,
            untrained=untrained,
            spent=watch.spent,
            activities=watch.activities,
        )

    try:
        model = export_untrained(ops, seed=seed, encoding=data.encoding)
        watch.lap("measured", EXPORTING)
        untrained = workplace.measure(model, name=name)  # seconds
        watch.lap_measurement("measured", untrained)
        if (reason := broken_by(config.bounds, untrained)) is not None:
            return reject("measured", reason)
        network = Network(ops, seed=seed)
        trained = train(network, data.train, data.validation, config.training, seed=seed)
        watch.lap(TRAINED, TRAINING)
        if trained.diverged:
            return reject(FAILED, trained.diverged)
        calibration = data.train.images[:CALIBRATION_IMAGES]
        model = export_int8(ops, network.folded_weights(), calibration, data.encoding)
        watch.lap(TRAINED, EXPORTING)
        val_error = int8_error(model, data.validation.images, data.validation.labels)
        watch.lap(TRAINED, MEASURING)
        measured = workplace.measure(model, name=name)  # the number that counts
        watch.lap_measurement(TRAINED, measured)
    except DoesNotFitError as error:
        return reject("measured", str(error))
    except (UsageError, ToolchainError):
        raise  # not the candidate's fault: the next one would fail, too
    except HilnasError as error:
        return reject(FAILED, str(error))
    path = Path(MODELS_NAME) / f"{genotype.archid}.tflite"
    _keep(model, run_dir / path)
    return Evaluation(
        archid=genotype.archid,
        genotype=task.genotype,
        cost=cost,
        float_val_error=trained.val_error,
        val_error=val_error,
        untrained=untrained,
        measured=measured,
        model=str(path),
        train_seconds=trained.seconds,
        spent=watch.spent,
        activities=watch.activities,
    )


def _keep(model: bytes, path: Path) -> None:
    """A disk that is full ends the run, which can be resumed; it rejects no candidate."""
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(model)
    except OSError as error:
        raise JournalError(
            f"cannot be written: {error.strerror}",
            where=path,
            hint="make room, then resume the run",
        ) from None


def seed_of(run_seed: int, archid: str) -> int:
    """A candidate's own seed: the same whichever worker takes it, and in whatever order."""
    return int.from_bytes(hashlib.sha256(f"{run_seed}:{archid}".encode()).digest()[:4], "big")
