"""What can every algorithm do? It is asked for candidates and told what came of them, in the order
of asking, a window of them at a time. Its choices are a function of its settings, its seed, and
what it was told before each question. Must not know how candidates are evaluated or recorded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from search.evaluation import Outcome
from search.fitness import Objectives
from search.genotype import Genotype
from search.lowering import Shape

Problem = tuple[Shape, int]  # (height, width, channels) of the images, number of classes


@dataclass(frozen=True)
class Asked:
    """A candidate. parent: the archid that it is a morphism of; None where it was drawn."""

    genotype: Genotype
    parent: str | None


@dataclass(frozen=True)
class Member:
    """A trained candidate, as algorithms remember it."""

    genotype: Genotype
    objectives: Objectives


class Algorithm(Protocol):
    """Never asks for an archid twice. A run that resumes asks again from the seed."""

    def ask(self, recorded: Asked | None = None) -> Asked | None:
        """The next candidate; None where none was found, because the space is all but used up.

        recorded: what was asked for at this point of a run that is being resumed. An algorithm
        that computes long may take it instead of finding it again.
        """
        ...

    def tell(self, genotype: Genotype, outcome: Outcome) -> None:
        """What came of a candidate."""
        ...

    def state_digest(self) -> str:
        """16 hex digits that two algorithms share only where their states agree."""
        ...


def digest(state: Mapping[str, Any]) -> str:
    """The first 16 hex digits of the SHA-256 of a JSON-ready state."""
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:16]
