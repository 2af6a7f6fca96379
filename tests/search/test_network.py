"""The torch module computes what the operators mean, and gives its weights back folded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from search.lowering import Conv2D, Dense, DepthwiseConv2D
from search.network import Network, draw_untrained_weights
from tests.search.networks import EVERY_OPERATOR, SAME_PADDING, infer_plainly, sample_networks


def perturb(network: Network, seed: int = 0) -> None:
    """Statistics and biases as training leaves them: nothing neutral."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.dtype.is_floating_point and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5, generator=generator)


@pytest.mark.parametrize(
    "ops",
    [EVERY_OPERATOR, SAME_PADDING, *sample_networks(6)],
    ids=["every", "same", *map(str, range(6))],
)
def test_logits_are_those_of_the_definitions_with_folded_weights(ops: tuple) -> None:
    network = Network(ops, seed=1).eval()
    perturb(network)
    image = np.random.default_rng(0).random(ops[0].output_shape).astype(np.float32)
    expected = infer_plainly(ops, network.folded_weights(), image)[ops[-1].name]
    with torch.no_grad():
        logits = network(torch.from_numpy(image).permute(2, 0, 1)[None])[0].numpy()
    assert np.allclose(logits, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_weights_depend_on_the_seed_alone_and_not_on_the_global_generator() -> None:
    torch.manual_seed(1)
    once = Network(EVERY_OPERATOR, seed=5).folded_weights()
    torch.manual_seed(2)
    again = Network(EVERY_OPERATOR, seed=5).folded_weights()
    other = Network(EVERY_OPERATOR, seed=6).folded_weights()
    assert all(np.array_equal(once[k].weights, again[k].weights) for k in once)
    assert not np.array_equal(once["conv"].weights, other["conv"].weights)


def test_folded_weights_have_tensorflow_layout_and_are_float32() -> None:
    folded = Network(EVERY_OPERATOR, seed=0).folded_weights()
    assert {name: f.weights.shape for name, f in folded.items()} == {
        "conv": (3, 3, 1, 5),
        "depthwise": (3, 3, 5, 1),
        "pointwise": (1, 1, 5, 4),
        "dense": (12, 10),
        "classifier": (10, 3),
    }
    for f in folded.values():
        assert f.weights.dtype == f.bias.dtype == np.float32
        assert f.weights.flags["C_CONTIGUOUS"]


def test_a_layer_before_batch_normalisation_has_no_bias_of_its_own() -> None:
    names = [name for name, _ in Network(EVERY_OPERATOR, seed=0).named_parameters()]
    assert "layers.1.0.bias" not in names and "layers.1.1.bias" in names  # "conv"
    assert "layers.6.0.bias" in names and "layers.6.1.bias" not in names  # "pointwise"


@pytest.mark.parametrize("seed", range(4))
def test_untrained_weights_have_no_neutral_value_left(seed: int) -> None:
    for ops in sample_networks(4, seed=seed):
        weights = draw_untrained_weights(ops, seed=seed)
        for op in ops:
            if isinstance(op, Conv2D | DepthwiseConv2D | Dense):
                assert np.all(weights[op.name].bias != 0)
                assert np.all(np.abs(weights[op.name].weights).reshape(-1, 1).max() > 0)


def test_untrained_weights_are_a_function_of_the_seed() -> None:
    once, again, other = (draw_untrained_weights(EVERY_OPERATOR, seed=s) for s in (3, 3, 4))
    assert all(np.array_equal(once[k].bias, again[k].bias) for k in once)
    assert not np.array_equal(once["conv"].bias, other["conv"].bias)
