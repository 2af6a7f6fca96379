"""How does a genotype become an Evaluation? Measured before it is trained, and again afterwards.
This one walk runs in worker processes; it knows nothing of other candidates but what its task
tells."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import torch

from harness.errors import DatasetError, DoesNotFitError, HilnasError
from harness.measurement import Measurement
from search.carried import FINALISTS_DIR, MODELS_DIR, weights_path
from search.config import Quantisation, SearchConfig, Tiers
from search.cost import cost_of
from search.data.dataset import Split
from search.distill import open_teacher
from search.evaluation import (
    FAILED,
    NOT_THE_CANDIDATES,
    TRAINED,
    Evaluation,
    Outcome,
    Rejected,
)
from search.export import export_untrained
from search.finalists import FINALIST
from search.fitness import Objectives, broken_by, objectives_of
from search.genotype import Genotype
from search.inherit import inherit
from search.keeping import write_whole
from search.network import Network
from search.prune import Pruner, prunable_groups, slim_network
from search.quantise import quantise
from search.space import open_space
from search.tiers import Peer, left_behind
from search.train import Trained, steps_of, train
from search.wall_time import EXPORTING, TRAINING, Stopwatch
from search.weights import load_weights, save_weights
from search.workers import Task
from search.workplace import AnyWorkplace, open_workplace

# [quantisation] is for finalists; the others are not fine-tuned.
_EXPORT_ONLY = Quantisation(epochs=0)

_workplace: AnyWorkplace | None = None  # of this worker process, made by prepare


def prepare(
    config: SearchConfig,
    dataset_sha256: str | None = None,
    run: str = "",
    *,
    is_asking: bool = False,
) -> None:
    """What a worker does once: heavy imports (by importing this module), data, threads. `run`:
    the same for all workers of one; each unit has a control run at its first use in it.
    is_asking: units are elsewhere, and whoever started this process is asked for measurements.

    Raises:
        DatasetError: the data set is not the one of that digest, which the run started with.
    """
    global _workplace
    torch.set_num_threads(1)
    _workplace = open_workplace(config, run, is_asking=is_asking)
    if dataset_sha256 not in (None, _workplace.dataset.sha256):
        raise DatasetError(
            f"{_workplace.dataset.name} is not the data set that the run started with",
            where="[data] " + (f"path {config.data.path}" if config.data.path else "name"),
            expected=f"sha256 {dataset_sha256}",
            got=_workplace.dataset.sha256,
            hint="every machine needs the same files at the same place",
        )


def evaluate(task: Task, run_dir: Path, config: SearchConfig) -> Outcome:
    """Evaluate a candidate or a finalist, in a process where `prepare` was called.

    Returns what evaluate_in returns. Raises UsageError, ToolchainError, JournalError or
    NoUnitError when the next candidate would fail, too.
    """
    assert _workplace is not None, "prepare comes first"
    return evaluate_in(_workplace, task, run_dir, config)


def evaluate_in(
    workplace: AnyWorkplace, task: Task, run_dir: Path, config: SearchConfig
) -> Outcome:
    """The walk of one candidate. Its randomness depends on the run's seed and its archid alone;
    what comes of it depends on its parent's weights, too, where children inherit.

    A finalist is trained on from the weights that it ended in, for [finalists] epochs, slimmed
    where it was slimmed; its untrained measurement is the final one.

    Returns:
        An Evaluation; its model lies in run_dir/models, a finalist's in run_dir/finalists. Or
        Rejected: "measured" when the untrained export breaks a bound or does not fit the board,
        "short" when others of the task's rung did better after short training, "failed" when a
        step failed.
    """
    candidate = _Candidate(workplace, task, run_dir, config)
    try:
        return candidate.train_on() if task.is_finalist else candidate.walk()
    except DoesNotFitError as error:
        return candidate.reject("measured", str(error))
    except NOT_THE_CANDIDATES:
        raise
    except HilnasError as error:
        return candidate.reject(FAILED, str(error))


class _Candidate:
    """What is known of a candidate so far, and the steps that find out more."""

    def __init__(
        self, workplace: AnyWorkplace, task: Task, run_dir: Path, config: SearchConfig
    ) -> None:
        self.workplace, self.task, self.run_dir, self.config = workplace, task, run_dir, config
        self.data = workplace.dataset
        self.problem = (self.data.input_shape, self.data.classes)
        self.space = open_space(config.space)
        self.genotype = self.space.read(task.genotype)
        self.ops = self.space.lower(self.genotype, *self.problem)
        self.seed = seed_of(config.search.seed, self.genotype.archid)
        self.teacher = open_teacher(config.distillation, self.data, run_dir)
        self.untrained: Measurement | None = None
        self.short_error: float | None = None
        self.watch = Stopwatch()

    def walk(self) -> Outcome:
        model = export_untrained(self.ops, seed=self.seed, encoding=self.data.encoding)
        self.watch.lap("measured", EXPORTING)
        self.untrained = untrained = self.measure(model, "measured")  # seconds
        if (reason := broken_by(self.config.bounds, untrained)) is not None:
            return self.reject("measured", reason)
        network, epochs = self.begin()
        if self.config.tiers.short_epochs:
            trained = self.train_shortly(network)
            if trained.diverged:
                return self.reject(FAILED, trained.diverged)
            if (reason := self.left_behind(trained.val_error, untrained)) is not None:
                return self.reject("short", reason)
        trained, pruner = self.train(network, epochs)
        if trained.diverged:
            return self.reject(FAILED, trained.diverged)
        slimmed, network = self.keep_weights(network, pruner)
        return self.finish(network, trained, TRAINED, MODELS_DIR, slimmed)

    def train_on(self) -> Outcome:
        """The walk of a finalist."""
        archid = self.genotype.archid
        path = weights_path(self.run_dir, archid, slimmed=self.config.pruning.enabled)
        _, network = load_weights(path, self.space, *self.problem)
        trained = train(
            network,
            self.data.train,
            self.data.validation,
            self.config.training,
            seed=seed_of(self.config.search.seed, archid + FINALIST),
            epochs=self.config.finalists.epochs,
            teacher=self.teacher,
        )
        self.watch.lap(FINALIST, TRAINING)
        if trained.diverged:
            return self.reject(FAILED, trained.diverged)
        return self.finish(network, trained, FINALIST, FINALISTS_DIR)

    def finish(
        self,
        network: Network,
        trained: Trained,
        tier: str,
        folder: str,
        slimmed: Genotype | None = None,
    ) -> Evaluation:
        """Export and measure what was trained; its model is kept in this folder of the run."""
        quantised = quantise(
            network,
            self.data,
            self.config.training,
            self.config.quantisation if tier == FINALIST else _EXPORT_ONLY,
            float_val_error=trained.val_error,
            seed=self.seed,
            teacher=self.teacher,
            lap=partial(self.watch.lap, tier),
        )
        measured = self.measure(quantised.model, tier)  # the number that counts
        path = Path(folder) / f"{self.genotype.archid}.tflite"
        write_whole(self.run_dir / path, quantised.model)
        return Evaluation(
            archid=self.genotype.archid,
            genotype=self.task.genotype,
            cost=cost_of(self.ops),
            float_val_error=trained.val_error,
            val_error=quantised.val_error,
            plain_val_error=quantised.plain_val_error if quantised.tried else None,
            untrained=self.untrained or measured,
            measured=measured,
            model=str(path),
            train_seconds=trained.seconds + quantised.seconds,
            sparsity=self.task.sparsity,
            short_error=self.short_error,
            slimmed=None if slimmed is None else slimmed.to_json(),
            slimmed_cost=None if slimmed is None else cost_of(network.ops),
            spent=self.watch.spent,
            activities=self.watch.activities,
        )

    def begin(self) -> tuple[Network, int]:
        """A network with fresh weights, or with what its parent has for it; and the epochs that it
        is to be trained for."""
        network, recipe = Network(self.ops, seed=self.seed), self.config.training
        if self.task.parent is None:
            return network, recipe.epochs
        path = weights_path(self.run_dir, self.task.parent)
        _, parent = load_weights(path, self.space, *self.problem)
        inherit(network, parent)
        return network, recipe.inherited_epochs or recipe.epochs

    def train(self, network: Network, epochs: int) -> tuple[Trained, Pruner | None]:
        data, recipe, pruning = self.data, self.config.training, self.config.pruning
        pruner = None
        if pruning.enabled:
            prunable = prunable_groups(self.space, self.genotype, self.ops)
            steps = steps_of(recipe, len(data.train), epochs)
            pruner = Pruner(network, prunable, self.task.sparsity, steps, ramp=pruning.ramp)
        trained = train(
            network,
            data.train,
            data.validation,
            recipe,
            seed=self.seed,
            epochs=epochs,
            pruner=pruner,
            teacher=self.teacher,
        )
        self.watch.lap(TRAINED, TRAINING)
        return trained, pruner

    def keep_weights(
        self, network: Network, pruner: Pruner | None
    ) -> tuple[Genotype | None, Network]:
        """The slimmed genotype where there is one, and the network to be exported. Finalists find
        its weights in the run folder, children those of the whole network."""
        archid = self.genotype.archid
        if pruner is None or self.config.training.inherit:
            save_weights(weights_path(self.run_dir, archid), self.genotype, network)
        if pruner is None:
            return None, network
        slimmed, small = slim_network(network, self.space, self.genotype, pruner.kept())
        save_weights(weights_path(self.run_dir, archid, slimmed=True), slimmed, small)
        return slimmed, small

    def measure(self, model: bytes, tier: str) -> Measurement:
        name = f"candidate {self.task.index} ({self.genotype.archid})"
        measured = self.workplace.measure(model, name=name)
        self.watch.lap_measurement(tier, measured)
        return measured

    def train_shortly(self, network: Network) -> Trained:
        trained = train(
            network,
            short_part(self.data.train, self.config.tiers),
            self.data.validation,
            self.config.training,
            seed=self.seed,
            epochs=self.config.tiers.short_epochs,
            teacher=self.teacher,
        )
        self.watch.lap("short", TRAINING)
        return trained

    def left_behind(self, short_error: float, untrained: Measurement) -> str | None:
        """Why it is not trained in full, by its objectives among the task's rung; or None."""
        self.short_error = short_error
        objectives = Objectives.of_measured(short_error, untrained)
        values = objectives.values(objectives_of(self.config.search, self.config.bounds))
        peer = Peer(self.genotype.archid, values)
        return left_behind(peer, self.task.rung, self.config.tiers)

    def reject(self, tier: str, reason: str) -> Rejected:
        return Rejected(
            archid=self.genotype.archid,
            genotype=self.task.genotype,
            cost=cost_of(self.ops),
            tier=tier,
            reason=reason,
            untrained=self.untrained,
            sparsity=self.task.sparsity,
            short_error=self.short_error,
            spent=self.watch.spent,
            activities=self.watch.activities,
        )


def short_part(train_split: Split, tiers: Tiers) -> Split:
    """What short training sees: the first samples, which are a random part of a shuffled split."""
    return train_split.first(max(round(tiers.short_fraction * len(train_split)), 1))


def seed_of(run_seed: int, archid: str) -> int:
    """A candidate's own seed: the same whichever worker takes it, and in whatever order."""
    return int.from_bytes(hashlib.sha256(f"{run_seed}:{archid}".encode()).digest()[:4], "big")
