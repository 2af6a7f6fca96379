"""Random draws reach all of the space, both ends of every range included, and nothing else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.config import SpaceChoice
from search.spaces.munas.genotype import ConvLayer, MunasGenotype
from search.spaces.munas.sampling import contains, sample
from tests.search.genotypes import conv, genotypes, network, series

DRAWS = 4000


@pytest.fixture(scope="module")
def drawn() -> list[MunasGenotype]:
    rng = np.random.default_rng(0)
    return [sample(rng) for _ in range(DRAWS)]


@pytest.fixture(scope="module")
def drawn_layers(drawn: list[MunasGenotype]) -> list[ConvLayer]:
    return [layer for genotype in drawn for _, _, layer in genotype.layers()]


def test_every_value_of_every_range_is_drawn(
    drawn: list[MunasGenotype], drawn_layers: list[ConvLayer]
) -> None:
    assert {len(g.blocks) for g in drawn} == set(range(1, 11))
    assert {len(block.layers) for g in drawn for block in g.blocks} == {1, 2, 3}
    assert {len(g.dense) for g in drawn} == {1, 2, 3}
    assert {units for g in drawn for units in g.dense} == set(range(10, 257))
    assert {layer.filters for layer in drawn_layers} == {None, *range(1, 129)}
    assert {layer.kernel for layer in drawn_layers} == {None, 3, 5, 7}
    assert {layer.stride for layer in drawn_layers} == {None, 1, 2}
    assert {(g.pooling.kind, g.pooling.size) for g in drawn if g.pooling} == {
        (kind, size) for kind in ("average", "max") for size in (2, 4, 6)
    }
    assert {layer.kind for layer in drawn_layers} == {"conv", "pointwise", "depthwise"}


def share(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


def test_the_odds_are_those_of_the_original(
    drawn: list[MunasGenotype], drawn_layers: list[ConvLayer]
) -> None:
    """Within 5 standard deviations of the binomial."""
    for hits, odds in (
        ([g.pooling is not None for g in drawn], 0.9),
        ([layer.relu for layer in drawn_layers], 0.9),
        ([layer.pre_pool for layer in drawn_layers], 0.25),
        ([layer.batch_norm for layer in drawn_layers], 0.5),
        ([block.branch for g in drawn for block in g.blocks[1:]], 0.5),
        ([layer.kind == "conv" for layer in drawn_layers], 1 / 3),
        ([layer.filters == 128 for layer in drawn_layers if layer.filters], 1 / 128),
    ):
        deviation = (odds * (1 - odds) / len(hits)) ** 0.5
        assert abs(share(hits) - odds) < 5 * deviation


def test_numbers_of_blocks_are_drawn_evenly(drawn: list[MunasGenotype]) -> None:
    counts = Counter(len(g.blocks) for g in drawn)

    assert max(counts.values()) < 1.4 * min(counts.values())


@given(st.integers(0, 2**64))
def test_a_seed_decides_the_draws(seed: int) -> None:
    one, other = (np.random.default_rng(seed) for _ in range(2))

    assert [sample(one) for _ in range(3)] == [sample(other) for _ in range(3)]


def test_the_global_generator_is_left_alone() -> None:
    before = np.random.get_state()[1].tolist()

    sample(np.random.default_rng(0))

    assert np.random.get_state()[1].tolist() == before


@given(
    st.integers(0, 2**32),
    st.builds(
        SpaceChoice,
        max_blocks=st.integers(1, 10),
        max_layers=st.integers(1, 3),
        max_filters=st.integers(1, 128),
        max_dense_blocks=st.integers(1, 3),
        max_units=st.integers(10, 256),
    ),
)
def test_caps_hold_for_every_draw(seed: int, space: SpaceChoice) -> None:
    assert contains(sample(np.random.default_rng(seed), space), space)


def test_caps_are_reached() -> None:
    space = SpaceChoice(
        max_blocks=2, max_layers=2, max_filters=3, max_dense_blocks=2, max_units=11
    )
    rng = np.random.default_rng(0)
    drawn = [sample(rng, space) for _ in range(300)]
    filters = {layer.filters for g in drawn for _, _, layer in g.layers()}

    assert {len(g.blocks) for g in drawn} == {1, 2}
    assert {len(block.layers) for g in drawn for block in g.blocks} == {1, 2}
    assert filters == {None, 1, 2, 3}
    assert {len(g.dense) for g in drawn} == {1, 2}
    assert {units for g in drawn for units in g.dense} == {10, 11}


@given(genotypes())
def test_the_full_space_contains_every_genotype(genotype: MunasGenotype) -> None:
    assert contains(genotype)


@pytest.mark.parametrize(
    "space",
    [
        SpaceChoice(max_blocks=1),
        SpaceChoice(max_layers=1),
        SpaceChoice(max_filters=4),
        SpaceChoice(max_dense_blocks=1),
        SpaceChoice(max_units=19),
    ],
)
def test_a_capped_space_leaves_out_what_exceeds_one_cap(space: SpaceChoice) -> None:
    genotype = network(series(conv(5)), series(conv(1), conv(1)), dense=(10, 20))

    assert not contains(genotype, space)
