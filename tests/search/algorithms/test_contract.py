"""What holds for every algorithm: it follows from its seed and from what it was told, repeats
nothing, can be resumed, and ends where the space does; each is better than chance."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from search.config import Bounds
from search.genotype import Genotype
from search.hypervolume import hypervolume
from tests.search.algorithms.asking import NAMES, Finite, History, open_named, search
from tests.search.synthetic import BOUNDS, REFERENCE, outcome_of

# Two objectives: whatever models them has less to do.
TWO = Bounds(val_error=0.3, latency_us=50_000.0)
ROUNDS = 22  # past what any algorithm draws at random first


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def history(name: str) -> History:
    """A search with seed 1."""
    return search(open_named(name, bounds=TWO, seed=1), ROUNDS, bounds=TWO)


def test_seed_and_outcomes_decide_everything(name: str, history: History) -> None:
    again = search(open_named(name, bounds=TWO, seed=1), ROUNDS, bounds=TWO)

    assert (again.asked, again.states) == (history.asked, history.states)


def test_another_seed_asks_for_others(name: str, history: History) -> None:
    other = open_named(name, bounds=TWO, seed=2).ask()

    assert other is not None and other.genotype.archid not in history.archids


def test_every_question_changes_the_state(history: History) -> None:
    assert all(before != after for before, after in pairwise(history.states))


def test_a_run_resumes_where_it_was_cut_off(name: str, history: History) -> None:
    """Recorded candidates are asked for again, and told; the next one is then the same."""
    cut = len(history.asked) - 3
    algorithm = open_named(name, bounds=TWO, seed=1)
    for index, asked in enumerate(history.asked):
        assert algorithm.ask(asked if index < cut else None) == asked
        assert algorithm.state_digest() == history.states[index]
        if index >= 3:
            earlier = index - 3
            algorithm.tell(history.asked[earlier].genotype, history.outcomes[earlier])


def test_nothing_is_asked_twice(history: History) -> None:
    assert len(set(history.archids)) == len(history.archids)


def test_a_parent_is_an_earlier_candidate(history: History) -> None:
    for index, asked in enumerate(history.asked):
        assert asked.parent is None or asked.parent in history.archids[:index]


@pytest.mark.parametrize("seed", range(2))
def test_any_pace_within_a_window_will_do(name: str, seed: int) -> None:
    """Questions and answers interleaved at random, answers in any order: nothing is asked twice,
    and nothing is lost."""
    rng = np.random.default_rng(seed)
    algorithm = open_named(name, bounds=TWO, seed=seed)
    waiting: list[Genotype] = []
    archids: list[str] = []
    while len(archids) < 22:
        if len(waiting) < 4 and (not waiting or rng.random() < 0.6):
            asked = algorithm.ask()
            assert asked is not None
            waiting.append(asked.genotype)
            archids.append(asked.genotype.archid)
        else:
            genotype = waiting.pop(int(rng.integers(len(waiting))))
            algorithm.tell(genotype, outcome_of(genotype, TWO))

    assert len(set(archids)) == 22


def test_what_was_told_without_being_asked_is_not_asked_either(name: str) -> None:
    ghost = open_named(name, seed=3).ask()
    assert ghost is not None
    algorithm = open_named(name, seed=3)
    algorithm.tell(ghost.genotype, outcome_of(ghost.genotype))

    asked = algorithm.ask()

    assert asked is not None and asked.genotype != ghost.genotype


@pytest.mark.parametrize("size", [1, 18])
def test_a_used_up_space_ends_the_questions(name: str, size: int) -> None:
    space = Finite(size)
    unbounded = Bounds(val_error=0.3)
    algorithm = open_named(name, bounds=unbounded, space=space, population=1, sample_size=1)

    history = search(algorithm, 100, bounds=unbounded, window=1)

    assert sorted(history.archids) == sorted(member.archid for member in space.members)
    assert algorithm.ask() is None


def test_bounds_that_nothing_keeps_end_in_no_error(name: str) -> None:
    """The run counts rejections; an algorithm goes on asking."""
    hopeless = replace(BOUNDS, macs=1)
    algorithm = open_named(name, bounds=hopeless)
    for _ in range(40):
        asked = algorithm.ask()
        assert asked is not None
        algorithm.tell(asked.genotype, outcome_of(asked.genotype, hopeless))


@pytest.mark.parametrize(
    ("name", "rounds", "population", "seeds"),
    [("evolution", 300, 30, 3), ("nsga2", 300, 30, 3), ("bayes", 36, 8, 1)],
)
def test_each_is_better_than_chance(name: str, rounds: int, population: int, seeds: int) -> None:
    """More hypervolume than random search after as many candidates, summed over the seeds."""

    def share(algorithm: str, seed: int) -> float:
        opened = open_named(algorithm, bounds=TWO, seed=seed, population=population, sample_size=5)
        return hypervolume(search(opened, rounds, bounds=TWO).found, REFERENCE)

    ours = sum(share(name, seed) for seed in range(seeds))
    chance = sum(share("random", seed) for seed in range(seeds))

    assert ours > 1.05 * chance


def test_an_algorithm_imports_its_libraries_only_when_it_is_chosen() -> None:
    code = (
        "import sys, search.run\n"
        "from tests.search.algorithms.asking import open_named\n"
        "open_named('evolution'), open_named('random')\n"
        "print([name for name in ('pymoo', 'torch', 'botorch') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )

    assert done.stdout == "[]\n"
