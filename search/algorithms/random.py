"""Which candidate next? Any: the control that every other algorithm has to beat."""

from __future__ import annotations

import numpy as np

from search.algorithms.novelty import Novelty
from search.algorithms.protocol import Asked, digest
from search.evaluation import Outcome
from search.genotype import Genotype
from search.space import Space


class RandomSearch:
    """Draws of the space, none twice; what it is told does not matter."""

    def __init__(self, *, seed: int, space: Space) -> None:
        self._rng = np.random.default_rng(seed)
        self._known = Novelty(space)

    def ask(self, recorded: Asked | None = None) -> Asked | None:
        return self._known.sample(self._rng)

    def tell(self, genotype: Genotype, outcome: Outcome) -> None:
        self._known.take(genotype)

    def state_digest(self) -> str:
        return digest({"rng": self._rng.bit_generator.state, "seen": len(self._known)})
