"""Aging evolution: random until the population is full, then tournaments; the oldest dies, nothing
is asked twice, and the seed with what was told decides everything."""

from __future__ import annotations

import json
from statistics import mean

from hypothesis import given, settings
from hypothesis import strategies as st

from search.algorithms.evolution import Evolution
from search.config import Bounds, SpaceChoice
from search.evaluation import Outcome
from search.spaces.munas.genotype import MunasGenotype
from search.spaces.munas.space import Munas
from tests.search.evaluations import make_evaluation, make_rejected

TINY = Munas(
    SpaceChoice(max_blocks=1, max_layers=1, max_filters=8, max_dense_blocks=1, max_units=12)
)


def make_evolution(**changes) -> Evolution:
    fields = dict(
        population=5,
        sample_size=3,
        objectives=("val_error",),
        bounds=Bounds(val_error=0.1),
        seed=0,
        space=TINY,
    )
    return Evolution(**{**fields, **changes})


def asked(evolution: Evolution) -> MunasGenotype:
    answer = evolution.ask()
    assert answer is not None
    return answer.genotype


def fill(evolution: Evolution, count: int, *, val_error: float = 0.5) -> list[MunasGenotype]:
    """Ask and tell `count` evaluations."""
    genotypes = []
    for _ in range(count):
        genotypes.append(asked(evolution))
        evolution.tell(genotypes[-1], make_evaluation(genotypes[-1], val_error=val_error))
    return genotypes


def is_neighbour(child: MunasGenotype, parent: MunasGenotype) -> bool:
    """Whether one morphism may lead from parent to child, whatever it draws: they differ in at
    most one block, the pooling or the dense blocks."""
    differences = (
        (child.pooling != parent.pooling) + (child.dense != parent.dense)
        + (child.blocks != parent.blocks)
    )  # fmt: skip
    return differences == 1


def test_random_candidates_until_the_population_is_full_then_children() -> None:
    evolution = make_evolution(space=Munas())
    first = fill(evolution, 5)

    children = [asked(evolution) for _ in range(20)]

    assert not any(is_neighbour(b, a) for a in first for b in first), "drawn independently"
    assert all(any(is_neighbour(child, parent) for parent in first) for child in children)


def test_a_candidate_names_its_parent_and_a_draw_has_none() -> None:
    evolution = make_evolution(space=Munas())
    drawn = evolution.ask()
    assert drawn is not None and drawn.parent is None
    members = fill(evolution, 5)

    child = evolution.ask()

    assert child is not None
    (parent,) = [member for member in members if member.archid == child.parent]
    assert is_neighbour(child.genotype, parent)


def test_rejected_candidates_never_enter_the_population() -> None:
    evolution = make_evolution()
    for tier in ("analytic", "measured", "failed"):
        genotype = asked(evolution)
        evolution.tell(genotype, make_rejected(genotype, tier=tier))
    members = fill(evolution, 2)

    assert [member.genotype for member in evolution.population] == members


def test_the_oldest_dies_however_good_it_was() -> None:
    evolution = make_evolution()
    (best,) = fill(evolution, 1, val_error=0.0)
    others = fill(evolution, 5)

    assert best not in [member.genotype for member in evolution.population]
    assert [member.genotype for member in evolution.population] == others


def test_the_tournament_prefers_the_fitter() -> None:
    """With 12 draws among 5 members the best one is missing from 7 % of the tournaments."""
    evolution = make_evolution(sample_size=5, population=5, space=Munas())
    evolution.sample_size = 12
    fill(evolution, 4, val_error=0.5)
    (best,) = fill(evolution, 1, val_error=0.01)

    parents = [evolution._parent() for _ in range(300)]

    assert parents.count(best) > 250


