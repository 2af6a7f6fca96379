"""Runs without workers: an algorithm, the synthetic problem, and a window between them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from search.algorithms.opening import open_algorithm
from search.algorithms.protocol import Algorithm, Asked
from search.config import Bounds, Budget, Data, Device, SearchConfig
from search.evaluation import Evaluation, Outcome, Rejected
from search.fitness import Objectives
from search.genotype import Genotype
from search.space import Space
from tests.search.synthetic import BOUNDS, PROBLEM, SPACE, outcome_of

NAMES = ("evolution", "nsga2", "bayes", "random")


def open_named(
    name: str, *, bounds: Bounds = BOUNDS, space: Space = SPACE, **budget: Any
) -> Algorithm:
    budget = dict(population=8, sample_size=3) | budget
    config = SearchConfig(
        "test", Budget(algorithm=name, **budget), Device("board"), Data("data"), bounds=bounds
    )
    return open_algorithm(config, space, PROBLEM)


@dataclass
class History:
    """What was asked for, what came of it, and the algorithm's state after each question."""

    asked: list[Asked] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    @property
    def archids(self) -> list[str]:
        return [asked.genotype.archid for asked in self.asked]

    @property
    def found(self) -> list[Objectives]:
        return [Objectives.of(each) for each in self.outcomes if isinstance(each, Evaluation)]

    def rejected(self, tier: str) -> int:
        return sum(isinstance(each, Rejected) and each.tier == tier for each in self.outcomes)


def search(
    algorithm: Algorithm, rounds: int, *, bounds: Bounds = BOUNDS, window: int = 4
) -> History:
    """Ask until `rounds` candidates kept the bounds as far as arithmetic can tell, or the space is
    used up; tell in order, `window` late."""
    history, waiting, rounds_done = History(), deque[tuple[Genotype, Outcome]](), 0
    while rounds_done < rounds and (asked := algorithm.ask()) is not None:
        outcome = outcome_of(asked.genotype, bounds)
        history.asked.append(asked)
        history.outcomes.append(outcome)
        history.states.append(algorithm.state_digest())
        rounds_done += not (isinstance(outcome, Rejected) and outcome.tier == "analytic")
        waiting.append((asked.genotype, outcome))
        if len(waiting) == window:
            algorithm.tell(*waiting.popleft())
    return history


class Finite:
    """A space of a few genotypes, whose morphisms lead from each to any other."""

    def __init__(self, size: int) -> None:
        rng, drawn = np.random.default_rng(5), dict[str, Genotype]()
        while len(drawn) < size:
            genotype = SPACE.sample(rng)
            drawn[genotype.archid] = genotype
        self.members = list(drawn.values())

    def sample(self, rng: np.random.Generator) -> Genotype:
        return self.members[int(rng.integers(len(self.members)))]

    def morph(self, genotype: Genotype, rng: np.random.Generator) -> tuple[str, Genotype]:
        others = [member for member in self.members if member != genotype]
        if not others:
            raise ValueError("the space has no other genotype")
        return "jump", others[int(rng.integers(len(others)))]

    def __getattr__(self, name: str) -> Any:
        return getattr(SPACE, name)
