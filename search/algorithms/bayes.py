"""Which candidate next? Bayesian optimisation: the most promising, under a model of what was told,
of a pool of random draws and of morphisms of the best. ParEGO (Knowles, IEEE TEC 10(1), 2006)
makes one number of the objectives, with fresh random weights for each question, so that the whole
front is approached. How candidates are modelled is surrogate.py's matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.measurement import Measurement
from search.algorithms.novelty import Novelty
from search.algorithms.protocol import Asked, Problem, digest
from search.algorithms.surrogate import (
    Hyperparameters,
    Observations,
    Question,
    Scalarisation,
    fit,
    most_promising,
)
from search.config import Bounds
from search.cost import cost_of
from search.evaluation import Cost, Evaluation, Outcome
from search.fitness import broken_by_cost
from search.genotype import Genotype
from search.space import Space

Array = NDArray[np.float64]

# Random candidates come first: until so many were measured, and of those so many trained.
FIRST_MEASURED = 16
FIRST_TRAINED = 4
# What is chosen from: so many children of each of the best, and random draws.
BEST = 8
CHILDREN = 16
DRAWS = 32
MORPHISMS = 3  # a child is at most so many steps from its parent
KNOWN = 400  # observations that a model is made of, the newest: time grows with their cube
LEAST_ERROR = 1e-3  # errors are modelled by their logarithm


@dataclass(frozen=True, eq=False)
class _Told:
    """values: what was measured, by name; with a val_error where it was trained."""

    archid: str
    genotype: Genotype
    features: Array
    values: dict[str, float]


class BayesianOptimisation:
    """The random numbers of a question follow from the seed and the question's number alone, so
    that a run that resumes need not think again about what it asked.

    objectives: names of what is minimised. Hard bounds on what is measured are modelled, too.
    """

    def __init__(
        self,
        *,
        objectives: tuple[str, ...],
        bounds: Bounds,
        seed: int,
        space: Space,
        problem: Problem,
    ) -> None:
        self.objectives = objectives
        self.bounds = bounds
        self.seed = seed
        self.space = space
        self.problem = problem
        self._limits = {
            name: float(bound)
            for name in ("latency_us", "sram_bytes", "flash_bytes", "energy_uj")
            if (bound := getattr(bounds, name)) is not None and name not in bounds.soft
        }
        self._outputs = tuple(dict.fromkeys((*objectives, *self._limits)))
        self._asked = 0
        self._told: list[_Told] = []
        self._pending: dict[str, Array] = {}  # archid -> features
        self._known = Novelty(space)
        self._fits: dict[str, tuple[int, Hyperparameters]] = {}

    def ask(self, recorded: Asked | None = None) -> Asked | None:
        asked = recorded or self._choose(np.random.default_rng((self.seed, self._asked)))
        if asked is not None:
            self._asked += 1
            self._known.take(asked.genotype)
            self._pending[asked.genotype.archid] = self._features_of(asked.genotype)
        return asked

    def tell(self, genotype: Genotype, outcome: Outcome) -> None:
        archid = genotype.archid
        self._known.take(genotype)
        features = self._pending.pop(archid, None)
        values = _values(outcome)
        if values:
            if features is None:  # told without being asked
                features = self._features_of(genotype)
            self._told.append(_Told(archid, genotype, features, values))

    def state_digest(self) -> str:
        told = [told.archid for told in self._told]
        return digest({"asked": self._asked, "told": told, "pending": list(self._pending)})

    def _choose(self, rng: np.random.Generator) -> Asked | None:
        trained = [told for told in self._told if "val_error" in told.values]
        if len(self._told) < FIRST_MEASURED or len(trained) < FIRST_TRAINED:
            return self._known.sample(rng)
        values = np.array([[told.values[name] for name in self.objectives] for told in trained])
        scalarisation = self._scalarisation(values, rng)
        best = [trained[index] for index in scalarisation.order(values)[:BEST]]
        pool = self._pool([told.genotype for told in best], rng)
        if not pool:
            return self._known.sample(rng)
        question = Question(
            scalarisation=scalarisation,
            limits={self._outputs.index(name): bound for name, bound in self._limits.items()},
            baseline=np.array([told.features for told in best]),
            pending=np.array(list(self._pending.values())).reshape(-1, len(best[0].features)),
            pool=np.array([features for _, features in pool]),
        )
        known = self._told[-KNOWN:]
        known += [told for told in best if told not in known]
        outputs = [(_observations(known, name), self._fit(name)) for name in self._outputs]
        asked, _ = pool[most_promising(outputs, question, seed=int(rng.integers(2**31)))]
        return asked

    def _fit(self, name: str) -> Hyperparameters:
        """Fitting takes most of the time, so that of the outputs only one, in turn, is fitted anew
        for each outcome told: a function of what was told still."""
        having = [told for told in self._told if name in told.values]
        turn = (len(having) - self._outputs.index(name)) % len(self._outputs)
        count = max(len(having) - turn, FIRST_TRAINED)
        if name not in self._fits or self._fits[name][0] != count:
            self._fits[name] = count, fit(_observations(having[:count], name))
        return self._fits[name][1]

    def _scalarisation(self, values: Array, rng: np.random.Generator) -> Scalarisation:
        """Weights drawn from the simplex. An objective is scaled from the best value told to its
        bound, where anything does keep the bound, otherwise to the worst value told."""
        weights = rng.dirichlet(np.ones(len(self.objectives)))
        ideal, worst = values.min(axis=0), values.max(axis=0)
        bounds = np.array([getattr(self.bounds, name) or np.inf for name in self.objectives])
        span = np.where((ideal < bounds) & (bounds < np.inf), bounds, worst) - ideal
        return Scalarisation(weights, ideal, np.where(span > 0, span, 1.0))

    def _pool(
        self, parents: Sequence[Genotype], rng: np.random.Generator
    ) -> list[tuple[Asked, Array]]:
        """New candidates that keep the bounds as far as arithmetic can tell, none twice, with
        their features."""
        children = [
            Asked(self._descendant(parent, rng), parent.archid)
            for parent in parents
            for _ in range(CHILDREN)
        ]
        draws = [Asked(self.space.sample(rng), None) for _ in range(DRAWS)]
        found: dict[str, tuple[Asked, Array]] = {}
        for asked in (*children, *draws):
            archid = asked.genotype.archid
            if asked.genotype in self._known or archid in found:
                continue
            cost = self._cost(asked.genotype)
            if broken_by_cost(self.bounds, cost) is None:
                found[archid] = asked, self._features(asked.genotype, cost)
        return list(found.values())

    def _descendant(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        for _ in range(int(rng.integers(1, MORPHISMS + 1))):
            try:
                _, genotype = self.space.morph(genotype, rng)
            except ValueError:  # the only genotype of its space
                break
        return genotype

    def _cost(self, genotype: Genotype) -> Cost:
        return cost_of(self.space.lower(genotype, *self.problem))

    def _features_of(self, genotype: Genotype) -> Array:
        return self._features(genotype, self._cost(genotype))

    def _features(self, genotype: Genotype, cost: Cost) -> Array:
        """(n,): the space's own, and the logarithms of the analytic costs; a factor of 256 in one
        of them counts as much as any other feature's whole range."""
        costs = np.log2([1 + cost.macs, 1 + cost.model_size_bytes, 1 + cost.peak_memory_bytes]) / 8
        return np.concatenate([self.space.features(genotype), costs])


def _observations(told: Sequence[_Told], name: str) -> Observations:
    having = [each for each in told if name in each.values]
    return Observations(
        np.array([each.features for each in having]),
        np.array([each.values[name] for each in having]),
    )


def _values(outcome: Outcome) -> dict[str, float]:
    """What was measured of a candidate; of one that was not trained, its untrained export."""
    if isinstance(outcome, Evaluation):
        error = max(outcome.val_error, LEAST_ERROR)
        return {"val_error": error, **_measured(outcome.measured)}
    return {} if outcome.untrained is None else _measured(outcome.untrained)


def _measured(measurement: Measurement) -> dict[str, float]:
    return {
        "latency_us": measurement.latency_us.median,
        "sram_bytes": float(measurement.sram.total_bytes),
        "flash_bytes": float(measurement.flash.total_bytes),
        "macs": float(measurement.macs),
        **({} if measurement.energy is None else {"energy_uj": measurement.energy.uj}),
    }
