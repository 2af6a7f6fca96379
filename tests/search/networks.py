"""Lowered networks for tests: one of every operator, small enough to train within a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from search.config import SpaceChoice
from search.lowering import (
    Add,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Input,
    Op,
    Pad,
    Pool2D,
)
from search.network import Network
from search.spaces.munas.lowering import lower
from search.spaces.munas.sampling import sample

SMALL = SpaceChoice(max_blocks=4, max_layers=2, max_filters=12, max_dense_blocks=2, max_units=24)

EVERY_OPERATOR: tuple[Op, ...] = (
    Input("input", (8, 8, 1)),
    Conv2D("conv", ("input",), (8, 8, 1), (6, 6, 5), (3, 3), (1, 1), True, True),
    Pool2D("max", ("conv",), (6, 6, 5), (3, 3, 5), "max", (2, 2)),
    DepthwiseConv2D("depthwise", ("conv",), (6, 6, 5), (2, 2, 5), (3, 3), (2, 2), True, False),
    Pad("pad", ("depthwise",), (2, 2, 5), (3, 3, 5)),
    Add("add", ("max", "pad"), (3, 3, 5)),
    Conv2D("pointwise", ("add",), (3, 3, 5), (3, 3, 4), (1, 1), (1, 1), False, False),
    Pool2D("average", ("pointwise",), (3, 3, 4), (1, 3, 4), "average", (3, 1)),
    Flatten("flatten", ("average",), (1, 3, 4), (12,)),
    Dense("dense", ("flatten",), (12,), (10,), True),
    Dense("classifier", ("dense",), (10,), (3,), False),
)

# What TensorFlow pads unevenly, in one direction, or not at all; and a sum with ReLU.
SAME_PADDING: tuple[Op, ...] = (
    Input("input", (8, 7, 2)),
    Conv2D("tall", ("input",), (8, 7, 2), (4, 7, 3), (5, 2), (2, 1), True, True, "same"),
    DepthwiseConv2D("even", ("tall",), (4, 7, 3), (4, 7, 3), (3, 5), (1, 1), True, False, "same"),
    Add("add", ("tall", "even"), (4, 7, 3), relu=True),
    DepthwiseConv2D("uneven", ("add",), (4, 7, 3), (2, 4, 3), (3, 3), (2, 2), True, True, "same"),
    Conv2D("skips", ("add",), (4, 7, 3), (2, 4, 3), (1, 1), (2, 2), True, False, "same"),
    Add("sum", ("uneven", "skips"), (2, 4, 3)),
    Pool2D("global", ("sum",), (2, 4, 3), (1, 1, 3), "average", (2, 4)),
    Flatten("flatten", ("global",), (1, 1, 3), (3,)),
    Dense("classifier", ("flatten",), (3,), (3,), False),
)


def used(ops: Sequence[Op], *, seed: int) -> Network:
    """A network as if it had been trained: no bias, no statistic and no parameter of its batch
    normalisation is neutral. In the mode of evaluation."""
    network, generator = Network(ops, seed=seed), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.ndim == 1:
                low, high = (0.5, 1.5) if name.endswith(("1.weight", "var")) else (-0.3, 0.5)
                tensor.uniform_(low, high, generator=generator)
    return network.eval()


def random_images(ops: Sequence[Op], count: int = 4) -> torch.Tensor:
    """(n, c, h, w) in [0, 1)."""
    height, width, channels = ops[0].output_shape
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(0))


def sample_networks(
    count: int, *, shape: tuple[int, int, int] = (12, 12, 1), classes: int = 4, seed: int = 0
) -> list[tuple[Op, ...]]:
    rng = np.random.default_rng(seed)
    return [lower(sample(rng, SMALL), shape, classes) for _ in range(count)]


def same_padding(axis: int, op: Conv2D | DepthwiseConv2D) -> tuple[int, int]:
    """Before and behind, as TensorFlow documents SAME (tf.nn, "notes on padding")."""
    size, kernel, stride = op.input_shape[axis], op.kernel[axis], op.stride[axis]
    left_over = size % stride
    total = max(kernel - (left_over or stride), 0)
    return total // 2, total - total // 2


def infer_plainly(ops: Sequence[Op], weights: dict, image: np.ndarray) -> dict[str, np.ndarray]:
    """Every operator's output for one (h, w, c) float image, straight from the definitions in
    search/lowering.py; slow, and independent of torch and tensorflow."""
    values: dict[str, np.ndarray] = {}
    for op in ops:
        x = [values[name] for name in op.inputs]
        y = np.zeros(op.output_shape)
        match op:
            case Input():
                y = image.astype(float)
            case Conv2D() | DepthwiseConv2D():
                w = weights[op.name]
                padded = x[0]
                if op.padding == "same":
                    padded = np.pad(x[0], [*map(same_padding, range(2), [op] * 2), (0, 0)])
                for i, j in np.ndindex(op.output_shape[:2]):
                    top, left = i * op.stride[0], j * op.stride[1]
                    window = padded[top : top + op.kernel[0], left : left + op.kernel[1]]
                    if isinstance(op, Conv2D):
                        y[i, j] = np.einsum("hwc,hwco->o", window, w.weights) + w.bias
                    else:
                        y[i, j] = (window * w.weights[..., 0]).sum((0, 1)) + w.bias
                y = np.maximum(y, 0) if op.relu else y
            case Pool2D():
                for i, j in np.ndindex(op.output_shape[:2]):
                    (h, w), reduce = op.size, np.max if op.kind == "max" else np.mean
                    y[i, j] = reduce(x[0][i * h : i * h + h, j * w : j * w + w], axis=(0, 1))
            case Pad():
                y[: op.input_shape[0], : op.input_shape[1]] = x[0]
            case Add():
                y = x[0] + x[1]
                y = np.maximum(y, 0) if op.relu else y
            case Flatten():
                y = x[0].reshape(-1)
            case Dense():
                y = x[0] @ weights[op.name].weights + weights[op.name].bias
                y = np.maximum(y, 0) if op.relu else y
        assert y.shape == op.output_shape
        values[op.name] = y
    return values
