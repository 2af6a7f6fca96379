"""Which candidate next? NSGA-II (Deb et al., IEEE TEC 6(2), 2002) over morphisms: random networks
until the population is full, then one morphism of the winner of a binary tournament. Asynchronous
and steady-state (Durillo et al., EMO 2009): each evaluation enters at once, and the worst of
population + 1 by non-dominated rank and crowding distance leaves. Both are pymoo's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pymoo.core.individual import Individual
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

from search.algorithms.novelty import Novelty
from search.algorithms.protocol import Asked, Member, digest
from search.config import Bounds
from search.evaluation import Evaluation, Outcome
from search.fitness import Objectives, excess
from search.genotype import Genotype
from search.space import Space


class NSGA2:
    """Only evaluations enter the population. Soft bounds are Deb's constraints: who keeps them
    all ranks before who does not, and among the latter the smaller excess wins."""

    def __init__(
        self,
        *,
        population: int,
        objectives: tuple[str, ...],
        bounds: Bounds,
        seed: int,
        space: Space,
    ) -> None:
        self.size = population
        self.objectives = objectives
        self.bounds = bounds
        self._population = Population()
        self._survival = RankAndCrowding()
        self._problem = Problem(n_obj=len(objectives), n_ieq_constr=1)
        self._rng = np.random.default_rng(seed)
        self._known = Novelty(space)

    def ask(self, recorded: Asked | None = None) -> Asked | None:
        if len(self._population) < self.size:
            return self._known.sample(self._rng)
        return self._known.breed(self._parent, self._rng)

    def tell(self, genotype: Genotype, outcome: Outcome) -> None:
        """The population makes room for a new member, unless that is the worst itself."""
        self._known.take(genotype)
        if not isinstance(outcome, Evaluation):
            return
        objectives = Objectives.of(outcome)
        newcomer = Individual(
            F=np.array(objectives.values(self.objectives)),
            G=np.array([excess(objectives, self.bounds)]),
            member=Member(genotype, objectives),
        )
        self._population = self._survival.do(
            self._problem,
            Population.merge(self._population, Population.create(newcomer)),
            n_survive=self.size,
            random_state=self._rng,
        )

    @property
    def population(self) -> list[Member]:
        """Those that keep the soft bounds first, rank by rank."""
        return [individual.get("member") for individual in self._population]

    def state(self) -> dict[str, Any]:
        """See Novelty.state; the population is in it rank by rank."""
        return self._known.state(self._rng, self.population)

    def state_digest(self) -> str:
        return digest(self.state())

    def _parent(self) -> Genotype:
        """The better of two members drawn: less excess, lower rank, more room around it."""
        drawn = self._rng.integers(len(self._population), size=2)
        winner = min((self._population[int(index)] for index in drawn), key=_merit)
        member: Member = winner.get("member")
        return member.genotype


def _merit(individual: Individual) -> tuple[float, int, float]:
    """Less is better. pymoo ranks only those that keep every constraint."""
    missed = float(individual.CV[0])
    if missed > 0:
        return missed, 0, 0.0
    return 0.0, individual.get("rank"), -individual.get("crowding")
