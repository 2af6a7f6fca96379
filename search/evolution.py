"""Which candidate next? Aging evolution (Real et al., arXiv 1802.01548) by ask() and tell():
random networks until the population is full, then one morphism of a tournament's winner; the
oldest member dies. Its choices depend on nothing but the seed and what it was told, in which
order. Must not know how candidates are evaluated or recorded.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.config import Bounds
from search.evaluation import Evaluation, Outcome
from search.fitness import Objectives, draw_weights, fitness
from search.genotype import Genotype
from search.space import Space

# How often a candidate asked before is drawn again: from parents first, then at random.
MORPH_ATTEMPTS = 50
SAMPLE_ATTEMPTS = 1000


@dataclass(frozen=True)
class Member:
    genotype: Genotype
    objectives: Objectives


class Evolution:
    """Asked for candidates, told what came of them. No archid is asked twice; only evaluations
    enter the population, rejected candidates never do."""

    def __init__(
        self,
        *,
        population: int,
        sample_size: int,
        bounds: Bounds,
        seed: int,
        space: Space,
    ) -> None:
        self.size = population
        self.sample_size = sample_size
        self.bounds = bounds
        self.space = space
        self.population: deque[Member] = deque(maxlen=population)  # oldest first
        self._rng = np.random.default_rng(seed)
        self._seen: set[str] = set()

    def ask(self) -> Genotype | None:
        """A candidate never asked before; None where none was found, because the (capped) space
        is all but used up."""
        if len(self.population) == self.size:
            for _ in range(MORPH_ATTEMPTS):
                _, child = self.space.morph(self._parent().genotype, self._rng)
                if self._is_new(child):
                    return child
        for _ in range(SAMPLE_ATTEMPTS):
            drawn = self.space.sample(self._rng)
            if self._is_new(drawn):
                return drawn
        return None

    def tell(self, genotype: Genotype, outcome: Outcome) -> None:
        """What came of a candidate. The oldest member makes room for a new one."""
        self._seen.add(genotype.archid)
        if isinstance(outcome, Evaluation):
            self.population.append(Member(genotype, Objectives.of(outcome)))

    def state(self) -> dict[str, Any]:
        """JSON-ready: the random generator's state and the population's archids, oldest first."""
        return {
            "rng": self._rng.bit_generator.state,
            "population": [member.genotype.archid for member in self.population],
            "seen": len(self._seen),
        }

    def state_digest(self) -> str:
        """16 hex digits that two evolutions share only where their states agree."""
        text = json.dumps(self.state(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _parent(self) -> Member:
        """The winner of a tournament: sample_size members drawn with replacement, ranked under
        one fresh draw of weights."""
        drawn = self._rng.integers(len(self.population), size=self.sample_size)
        weights = draw_weights(self._rng)
        return max(
            (self.population[int(index)] for index in drawn),
            key=lambda member: fitness(member.objectives, self.bounds, weights),
        )

    def _is_new(self, genotype: Genotype) -> bool:
        if genotype.archid in self._seen:
            return False
        self._seen.add(genotype.archid)
        return True
