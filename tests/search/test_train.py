"""Training learns, repeats itself to the bit, and says so when it diverges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search.config import Training
from search.data.dataset import Split
from search.network import Network
from search.train import (
    END_DIVISOR,
    START_DIVISOR,
    Epoch,
    as_vectors,
    float_error,
    one_cycle,
    steps_of,
    to_inputs,
    train,
)
from tests.search.idx_files import make_dataset
from tests.search.networks import EVERY_OPERATOR

RECIPE = Training(epochs=6, batch_size=32, learning_rate=0.1)


def train_anew(recipe: Training = RECIPE, *, seed: int = 0, **options: object) -> tuple:
    dataset = make_dataset()
    network = Network(EVERY_OPERATOR, seed=1)
    trained = train(network, dataset.train, dataset.validation, recipe, seed=seed, **options)
    return network, trained


def test_a_network_learns_what_can_be_learned() -> None:
    network, trained = train_anew()
    assert trained.val_error < 0.1
    assert trained.diverged == ""
    assert trained.epochs[-1].train_loss < trained.epochs[0].train_loss / 2
    assert trained.val_error == float_error(network, make_dataset().validation)


def test_the_same_seed_gives_the_same_weights_to_the_bit() -> None:
    (once, _), (again, _), (other, _) = train_anew(), train_anew(), train_anew(seed=9)
    states = [network.state_dict() for network in (once, again, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_the_global_generators_decide_nothing() -> None:
    once, _ = train_anew()
    torch.manual_seed(77)
    np.random.seed(77)
    again, _ = train_anew()
    name = "layers.1.0.weight"
    assert torch.equal(once.state_dict()[name], again.state_dict()[name])


def test_every_epoch_is_reported_as_it_ends() -> None:
    seen: list[Epoch] = []
    _, trained = train_anew(Training(epochs=3, batch_size=32), on_epoch=seen.append)
    assert tuple(seen) == trained.epochs
    assert [epoch.index for epoch in seen] == [0, 1, 2]
    assert all(a.seconds <= b.seconds for a, b in zip(seen, seen[1:], strict=False))


def test_divergence_is_an_outcome_with_a_reason() -> None:
    dataset = make_dataset()
    network = Network(EVERY_OPERATOR, seed=1)
    with torch.no_grad():
        network.layers["1"][0].weight.fill_(float("nan"))
    trained = train(network, dataset.train, dataset.validation, RECIPE, seed=0)
    assert trained.diverged == "training diverged: loss nan in epoch 1"
    assert len(trained.epochs) == 1


def test_a_batch_larger_than_the_split_is_the_whole_split() -> None:
    _, trained = train_anew(Training(epochs=2, batch_size=100_000))
    assert len(trained.epochs) == 2 and trained.diverged == ""


@given(steps=st.integers(2, 3000))
def test_one_cycle_rises_to_its_peak_and_falls_to_its_end(steps: int) -> None:
    rates = [one_cycle(step, steps) for step in range(steps)]
    top = rates.index(max(rates))
    assert all(a <= b + 1e-12 for a, b in zip(rates[: top + 1], rates[1 : top + 1], strict=False))
    assert all(a >= b - 1e-12 for a, b in zip(rates[top:], rates[top + 1 :], strict=False))
    assert 0 < max(rates) <= 1
    assert rates[0] == pytest.approx(1 / START_DIVISOR)
    assert rates[-1] == pytest.approx(1 / (START_DIVISOR * END_DIVISOR))


def test_only_filters_and_matrices_decay() -> None:
    network = Network(EVERY_OPERATOR, seed=0)
    decayed, others = as_vectors(network)
    sizes = {n: sum(p.numel() for p in network.parameters() if p.ndim == n) for n in (1, 2, 4)}
    assert (len(decayed), len(others)) == (sizes[2] + sizes[4], sizes[1])


def test_parameters_and_gradients_are_views_of_the_vectors() -> None:
    network, plain = Network(EVERY_OPERATOR, seed=0), Network(EVERY_OPERATOR, seed=0)
    decayed, others = as_vectors(network)
    images = to_inputs(make_dataset().train, slice(8))
    for module in (network, plain):
        module(images).square().sum().backward()

    for viewed, parameter in zip(network.parameters(), plain.parameters(), strict=True):
        assert torch.equal(viewed, parameter)
        assert torch.equal(viewed.grad, parameter.grad)
    norm = torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
    assert torch.nn.utils.clip_grad_norm_([decayed, others], 1.0) == pytest.approx(norm)
    decayed.zero_()
    others.fill_(2.0)
    assert all((p == (2.0 if p.ndim == 1 else 0.0)).all() for p in network.parameters())


def test_a_step_is_that_of_torch_on_the_parameters_themselves() -> None:
    dataset, recipe = make_dataset(), Training(epochs=1, batch_size=120, learning_rate=0.1)
    network, plain = Network(EVERY_OPERATOR, seed=0), Network(EVERY_OPERATOR, seed=0)
    train(network, dataset.train, dataset.validation, recipe, seed=5)

    order = torch.randperm(240, generator=torch.Generator().manual_seed(5))
    optimizer = torch.optim.SGD(
        [
            {"params": [p for p in plain.parameters() if p.ndim > 1], "weight_decay": 5e-4},
            {"params": [p for p in plain.parameters() if p.ndim == 1], "weight_decay": 0.0},
        ],
        momentum=0.9,
        nesterov=True,
    )
    plain.train()
    for step, batch in enumerate(order.view(2, 120)):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * one_cycle(step, 2)
        optimizer.zero_grad()
        logits = plain(to_inputs(dataset.train, batch.numpy()))
        torch.nn.functional.cross_entropy(
            logits, torch.from_numpy(dataset.train.labels)[batch]
        ).backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()

    for mine, theirs in zip(network.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)


def test_epochs_of_the_call_come_before_the_recipes() -> None:
    _, trained = train_anew(epochs=2)
    assert len(trained.epochs) == 2
    assert steps_of(RECIPE, 240) == 6 * 7
    assert steps_of(RECIPE, 240, 2) == 2 * 7
    assert steps_of(RECIPE, 20) == 6


def test_augmentation_is_of_the_seed_alone_and_changes_what_is_learned() -> None:
    recipe = Training(epochs=2, batch_size=32, shift=2, flip=True)
    (once, _), (again, _) = (train_anew(recipe) for _ in range(2))
    plain, _ = train_anew(Training(epochs=2, batch_size=32))
    name = "layers.1.0.weight"
    assert torch.equal(once.state_dict()[name], again.state_dict()[name])
    assert not torch.equal(once.state_dict()[name], plain.state_dict()[name])


def test_images_become_channels_last_floats_in_the_unit_interval() -> None:
    split = make_dataset().train
    images = to_inputs(split, np.array([5, 2]))
    assert images.shape == (2, 1, 8, 8) and images.dtype == torch.float32
    assert np.array_equal(images[0, 0].numpy(), split.images[5, ..., 0] / np.float32(255))
    of_colours = to_inputs(Split(np.zeros((4, 6, 5, 3), np.uint8), np.zeros(4, int)), slice(2))
    assert of_colours.shape == (2, 3, 6, 5)
    assert of_colours.is_contiguous(memory_format=torch.channels_last)
