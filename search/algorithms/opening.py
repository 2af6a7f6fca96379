"""Which algorithm does a configuration ask for? Imports of an algorithm happen when it is chosen:
NSGA-II brings pymoo, Bayesian optimisation torch and BoTorch."""

from __future__ import annotations

from search.algorithms.protocol import Algorithm, Problem
from search.config import SearchConfig
from search.fitness import objectives_of
from search.space import Space


def open_algorithm(config: SearchConfig, space: Space, problem: Problem) -> Algorithm:
    """problem: input shape and number of classes of the data set, for algorithms that look at what
    candidates cost."""
    budget, bounds = config.search, config.bounds
    objectives = objectives_of(budget, bounds)
    if budget.algorithm == "random":
        from search.algorithms.random import RandomSearch

        return RandomSearch(seed=budget.seed, space=space)
    if budget.algorithm == "nsga2":
        from search.algorithms.nsga2 import NSGA2

        return NSGA2(
            population=budget.population,
            objectives=objectives,
            bounds=bounds,
            seed=budget.seed,
            space=space,
        )
    if budget.algorithm == "bayes":
        from search.algorithms.bayes import BayesianOptimisation

        return BayesianOptimisation(
            objectives=objectives, bounds=bounds, seed=budget.seed, space=space, problem=problem
        )
    from search.algorithms.evolution import Evolution

    return Evolution(
        population=budget.population,
        sample_size=budget.sample_size,
        objectives=objectives,
        bounds=bounds,
        seed=budget.seed,
        space=space,
    )