def test_weights_are_drawn_afresh_for_each_parent() -> None:
    """One member has the least error, the other the least latency: both win some tournaments."""
    bounds = Bounds(val_error=0.1, latency_us=1000.0)
    evolution = make_evolution(
        population=2, sample_size=2, objectives=("val_error", "latency_us"), bounds=bounds
    )
    evolution.sample_size = 20
    accurate, fast = asked(evolution), asked(evolution)
    evolution.tell(accurate, make_evaluation(accurate, val_error=0.01, cycles=400_000))
    evolution.tell(fast, make_evaluation(fast, val_error=0.4, cycles=1_000))

    winners = [evolution._parent() for _ in range(100)]

    assert winners.count(accurate) > 20 and winners.count(fast) > 20


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.lists(st.booleans(), min_size=60, max_size=60))
def test_no_archid_is_asked_twice(seed: int, evaluates: list[bool]) -> None:
    evolution = make_evolution(seed=seed)
    archids = []
    for is_good in evaluates:
        genotype = asked(evolution)
        archids.append(genotype.archid)
        outcome: Outcome = make_evaluation(genotype) if is_good else make_rejected(genotype)
        evolution.tell(genotype, outcome)

    assert len(set(archids)) == len(archids)


def test_what_was_told_without_being_asked_is_not_asked_either() -> None:
    ghost = asked(make_evolution())
    evolution = make_evolution()
    evolution.tell(ghost, make_rejected(ghost))

    assert asked(evolution) != ghost, "the same seed would have drawn it first"


def test_draws_keep_the_caps_of_the_space() -> None:
    evolution = make_evolution(population=100)

    assert all(TINY.contains(asked(evolution)) for _ in range(50))


def test_a_used_up_space_is_admitted(monkeypatch) -> None:
    monkeypatch.setattr(Munas, "sample", lambda space, rng: make_ghost())
    evolution = make_evolution()

    assert asked(evolution) == make_ghost()
    assert evolution.ask() is None


def test_children_that_are_all_known_give_way_to_random_draws(monkeypatch) -> None:
    evolution = make_evolution()
    members = fill(evolution, 5)
    monkeypatch.setattr(Munas, "morph", lambda space, parent, rng: ("", members[0]))

    assert asked(evolution) not in members


def make_ghost() -> MunasGenotype:
    return MunasGenotype.from_json(make_rejected().genotype)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_seed_and_outcomes_decide_everything(seed: int, count: int) -> None:
    one, other = make_evolution(seed=seed), make_evolution(seed=seed)

    assert fill(one, count) == fill(other, count)
    assert one.state() == other.state()
    assert one.state_digest() == other.state_digest()


def test_the_choices_are_those_of_the_runs_on_record() -> None:
    """A journal resumes only where the same candidates are asked for: neither a library nor a
    rewriting may change them unnoticed."""
    bounds = Bounds(val_error=0.1, latency_us=500.0)
    objectives = ("val_error", "latency_us")
    evolution = make_evolution(objectives=objectives, bounds=bounds, seed=7, space=Munas())
    for _ in range(40):
        genotype = asked(evolution)
        state = evolution.state_digest()
        error, cycles = int(genotype.archid[:4], 16) / 65536, 1 + int(genotype.archid[4:8], 16)
        evolution.tell(genotype, make_evaluation(genotype, val_error=error, cycles=cycles))

    assert (genotype.archid, state) == ("2de53f658b0964d1", "d91c092ac47853cd")


def test_the_state_is_json_and_changes_with_every_draw_and_every_member() -> None:
    evolution = make_evolution()
    digests = [evolution.state_digest()]
    genotype = asked(evolution)
    digests.append(evolution.state_digest())
    evolution.tell(genotype, make_evaluation(genotype))
    digests.append(evolution.state_digest())

    assert len(set(digests)) == 3
    assert json.loads(json.dumps(evolution.state())) == evolution.state()
    assert evolution.state()["population"] == [genotype.archid]


def test_what_is_better_is_found() -> None:
    """On a made-up error (filters short of 100) evolution halves that of its first draws."""
    space = Munas(SpaceChoice(max_blocks=1, max_layers=1, max_dense_blocks=1, max_units=12))
    evolution = make_evolution(
        population=20, sample_size=10, space=space, bounds=Bounds(val_error=0.001)
    )

    def error(genotype: MunasGenotype) -> float:
        return min(abs(100 - (layer.filters or 0)) for _, _, layer in genotype.layers()) / 1000

    errors = []
    for _ in range(400):
        genotype = asked(evolution)
        errors.append(error(genotype))
        evolution.tell(genotype, make_evaluation(genotype, val_error=errors[-1]))

    assert mean(errors[-100:]) < mean(errors[:20]) / 2
