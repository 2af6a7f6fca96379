"""How does a genotype become an Evaluation? Measured before it is trained, and again afterwards.
This one walk runs in worker processes; it knows nothing of other candidates but what its task
tells."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import torch

from harness.errors import DoesNotFitError, HilnasError, JournalError, ToolchainError, UsageError
from harness.measurement import Measurement
from search.config import SearchConfig, Tiers
from search.cost import cost_of
from search.data.dataset import Split
from search.evaluation import FAILED, TRAINED, Evaluation, Outcome, Rejected
from search.export import CALIBRATION_IMAGES, export_int8, export_untrained, int8_error
from search.fitness import Objectives, broken_by, objectives_of
from search.genotype import Genotype
from search.inherit import inherit
from search.network import Network
from search.prune import Pruner, prunable_groups, slim_network
from search.space import open_space
from search.tiers import Peer, left_behind
from search.train import Trained, steps_of, train
from search.wall_time import EXPORTING, MEASURING, TRAINING, Stopwatch
from search.weights import load_weights, save_weights
from search.workers import Task
from search.workplace import Workplace, open_workplace

MODELS_NAME = "models"
WEIGHTS_NAME = "weights"

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
    """The walk of one candidate. Its randomness depends on the run's seed and its archid alone;
    what comes of it depends on its parent's weights, too, where children inherit.

    Returns:
        An Evaluation; its model lies in run_dir/models. Or Rejected: "measured" when the untrained
        export breaks a bound or does not fit the board, "short" when others of the task's rung did
        better after short training, "failed" when a step failed.
    """
    candidate = _Candidate(workplace, task, config)
    try:
        return candidate.walk(run_dir)
    except DoesNotFitError as error:
        return candidate.reject("measured", str(error))
    except (UsageError, ToolchainError, JournalError):
        raise  # not the candidate's fault: the next one would fail, too
    except HilnasError as error:
        return candidate.reject(FAILED, str(error))


class _Candidate:
    """What is known of a candidate so far, and the steps that find out more."""

    def __init__(self, workplace: Workplace, task: Task, config: SearchConfig) -> None:
        self.workplace, self.task, self.config = workplace, task, config
        self.data = workplace.dataset
        self.space = open_space(config.space)
        self.genotype = self.space.read(task.genotype)
        self.ops = self.space.lower(self.genotype, self.data.input_shape, self.data.classes)
        self.seed = seed_of(config.search.seed, self.genotype.archid)
        self.untrained: Measurement | None = None
        self.short_error: float | None = None
        self.watch = Stopwatch()

    def walk(self, run_dir: Path) -> Outcome:
        archid, recipe = self.genotype.archid, self.config.training
        model = export_untrained(self.ops, seed=self.seed, encoding=self.data.encoding)
        self.watch.lap("measured", EXPORTING)
        self.untrained = untrained = self.measure(model, "measured")  # seconds
        if (reason := broken_by(self.config.bounds, untrained)) is not None:
            return self.reject("measured", reason)
        network, epochs = self.begin(run_dir)
        if self.config.tiers.short_epochs:
            trained = self.train_shortly(network)
            if trained.diverged:
                return self.reject(FAILED, trained.diverged)
            if (reason := self.left_behind(trained.val_error, untrained)) is not None:
                return self.reject("short", reason)
        data, pruner = self.data, self.pruner_of(network, epochs)
        trained = train(
            network, data.train, data.validation, recipe,
            seed=self.seed, epochs=epochs, pruner=pruner,
        )  # fmt: skip
        self.watch.lap(TRAINED, TRAINING)
        if trained.diverged:
            return self.reject(FAILED, trained.diverged)
        if recipe.inherit:
            save_weights(weights_path(run_dir, archid), self.genotype, network)
        slimmed: Genotype | None = None
        if pruner is not None:
            slimmed, network = slim_network(network, self.space, self.genotype, pruner.kept())
        model, val_error = self.export(network)
        measured = self.measure(model, TRAINED)  # the number that counts
        path = Path(MODELS_NAME) / f"{archid}.tflite"
        _keep(model, run_dir / path)
        return Evaluation(
            archid=archid,
            genotype=self.task.genotype,
            cost=cost_of(network.ops),
            float_val_error=trained.val_error,
            val_error=val_error,
            untrained=untrained,
            measured=measured,
            model=str(path),
            train_seconds=trained.seconds,
            sparsity=0.0 if pruner is None else pruner.sparsity,
            short_error=self.short_error,
            slimmed=None if slimmed is None else slimmed.to_json(),
            spent=self.watch.spent,
            activities=self.watch.activities,
        )

    def begin(self, run_dir: Path) -> tuple[Network, int]:
        """The network before training, with its parent's weights where it has a parent that was
        trained, and the epochs of its full training."""
        network, recipe = Network(self.ops, seed=self.seed), self.config.training
        path = weights_path(run_dir, self.task.parent or "")
        if not recipe.inherit or self.task.parent is None or not path.exists():
            return network, recipe.epochs
        _, parent = load_weights(path, self.space, self.data.input_shape, self.data.classes)
        inherit(network, parent)
        return network, recipe.inherited_epochs or recipe.epochs

    def pruner_of(self, network: Network, epochs: int) -> Pruner | None:
        pruning = self.config.pruning
        if not pruning.enabled:
            return None
        steps = steps_of(self.config.training, len(self.data.train), epochs)
        groups = prunable_groups(self.space, self.genotype, network.ops)
        return Pruner(network, groups, pruning.sparsity, steps, ramp=pruning.ramp)

    def measure(self, model: bytes, tier: str) -> Measurement:
        name = f"candidate {self.task.index} ({self.genotype.archid})"
        measured = self.workplace.measure(model, name=name)
        self.watch.lap_measurement(tier, measured)
        return measured

    def train_shortly(self, network: Network) -> Trained:
        part, epochs = (
            short_part(self.data.train, self.config.tiers),
            self.config.tiers.short_epochs,
        )
        recipe = replace(self.config.training, epochs=epochs)
        trained = train(network, part, self.data.validation, recipe, seed=self.seed)
        self.watch.lap("short", TRAINING)
        return trained

    def left_behind(self, short_error: float, untrained: Measurement) -> str | None:
        """Why it is not trained in full, by its objectives among the task's rung; or None."""
        self.short_error = short_error
        objectives = Objectives.of_measured(short_error, untrained)
        values = objectives.values(objectives_of(self.config.search, self.config.bounds))
        peer = Peer(self.genotype.archid, values)
        return left_behind(peer, self.task.rung, self.config.tiers)

    def export(self, network: Network) -> tuple[bytes, float]:
        """The int8 model, and its error on the validation split."""
        calibration, validation = self.data.train.images[:CALIBRATION_IMAGES], self.data.validation
        model = export_int8(network.ops, network.folded_weights(), calibration, self.data.encoding)
        self.watch.lap(TRAINED, EXPORTING)
        val_error = int8_error(model, validation.images, validation.labels)
        self.watch.lap(TRAINED, MEASURING)
        return model, val_error

    def reject(self, tier: str, reason: str) -> Rejected:
        return Rejected(
            archid=self.genotype.archid,
            genotype=self.task.genotype,
            cost=cost_of(self.ops),
            tier=tier,
            reason=reason,
            untrained=self.untrained,
            short_error=self.short_error,
            spent=self.watch.spent,
            activities=self.watch.activities,
        )


def short_part(train_split: Split, tiers: Tiers) -> Split:
    """What short training sees: the first samples, which are a random part of a shuffled split."""
    return train_split.first(max(round(tiers.short_fraction * len(train_split)), 1))


def weights_path(run_dir: Path, archid: str) -> Path:
    return run_dir / WEIGHTS_NAME / f"{archid}.npz"


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
