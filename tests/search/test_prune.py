"""Hidden channels can come back, and what is cut off in the end was without effect."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search.channels import channel_groups, group_of
from search.config import Training
from search.cost import cost_of
from search.genotype import Genotype
from search.network import Network
from search.prune import EVERY, Prunable, Pruner, prunable_groups, slim_network
from search.space import Space
from search.train import float_error, steps_of, train
from tests.search.genotypes import branch, conv, depthwise, network, pointwise, series
from tests.search.idx_files import make_dataset
from tests.search.networks import EVERY_OPERATOR, random_images, used
from tests.search.spaces.spaces import NAMES, SHAPES, SMALL_MUNAS, reached, shipped

SPACES: dict[str, Space] = {name: shipped(name) for name in NAMES} | {"munas": SMALL_MUNAS}

# Everything that couples widths: a branch with a depthwise end, pooling in between, two dense.
COUPLED = network(
    series(conv(6, batch_norm=True), depthwise(batch_norm=True)),
    branch(depthwise(5), pointwise(None)),
    series(pointwise(7, pre_pool=True)),
    dense=(12, 14),
)


def free_groups(ops) -> list[Prunable]:
    return [Prunable(group, 1) for group in channel_groups(ops) if group.is_free]


def pruned(genotype: Genotype, space: Space, shape, *, sparsity: float, seed: int = 0):
    """A used network with as much hidden as in the end of a training."""
    module = used(space.lower(genotype, shape, 4), seed=seed)
    groups = prunable_groups(space, genotype, module.ops)
    pruner = Pruner(module, groups, sparsity, steps=EVERY, ramp=0.5)
    pruner.before_step(EVERY // 2)
    return module, pruner


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(NAMES), seed=st.integers(0, 2**32), steps=st.integers(0, 6),
    sparsity=st.floats(0, 0.9),
)  # fmt: skip
def test_the_slimmed_network_computes_what_the_masked_one_does(
    name: str, seed: int, steps: int, sparsity: float
) -> None:
    space, shape = SPACES[name], SHAPES[name]
    genotype = reached(space, seed, steps)
    module, pruner = pruned(genotype, space, shape, sparsity=sparsity)

    slimmed, small = slim_network(module, space, genotype, pruner.kept())

    assert space.lower(slimmed, shape, 4) == small.ops
    images = random_images(small.ops)
    with torch.no_grad():
        expected, got = module(images), small.eval()(images)
    scale = expected.abs().max().clamp(min=1.0)
    assert torch.allclose(got / scale, expected / scale, atol=1e-5)
    kept, widths = pruner.kept(), {op.name: op.output_shape[-1] for op in small.ops}
    assert all(len(kept[name]) == widths[name] for name in kept if name != "flatten")


def test_coupled_widths_shrink_together_and_only_what_may() -> None:
    module, pruner = pruned(COUPLED, SMALL_MUNAS, (12, 12, 2), sparsity=0.5)
    slimmed, small = slim_network(module, SMALL_MUNAS, COUPLED, pruner.kept())

    kept, groups = pruner.kept(), channel_groups(module.ops)
    assert set(kept) == {n for group in groups if group.is_free for n in group.members}
    for name, group in group_of(groups).items():
        assert name not in kept or np.array_equal(kept[name], kept[group.members[0]])
    assert slimmed != COUPLED
    before, after = cost_of(module.ops), cost_of(small.ops)
    assert after.macs < before.macs and after.model_size_bytes < before.model_size_bytes


def test_widths_stay_above_the_least_of_the_space() -> None:
    module, pruner = pruned(COUPLED, SMALL_MUNAS, (12, 12, 2), sparsity=0.89)
    least = {
        name: entry.least
        for entry in prunable_groups(SMALL_MUNAS, COUPLED, module.ops)
        for name in entry.group.members
    }
    assert (least["dense0"], least["dense1"], least["block0_layer0"]) == (10, 10, 1)
    assert {n: len(channels) for n, channels in pruner.kept().items()} == least


def test_what_cannot_be_narrower_is_not_pruned() -> None:
    narrow = network(series(conv(1)), dense=(10,))
    ops = SMALL_MUNAS.lower(narrow, (8, 8, 1), 3)
    assert prunable_groups(SMALL_MUNAS, narrow, ops) == ()
    pruner = Pruner(Network(ops, seed=0), (), 0.5, steps=10)
    pruner.before_step(0)
    assert pruner.kept() == {}


def test_the_smallest_filters_go_first_over_all_groups() -> None:
    module = Network(EVERY_OPERATOR, seed=0)
    with torch.no_grad():
        module.layer_of("dense")[0].weight[[1, 4, 5]] *= 1e-3
        module.layer_of("conv")[0].weight[2] *= 1e-3
        module.layer_of("depthwise")[0].weight[2] *= 1e-3
    pruner = Pruner(module, free_groups(EVERY_OPERATOR), 4 / 19 + 1e-9, steps=20)
    pruner.before_step(19)
    pruner.before_step(32)

    kept = pruner.kept()
    assert kept["dense"].tolist() == [0, 2, 3, 6, 7, 8, 9]
    assert kept["conv"].tolist() == kept["add"].tolist() == [0, 1, 3, 4]
    assert kept["pointwise"].tolist() == [0, 1, 2, 3]


def test_a_hidden_channel_learns_and_comes_back() -> None:
    module = Network(EVERY_OPERATOR, seed=0)
    with torch.no_grad():
        module.layer_of("dense")[0].weight[3] *= 1e-3
        module.layer_of("dense")[0].bias[3] = 1.0  # past its ReLU
    pruner = Pruner(module, free_groups(EVERY_OPERATOR), 1.5 / 19, steps=EVERY, ramp=0.1)
    pruner.before_step(EVERY)
    assert 3 not in pruner.kept()["dense"]

    module.train()
    module(random_images(EVERY_OPERATOR, 8)).square().sum().backward()
    assert module.layer_of("dense")[0].weight.grad[3].abs().max() > 0
    assert module.layer_of("classifier")[0].weight.grad[:, 3].abs().max() == 0

    with torch.no_grad():
        module.layer_of("dense")[0].weight[3] *= 1e6
    pruner.before_step(2 * EVERY)
    assert 3 in pruner.kept()["dense"]


def test_pruning_during_training_reaches_its_sparsity_and_still_learns() -> None:
    dataset = make_dataset()
    genotype = network(series(conv(8, batch_norm=True), depthwise()), dense=(20,))
    module = Network(SMALL_MUNAS.lower(genotype, dataset.input_shape, 3), seed=1)
    recipe = Training(epochs=8, batch_size=32, learning_rate=0.1)
    groups = prunable_groups(SMALL_MUNAS, genotype, module.ops)
    pruner = Pruner(module, groups, 0.4, steps_of(recipe, len(dataset.train)))

    trained = train(module, dataset.train, dataset.validation, recipe, seed=0, pruner=pruner)
    _, small = slim_network(module, SMALL_MUNAS, genotype, pruner.kept())

    kept = pruner.kept()
    assert len(kept["block0_layer0"]) + len(kept["dense0"]) == 28 - 11
    assert trained.val_error < 0.1
    assert float_error(small, dataset.validation) == pytest.approx(trained.val_error, abs=0.02)


def test_weights_that_are_no_numbers_are_left_to_the_training_to_report() -> None:
    module = Network(EVERY_OPERATOR, seed=0)
    module.layer_of("conv")[0].weight.data.fill_(float("nan"))
    pruner = Pruner(module, free_groups(EVERY_OPERATOR), 0.5, steps=20)
    pruner.before_step(0)
    assert len(pruner.kept()["conv"]) == 5


def test_slimming_leaves_the_network_as_it_was() -> None:
    module, pruner = pruned(COUPLED, SMALL_MUNAS, (12, 12, 2), sparsity=0.5)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    _, small = slim_network(module, SMALL_MUNAS, COUPLED, pruner.kept())
    for parameter in small.parameters():
        parameter.data.fill_(9.0)
    assert all(torch.equal(module.state_dict()[name], before[name]) for name in before)


def test_a_width_that_the_space_has_not_is_refused() -> None:
    module = used(SMALL_MUNAS.lower(COUPLED, (12, 12, 2), 4), seed=0)
    with pytest.raises(ValueError, match="units must be 10 to 256, got 3"):
        slim_network(module, SMALL_MUNAS, COUPLED, {"dense0": np.arange(3)})


@pytest.mark.parametrize("sparsity", [-0.1, 1.0])
def test_a_sparsity_that_leaves_nothing_is_refused(sparsity: float) -> None:
    with pytest.raises(ValueError, match="sparsity must lie in"):
        Pruner(Network(EVERY_OPERATOR, seed=0), (), sparsity, steps=10)
