"""A child computes what its parent did where that is possible, and starts near it elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search.alignment import align
from search.config import Training
from search.inherit import inherit
from search.lowering import Op, Walk
from search.network import Network
from search.space import Space
from search.spaces.munas.genotype import MunasGenotype
from search.train import float_error, train
from search.weights import filters_of
from tests.search.genotypes import branch, conv, depthwise, network, pointwise, series
from tests.search.idx_files import make_dataset
from tests.search.networks import EVERY_OPERATOR, SAME_PADDING, random_images, used
from tests.search.spaces.spaces import NAMES, SHAPES, SMALL_MUNAS, reached, shipped

SPACES: dict[str, Space] = {name: shipped(name) for name in NAMES} | {"munas": SMALL_MUNAS}

PARENT = network(
    series(conv(6, batch_norm=True), depthwise(batch_norm=True)),
    branch(depthwise(5), pointwise(None, batch_norm=True)),
    series(pointwise(7, pre_pool=True)),
    dense=(12, 14),
)


def lowered(genotype: MunasGenotype) -> tuple[Op, ...]:
    return SMALL_MUNAS.lower(genotype, (12, 12, 2), 4)


def child_of(parent: Network, ops: tuple[Op, ...]) -> tuple[Network, int]:
    child = Network(ops, seed=99)
    return child, inherit(child, parent)


def assert_same_function(child: Network, parent: Network) -> None:
    images = random_images(parent.ops)
    with torch.no_grad():
        got, expected = child.eval()(images), parent.eval()(images)
    assert torch.allclose(got, expected, atol=1e-4 * float(expected.abs().max()))


def inherited(parent: MunasGenotype, child: MunasGenotype) -> tuple[Network, Network]:
    before = used(lowered(parent), seed=1)
    return child_of(before, lowered(child))[0], before


@pytest.mark.parametrize("ops", [EVERY_OPERATOR, SAME_PADDING, lowered(PARENT)])
def test_the_same_network_takes_everything(ops: tuple[Op, ...]) -> None:
    parent = used(ops, seed=1)
    child, taken = child_of(parent, ops)
    assert taken == sum(p.numel() for p in parent.parameters() if p.ndim > 1)
    state = parent.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in child.state_dict().items()
               if tensor.is_floating_point())  # fmt: skip


def with_layer(genotype: MunasGenotype, block: int, index: int, **changes) -> MunasGenotype:
    layers = list(genotype.blocks[block].layers)
    layers[index] = replace(layers[index], **changes)
    blocks = list(genotype.blocks)
    blocks[block] = replace(blocks[block], layers=tuple(layers))
    return replace(genotype, blocks=tuple(blocks))


@pytest.mark.parametrize(
    "child",
    [
        with_layer(PARENT, 0, 0, filters=9),
        with_layer(PARENT, 0, 0, filters=20),
        with_layer(PARENT, 2, 0, filters=8),
        replace(PARENT, dense=(17, 14)),
        replace(PARENT, dense=(12, 30)),
        replace(with_layer(PARENT, 0, 0, filters=7), dense=(13, 15)),
    ],
)  # fmt: skip
def test_wider_is_the_same_function(child: MunasGenotype) -> None:
    assert_same_function(*inherited(PARENT, child))


def test_copies_of_a_channel_are_read_with_different_weights() -> None:
    child, parent = inherited(PARENT, replace(PARENT, dense=(24, 14)))
    read, before = filters_of(child, "dense1"), filters_of(parent, "dense1")
    assert torch.allclose(read[:, :12] + read[:, 12:], before, atol=1e-6)
    assert torch.allclose(2 * read[:, :12], read[:, 12:])


def test_narrower_keeps_the_largest_channels() -> None:
    parent = used(lowered(PARENT), seed=1)
    with torch.no_grad():
        filters_of(parent, "dense0")[[0, 7]] *= 1e-6
        filters_of(parent, "dense1")[:, [0, 7]] *= 1e-6
        parent.layer_of("dense0")[0].bias[[0, 7]] = 0.0
    child, taken = child_of(parent, lowered(replace(PARENT, dense=(10, 14))))
    assert taken == sum(p.numel() for p in child.parameters() if p.ndim > 1)
    assert_same_function(child, parent)


def chain(*layers: tuple[str, dict]) -> tuple[Op, ...]:
    """Operators in a row, padding "same", on an image of 7x6x2; each may name its input."""
    walk, made = Walk((7, 6, 2), 3), {}
    x = made["image"] = walk.image
    for name, options in layers:
        options = {"batch_norm": False, "relu": True, "padding": "same", **options}
        x = made[options.pop("after", x.name)] if "after" in options else x
        if "plus" in options:
            x = walk.add(name, x, made[options["plus"]])
        elif "filters" in options:
            x = walk.conv(name, x, **options)
        else:
            x = walk.depthwise(name, x, **options)
        made[name] = x
    x = walk.pool("pool", x, "average", (2, 2))
    return walk.finish(walk.flatten("flatten", x))


STEM = ("stem", {"filters": 4, "kernel": (3, 3), "batch_norm": True})
LAST = ("last", {"filters": 5, "kernel": (3, 3), "stride": (2, 1)})


@pytest.mark.parametrize("kernel", [(5, 5), (3, 7), (1, 3)])
def test_a_larger_window_is_the_same_function(kernel: tuple[int, int]) -> None:
    small = [
        ("stem", {"filters": 4, "kernel": (1, 3), "batch_norm": True}),
        ("depth", {"kernel": (1, 3)}),
    ]
    large = [(name, {**options, "kernel": kernel}) for name, options in small]
    parent = used(chain(*small), seed=1)
    assert_same_function(child_of(parent, chain(*large))[0], parent)


def test_a_smaller_window_keeps_the_middle() -> None:
    parent = used(chain(STEM, LAST), seed=1)
    child, _ = child_of(
        parent, chain(STEM, ("last", {"filters": 5, "kernel": (1, 3), "stride": (2, 1)}))
    )
    assert torch.equal(filters_of(child, "last"), filters_of(parent, "last")[:, :, 1:2])


@pytest.mark.parametrize(
    "added",
    [
        {"filters": 4, "kernel": (3, 3)},
        {"filters": 9, "kernel": (1, 1), "relu": False},
        {"kernel": (5, 3)},
        {"filters": 4, "kernel": (3, 3), "batch_norm": True},
    ],
)
def test_an_added_layer_is_the_identity(added: dict) -> None:
    parent = used(chain(STEM, LAST), seed=1)
    child, _ = child_of(parent, chain(STEM, ("added", added), LAST))
    assert_same_function(child, parent)


@pytest.mark.parametrize(
    "added",
    [
        {"filters": 3, "kernel": (3, 3)},  # narrower
        {"filters": 4, "kernel": (3, 3), "stride": (2, 2)},
        {"filters": 4, "kernel": (2, 2)},  # without a middle
    ],
)
def test_an_added_layer_that_cannot_be_the_identity_is_fresh(added: dict) -> None:
    ops = chain(STEM, ("added", added), LAST)
    child, _ = child_of(used(chain(STEM, LAST), seed=1), ops)
    assert torch.equal(filters_of(child, "added"), filters_of(Network(ops, seed=99), "added"))


def test_a_relu_on_what_may_be_negative_is_no_identity() -> None:
    stem = ("stem", {"filters": 4, "kernel": (3, 3), "relu": False})
    ops = chain(stem, ("added", {"filters": 4, "kernel": (3, 3)}), LAST)
    child, _ = child_of(used(chain(stem, LAST), seed=1), ops)
    assert torch.equal(filters_of(child, "added"), filters_of(Network(ops, seed=99), "added"))


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("end", [{"filters": 4, "kernel": (3, 3)}, {"kernel": (3, 3)}])
def test_an_added_branch_adds_nothing_yet_and_can_learn(end: dict, batch_norm: bool) -> None:
    end = {**end, "relu": False, "batch_norm": batch_norm}
    parent = used(chain(STEM, LAST), seed=1)
    child, _ = child_of(parent, chain(STEM, ("end", end), ("sum", {"plus": "stem"}), LAST))
    assert_same_function(child, parent)

    child.train()(random_images(parent.ops)).square().sum().backward()
    norms = [p.grad.norm() for p in child.layer_of("end").parameters()]
    assert max(norms) > 0


def test_a_layer_put_into_a_branch_goes_on_with_it() -> None:
    end = ("end", {"filters": 4, "kernel": (3, 3), "relu": False})
    added = ("added", {"filters": 4, "kernel": (1, 1), "relu": False})
    parent = used(chain(STEM, end, ("sum", {"plus": "stem"}), LAST), seed=1)
    child, _ = child_of(parent, chain(STEM, end, added, ("sum", {"plus": "stem"}), LAST))
    assert filters_of(child, "added").abs().max() > 0


def test_a_removed_layer_leaves_the_others_what_they_were() -> None:
    parent = used(chain(STEM, ("gone", {"filters": 4, "kernel": (5, 5)}), LAST), seed=1)
    child, _ = child_of(parent, chain(STEM, LAST))
    for name in ("stem", "last", "classifier"):
        assert torch.equal(filters_of(child, name), filters_of(parent, name))


def test_batch_normalisation_that_is_gone_is_folded_and_a_new_one_begins_neutral() -> None:
    plain = ("stem", {"filters": 4, "kernel": (3, 3)})
    for before, after in ((STEM, plain), (plain, STEM)):
        parent = used(chain(before, LAST), seed=1)
        assert_same_function(child_of(parent, chain(after, LAST))[0], parent)


def test_names_that_shift_do_not_confuse() -> None:
    parent = network(series(pointwise(4)), series(conv(6)), series(depthwise(5)), dense=(10,))
    child = replace(parent, blocks=(series(conv(12, kernel=7)), *parent.blocks))
    assert align(lowered(child), lowered(parent)) == {
        "block1_layer0": "block0_layer0", "block2_layer0": "block1_layer0",
        "block3_layer0": "block2_layer0", "dense0": "dense0", "classifier": "classifier",
    }  # fmt: skip


def test_of_equal_operators_those_of_one_name_belong_together() -> None:
    ops = lowered(network(*[series(pointwise(4))] * 4, dense=(10,)))
    fewer = lowered(network(*[series(pointwise(4))] * 3, dense=(10,)))
    assert all(name == other for name, other in align(fewer, ops).items())


@settings(max_examples=30, deadline=None)
@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32), steps=st.integers(1, 6))
def test_every_child_inherits_from_any_ancestor(name: str, seed: int, steps: int) -> None:
    space, shape = SPACES[name], SHAPES[name]
    parent = used(space.lower(reached(space, seed, 0), shape, 4), seed=0)
    before = {key: tensor.clone() for key, tensor in parent.state_dict().items()}
    ops = space.lower(reached(space, seed, steps), shape, 4)

    child, taken = child_of(parent, ops)
    again, _ = child_of(parent, ops)

    assert 0 < taken <= sum(p.numel() for p in child.parameters() if p.ndim > 1)
    for key, tensor in child.state_dict().items():
        assert tensor.isfinite().all() and torch.equal(tensor, again.state_dict()[key])
    assert all(torch.equal(parent.state_dict()[key], before[key]) for key in before)
    assert child.eval()(random_images(ops)).isfinite().all()
    for one in align(ops, parent.ops).items():
        kinds = [type(next(op for op in side if op.name == n)) for side, n in
                 zip((ops, parent.ops), one, strict=True)]  # fmt: skip
        assert kinds[0] is kinds[1]


def test_a_child_of_a_trained_parent_starts_with_what_it_knew() -> None:
    dataset, genotype = make_dataset(), network(series(conv(6), depthwise()), dense=(12,))
    lower = SMALL_MUNAS.lower
    parent = Network(lower(genotype, dataset.input_shape, 3), seed=1)
    recipe = Training(epochs=6, batch_size=32, learning_rate=0.1)
    train(parent, dataset.train, dataset.validation, recipe, seed=0)

    child, _ = child_of(parent, lower(replace(genotype, dense=(15,)), dataset.input_shape, 3))

    assert float_error(parent, dataset.validation) < 0.1
    assert float_error(child, dataset.validation) == float_error(parent, dataset.validation)


@pytest.mark.parametrize(("shape", "classes"), [((12, 12, 1), 4), ((12, 12, 2), 3)])
def test_a_parent_of_another_task_is_refused(shape: tuple[int, ...], classes: int) -> None:
    parent = Network(SMALL_MUNAS.lower(PARENT, shape, classes), seed=0)
    with pytest.raises(ValueError, match="the parent's (input|classifier) is"):
        inherit(Network(lowered(PARENT), seed=0), parent)
