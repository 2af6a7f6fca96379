"""Which candidates were never asked for? What every algorithm draws from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from search.algorithms.protocol import Asked, Member
from search.genotype import Genotype
from search.space import Space

# How often a known candidate is drawn again: from parents first, then at random, until the space
# counts as used up.
MORPH_ATTEMPTS = 50
SAMPLE_ATTEMPTS = 1000


class Novelty:
    """The archids known so far, and draws that avoid them."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._seen: set[str] = set()

    def __len__(self) -> int:
        return len(self._seen)

    def __contains__(self, genotype: Genotype) -> bool:
        return genotype.archid in self._seen

    def state(self, rng: np.random.Generator, population: Iterable[Member]) -> dict[str, Any]:
        """What a population that breeds from here on depends on, JSON-ready: the random
        generator's state, the members' archids in their order, and how many are known."""
        return {
            "rng": rng.bit_generator.state,
            "population": [member.genotype.archid for member in population],
            "seen": len(self),
        }

    def take(self, genotype: Genotype) -> bool:
        """Whether it is new; from now on it is not."""
        is_new = genotype not in self
        self._seen.add(genotype.archid)
        return is_new

    def sample(self, rng: np.random.Generator) -> Asked | None:
        """A random candidate, known from now on; None where the space is used up."""
        for _ in range(SAMPLE_ATTEMPTS):
            drawn = self.space.sample(rng)
            if self.take(drawn):
                return Asked(drawn, None)
        return None

    def breed(
        self, choose_parent: Callable[[], Genotype], rng: np.random.Generator
    ) -> Asked | None:
        """A child of a parent, chosen anew for each attempt, known from now on; a random draw
        where all children are known."""
        for _ in range(MORPH_ATTEMPTS):
            parent = choose_parent()
            try:
                _, child = self.space.morph(parent, rng)
            except ValueError:  # the only genotype of its space
                break
            if self.take(child):
                return Asked(child, parent.archid)
        return self.sample(rng)
