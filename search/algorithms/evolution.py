"""Which candidate next? Aging evolution (Real et al., arXiv 1802.01548): random networks until the
population is full, then one morphism of a tournament's winner; the oldest member dies. Tournaments
are judged by the random scalarisation of µNAS (arXiv 2010.14246), so that one population spreads
along the whole front.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from search.algorithms.novelty import Novelty
from search.algorithms.protocol import Asked, Member, digest
from search.config import Bounds
from search.evaluation import Evaluation, Outcome
from search.fitness import Objectives, draw_weights, fitness
from search.genotype import Genotype
from search.space import Space


class Evolution:
    """Only evaluations enter the population, rejected candidates never do.

    objectives: names of what is minimised, each with a bound that scales it (or val_error alone).
    """

    def __init__(
        self,
        *,
        population: int,
        sample_size: int,
        objectives: tuple[str, ...],
        bounds: Bounds,
        seed: int,
        space: Space,
    ) -> None:
        self.size = population
        self.sample_size = sample_size
        self.objectives = objectives
        self.bounds = bounds
        self.population: deque[Member] = deque(maxlen=population)  # oldest first
        self._rng = np.random.default_rng(seed)
        self._known = Novelty(space)

    def ask(self, recorded: Asked | None = None) -> Asked | None:
        if len(self.population) < self.size:
            return self._known.sample(self._rng)
        return self._known.breed(self._parent, self._rng)

    def tell(self, genotype: Genotype, outcome: Outcome) -> None:
        """The oldest member makes room for a new one."""
        self._known.take(genotype)
        if isinstance(outcome, Evaluation):
            self.population.append(Member(genotype, Objectives.of(outcome)))

    def state(self) -> dict[str, Any]:
        """See Novelty.state; the population is in it from the oldest member on."""
        return self._known.state(self._rng, self.population)

    def state_digest(self) -> str:
        return digest(self.state())

    def _parent(self) -> Genotype:
        """The winner of a tournament: sample_size members drawn with replacement, ranked under
        one fresh draw of weights."""
        drawn = self._rng.integers(len(self.population), size=self.sample_size)
        weights = draw_weights(self._rng, self.objectives)
        winner = max(
            (self.population[int(index)] for index in drawn),
            key=lambda member: fitness(member.objectives, self.objectives, self.bounds, weights),
        )
        return winner.genotype
