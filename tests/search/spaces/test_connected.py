"""From any network of a space to any other by morphisms alone: what one does, others can undo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest

from search.config import SpaceChoice
from search.genotype import Genotype
from search.spaces.munas import sampling
from search.spaces.munas.genotype import MunasGenotype
from search.spaces.munas.morphisms import MORPHISMS as MUNAS_MORPHISMS
from search.spaces.staged.genotype import StagedGenotype
from search.spaces.staged.morphisms import MORPHISMS
from search.spaces.staged.space import Staged
from tests.search.spaces import test_counting
from tests.search.spaces.spaces import TINY, tiny
from tests.search.spaces.test_counting import (
    EVERY_FLAG,
    Flags,
    munas_networks,
    staged_networks,
)

# Morphisms draw what is new: so many tries find enough of what one step can lead to.
DRAWS = 3

Neighbours = Callable[[Genotype], Iterable[Genotype]]


def check_connected(networks: Iterable[Genotype], neighbours: Neighbours) -> None:
    """Breadth-first from one network along the steps, and against them: both reach all."""
    places = {genotype: place for place, genotype in enumerate(dict.fromkeys(networks))}
    forward = [
        {places[child] for child in neighbours(genotype) if child in places} for genotype in places
    ]
    backward: list[set[int]] = [set() for _ in places]
    for place, children in enumerate(forward):
        for child in children:
            backward[child].add(place)
    assert len(reached(forward)) == len(places), "every network can be reached"
    assert len(reached(backward)) == len(places), "every network can be left"


def reached(edges: list[set[int]]) -> set[int]:
    """From network 0."""
    seen, front = {0}, {0}
    while front:
        front = {child for place in front for child in edges[place]} - seen
        seen |= front
    return seen


@pytest.mark.parametrize("name", TINY)
def test_a_file_space_is_connected(name: str) -> None:
    space: Staged = tiny(name)
    rng = np.random.default_rng(0)

    def neighbours(genotype: Genotype) -> Iterable[Genotype]:
        assert isinstance(genotype, StagedGenotype)
        for _ in range(DRAWS):
            for morphism in MORPHISMS:
                yield from space.neighbours(morphism, genotype, rng)

    check_connected(staged_networks(name), neighbours)


def check_munas(caps: SpaceChoice, flags: Sequence[Flags], draws: int) -> None:
    """Steps over the caps are left out."""
    rng = np.random.default_rng(0)

    def neighbours(genotype: Genotype) -> Iterable[Genotype]:
        assert isinstance(genotype, MunasGenotype)
        for _ in range(draws):
            for morphism in MUNAS_MORPHISMS.values():
                yield from morphism(genotype, rng, caps)

    check_connected(munas_networks(caps, flags), neighbours)


def test_the_layers_poolings_and_widths_of_munas_are_connected() -> None:
    check_munas(SpaceChoice(1, 1, 2, 1, 11), EVERY_FLAG, draws=1)


@pytest.mark.parametrize(
    "caps",
    [SpaceChoice(2, 2, 1, 1, 10), SpaceChoice(3, 1, 1, 1, 10), SpaceChoice(1, 1, 1, 2, 12)],
    ids=["branches", "joined", "dense"],
)
def test_the_structures_of_munas_are_connected(
    caps: SpaceChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above changes by single steps has one value here."""
    for place in (test_counting, sampling):
        monkeypatch.setattr(place, "KERNELS", (5,))
        monkeypatch.setattr(place, "STRIDES", (1,))
        monkeypatch.setattr(place, "POOLING_SIZES", (4,))
        monkeypatch.setattr(place, "POOLING_KINDS", ("max",))
    monkeypatch.setattr(sampling, "PRE_POOL_PROBABILITY", 0.0)
    monkeypatch.setattr(sampling, "RELU_PROBABILITY", 1.0)
    check_munas(caps, [(False, False, True)], DRAWS)
