"""Every morphism gives valid neighbours that differ from their parent in what its name says."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.config import SpaceChoice
from search.spaces.munas.genotype import MunasGenotype, Pooling
from search.spaces.munas.morphisms import MORPHISMS, morph
from search.spaces.munas.sampling import FULL, contains, sample
from tests.search.genotypes import (
    branch,
    conv,
    depthwise,
    genotypes,
    network,
    pointwise,
    series,
)


def neighbours(
    name: str, genotype: MunasGenotype, space: SpaceChoice = FULL
) -> list[MunasGenotype]:
    return list(MORPHISMS[name](genotype, np.random.default_rng(0), space))


@settings(max_examples=60)
@given(genotypes(), st.sampled_from(sorted(MORPHISMS)))
def test_every_neighbour_is_a_valid_genotype_other_than_its_parent(
    genotype: MunasGenotype, name: str
) -> None:
    for child in neighbours(name, genotype):
        assert child != genotype
        assert MunasGenotype.from_json(child.to_json()) == child
        assert not child.blocks[0].branch


@settings(max_examples=60)
@given(genotypes(), st.integers(0, 2**32))
def test_morph_takes_one_step_by_the_morphism_it_names(genotype: MunasGenotype, seed: int) -> None:
    name, child = morph(genotype, np.random.default_rng(seed))

    assert child != genotype
    assert name in MORPHISMS


def test_morph_chooses_evenly_among_the_morphisms_that_apply() -> None:
    genotype = network(
        series(conv(), depthwise()),
        branch(pointwise(None)),
        pooling=Pooling("max", 4),
        dense=(20, 20),
    )
    rng = np.random.default_rng(0)
    counts = Counter(morph(genotype, rng)[0] for _ in range(3600))

    assert set(counts) == set(MORPHISMS), "all of them apply"
    assert min(counts.values()) > 140 and max(counts.values()) < 270  # 200 expected


def test_what_does_not_apply_yields_nothing() -> None:
    smallest = network(series(pointwise(1)))
    largest = network(*[series(conv(), conv(), conv())] * 10, dense=(10, 10, 10))

    for name in (
        "remove_block", "remove_layer", "toggle_branch", "change_kernel", "toggle_stride",
        "change_pooling_kind", "change_pooling_size", "remove_dense_block",
    ):  # fmt: skip
        assert neighbours(name, smallest) == [], name
    for name in ("add_block", "add_layer", "add_dense_block"):
        assert neighbours(name, largest) == [], name


def test_add_block_reaches_every_place_in_series_and_as_branch() -> None:
    parent = network(series(conv()), series(conv(9)))

    children = neighbours("add_block", parent)

    assert [len(child.blocks) for child in children] == [3] * 5
    assert [[block.branch for block in child.blocks] for child in children] == [
        [False, False, False],
        [False, False, False],
        [False, True, False],
        [False, False, False],
        [False, False, True],
    ]
    assert all(len(block.layers) == 1 for child in children for block in child.blocks)


def test_remove_block_turns_the_branch_behind_into_series_with_the_width_it_had() -> None:
    parent = network(series(conv(8)), branch(pointwise(None)), series(conv(3)))

    assert neighbours("remove_block", parent) == [
        network(series(pointwise(8)), series(conv(3))),
        network(series(conv(8)), series(conv(3))),
        network(series(conv(8)), branch(pointwise(None))),
    ]


def test_remove_block_leaves_later_branches_branches() -> None:
    parent = network(series(conv(8)), branch(depthwise()), branch(pointwise(None)))

    assert neighbours("remove_block", parent)[0] == network(
        series(depthwise()), branch(pointwise(None))
    )


def test_toggle_branch_there_and_back_keeps_the_width_of_the_joined_block() -> None:
    parent = network(series(conv(8)), series(pointwise(3)))

    (as_branch,) = neighbours("toggle_branch", parent)
    (back,) = neighbours("toggle_branch", as_branch)

    assert as_branch == network(series(conv(8)), branch(pointwise(None)))
    assert back == network(series(conv(8)), series(pointwise(8)))


def test_add_layer_reaches_every_place_of_blocks_with_room() -> None:
    parent = network(series(conv(1), conv(2), conv(3)), branch(conv(5), conv(None)))

    children = neighbours("add_layer", parent)

    assert len(children) == 3
    assert children[0].blocks[1].layers[1:] == (conv(5), conv(None))
    assert children[2].blocks[1].layers[:2] == (conv(5), conv(3)), "old end gets its width back"


def test_remove_layer_at_the_end_of_a_branch_drops_the_filters_of_the_new_end() -> None:
    parent = network(series(conv(4)), branch(conv(5), depthwise()))

    assert neighbours("remove_layer", parent) == [
        network(series(conv(4)), branch(depthwise())),
        network(series(conv(4)), branch(conv(None))),
    ]


def test_change_kind_keeps_what_both_kinds_have() -> None:
    parent = network(series(conv(7, 5, 2, pre_pool=True, relu=False)))

    to_pointwise, to_depthwise = neighbours("change_kind", parent)

    assert to_pointwise == network(series(pointwise(7, pre_pool=True, relu=False)))
    assert to_depthwise == network(series(depthwise(5, 2, pre_pool=True, relu=False)))


def test_change_kind_draws_what_the_new_kind_needs() -> None:
    parent = network(series(depthwise(5, 2)))

    to_conv, to_pointwise = neighbours("change_kind", parent, SpaceChoice(max_filters=1))

    assert to_conv == network(series(conv(1, 5, 2)))
    assert to_pointwise == network(series(pointwise(1)))


@pytest.mark.parametrize(
    ("name", "parent", "children"),
    [
        ("change_kernel", [conv(kernel=3)], [[conv(kernel=5)]]),
        ("change_kernel", [depthwise(5)], [[depthwise(3)], [depthwise(7)]]),
        ("change_kernel", [conv(kernel=7)], [[conv(kernel=5)]]),
        ("change_filters", [conv(3)], [[conv(n)] for n in (2, 4, 6, 8)]),
        ("change_filters", [conv(9)], [[conv(n)] for n in (4, 6, 8, 10, 12, 14)]),
        ("change_filters", [pointwise(127)], [[pointwise(n)] for n in (122, 124, 126, 128)]),
        ("change_filters", [depthwise()], []),
        ("toggle_stride", [conv(stride=2)], [[conv(stride=1)]]),
        ("toggle_stride", [depthwise()], [[depthwise(stride=2)]]),
        ("toggle_pre_pool", [conv()], [[conv(pre_pool=True)]]),
        ("toggle_batch_norm", [conv(batch_norm=True)], [[conv()]]),
        (
            "toggle_relu",
            [conv(), conv()],
            [[conv(relu=False), conv()], [conv(), conv(relu=False)]],
        ),
    ],
)
def test_layer_morphisms(name: str, parent: list, children: list) -> None:
    found = neighbours(name, network(series(*parent)))

    assert found == [network(series(*layers)) for layers in children]


def with_head(pooling: Pooling | None = None, dense: tuple[int, ...] = (10,)) -> MunasGenotype:
    return network(series(conv()), pooling=pooling, dense=dense)


@pytest.mark.parametrize(
    ("name", "parent", "children"),
    [
        ("toggle_pooling", {"pooling": Pooling("max", 2)}, [{}]),
        (
            "change_pooling_kind",
            {"pooling": Pooling("max", 2)},
            [{"pooling": Pooling("average", 2)}],
        ),
        (
            "change_pooling_kind",
            {"pooling": Pooling("average", 2)},
            [{"pooling": Pooling("max", 2)}],
        ),
        ("change_pooling_size", {"pooling": Pooling("max", 2)}, [{"pooling": Pooling("max", 4)}]),
        (
            "change_pooling_size",
            {"pooling": Pooling("max", 4)},
            [{"pooling": Pooling("max", 2)}, {"pooling": Pooling("max", 6)}],
        ),
        ("remove_dense_block", {"dense": (10, 20)}, [{"dense": (20,)}, {"dense": (10,)}]),
        ("change_units", {"dense": (10,)}, [{"dense": (n,)} for n in (11, 13, 15)]),
        ("change_units", {"dense": (254,)}, [{"dense": (n,)} for n in (249, 251, 253, 255)]),
    ],
)
def test_head_morphisms(name: str, parent: dict, children: list[dict]) -> None:
    assert neighbours(name, with_head(**parent)) == [with_head(**child) for child in children]


def test_toggle_pooling_draws_one_where_there_is_none() -> None:
    (child,) = neighbours("toggle_pooling", with_head())

    assert child.pooling is not None


def test_add_dense_block_reaches_every_place() -> None:
    children = neighbours("add_dense_block", with_head(dense=(20, 30)), SpaceChoice(max_units=10))

    assert [child.dense for child in children] == [(10, 20, 30), (20, 10, 30), (20, 30, 10)]


def test_new_layers_keep_the_caps_of_the_space() -> None:
    space = SpaceChoice(max_filters=5, max_units=12)
    rng = np.random.default_rng(1)
    for _ in range(50):
        parent = sample(rng, SpaceChoice(max_blocks=4, max_filters=5, max_units=12))
        for name in ("add_block", "add_layer", "add_dense_block", "change_kind"):
            for child in MORPHISMS[name](parent, rng, space):
                assert contains(child, space)
