"""How does a lowered network become a torch module, and which plain weights come back out of it?
The module follows the operators one by one, so that it computes exactly what is exported.

Feature maps are (n, channels, height, width) as torch wants them, in channels_last memory. Flatten
reads them in (height, width, channels) order, as TensorFlow does. Knows nothing of data, training
or tensorflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

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
    padding_of,
)


@dataclass(frozen=True, eq=False)
class Folded:
    """An operator's weights as TensorFlow lays them out, batch normalisation folded in, float32.

    weights: Conv2D (height, width, in, out); DepthwiseConv2D (height, width, channels, 1);
    Dense (in, out). bias: (out,).
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]


class Network(nn.Module):
    """The operators `ops` as a module: float images (n, c, h, w) -> logits (n, classes).

    Weights are drawn from a generator seeded with `seed` alone, in operator order: He-normal
    (arXiv 1502.01852), biases zero, batch normalisation the identity.

    masks: by the name of a Conv2D or Dense, 0 or 1 for each channel of its input, in a shape that
    broadcasts; 0 hides it from the operator, but not its gradient from what is before.
    """

    def __init__(self, ops: Sequence[Op], *, seed: int) -> None:
        super().__init__()
        self.ops = tuple(ops)
        self.masks: dict[str, Tensor] = {}
        self.layers = nn.ModuleDict()  # by position: a name may hold what torch forbids in keys
        generator = torch.Generator().manual_seed(seed)
        for index, op in enumerate(self.ops):
            if isinstance(op, Conv2D | DepthwiseConv2D | Dense):
                self.layers[str(index)] = _build_layer(op, generator)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        values: dict[str, Tensor] = {}
        value = images
        for index, op in enumerate(self.ops):
            operands = [values[name] for name in op.inputs]
            if op.name in self.masks:
                operands[0] = _hide(operands[0], self.masks[op.name])
            match op:
                case Input():
                    value = images
                case Conv2D() | DepthwiseConv2D():
                    value = self.layers[str(index)](_surround(op, operands[0]))
                case Dense():
                    value = self.layers[str(index)](operands[0])
                case Pool2D(kind="max"):
                    value = functional.max_pool2d(operands[0], op.size)
                case Pool2D():
                    value = functional.avg_pool2d(operands[0], op.size)
                case Pad():
                    (height, width, _), (to_height, to_width, _) = op.input_shape, op.output_shape
                    value = functional.pad(
                        operands[0], (0, to_width - width, 0, to_height - height)
                    )
                case Add():
                    value = operands[0] + operands[1]
                    value = functional.relu(value) if op.relu else value
                case Flatten():
                    value = operands[0].permute(0, 2, 3, 1).flatten(1)  # (n, h * w * c)
            value = values[op.name] = self.settle(index, value)
        return value

    def settle(self, index: int, value: Tensor) -> Tensor:
        """What is seen of the output `value` of operator number `index`, by those behind it and
        from outside. A subclass may round it."""
        return value

    def layer_of(self, name: str) -> nn.Sequential:
        """The module of the weighted operator `name`: weights, then batch normalisation and ReLU
        where it has them."""
        layer = self.layers[str(next(i for i, op in enumerate(self.ops) if op.name == name))]
        assert isinstance(layer, nn.Sequential)
        return layer

    def folded_weights(self) -> dict[str, Folded]:
        """Per weighted operator (by name): weights and bias, batch normalisation folded in."""
        folded = {}
        for index, op in enumerate(self.ops):
            if isinstance(op, Conv2D | DepthwiseConv2D | Dense):
                layer = self.layers[str(index)]
                assert isinstance(layer, nn.Sequential)
                folded[op.name] = _fold(op, layer)
        return folded

    @torch.no_grad()
    def take_folded(self, folded: Mapping[str, Folded]) -> None:
        """Set the weights and biases of a network without batch normalisation to those in
        `folded`, as folded_weights returns them."""
        for index, op in enumerate(self.ops):
            if isinstance(op, Conv2D | DepthwiseConv2D | Dense):
                weighted = self.layers[str(index)].get_submodule("0")
                order = np.argsort(_TENSORFLOW_ORDER[type(op)])
                weights = np.ascontiguousarray(folded[op.name].weights.transpose(order))
                assert isinstance(weighted, nn.Conv2d | nn.Linear) and weighted.bias is not None
                weighted.weight.copy_(torch.from_numpy(weights))
                weighted.bias.copy_(torch.from_numpy(folded[op.name].bias))


class _Hide(torch.autograd.Function):
    """x * mask, with the gradient of x alone: what is hidden learns as if it were seen, so that it
    can come back (dynamic pruning with feedback, arXiv 2006.07253)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor) -> Tensor:
        return x * mask

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        return gradients[0], None


def _hide(x: Tensor, mask: Tensor) -> Tensor:
    hidden: Tensor = _Hide.apply(x, mask)  # type: ignore[no-untyped-call]
    return hidden


def _build_layer(
    op: Conv2D | DepthwiseConv2D | Dense, generator: torch.Generator
) -> nn.Sequential:
    """Weights, then batch normalisation, then ReLU, as the operator asks. A layer before batch
    normalisation has no bias of its own: the normalisation would subtract it again."""
    weighted: nn.Conv2d | nn.Linear
    normalised = False
    if isinstance(op, Dense):
        weighted = nn.Linear(op.input_shape[-1], op.output_shape[-1])
    else:
        normalised = op.batch_norm
        weighted = nn.Conv2d(
            op.input_shape[-1],
            op.output_shape[-1],
            op.kernel,
            op.stride,
            _even_padding(op),
            groups=op.input_shape[-1] if isinstance(op, DepthwiseConv2D) else 1,
            bias=not normalised,
        )
    nn.init.kaiming_normal_(weighted.weight, nonlinearity="relu", generator=generator)
    if weighted.bias is not None:
        nn.init.zeros_(weighted.bias)
    layers: list[nn.Module] = [weighted]
    if normalised:
        layers.append(nn.BatchNorm2d(op.output_shape[-1]))
    if op.relu:
        layers.append(nn.ReLU(inplace=True))  # nothing else reads what is before it
    return nn.Sequential(*layers)


def _even_padding(op: Conv2D | DepthwiseConv2D) -> tuple[int, int]:
    """The padding that torch can do by itself: as much above as below, and left as right."""
    above, below, left, right = padding_of(op)
    return (above, left) if (above, left) == (below, right) else (0, 0)


def _surround(op: Conv2D | DepthwiseConv2D, x: Tensor) -> Tensor:
    """Zeros around (n, c, h, w) where the layer itself cannot add them."""
    above, below, left, right = padding_of(op)
    if (above, left) == (below, right):
        return x
    return functional.pad(x, (left, right, above, below))


_TENSORFLOW_ORDER = {
    Conv2D: (2, 3, 1, 0),  # (out, in, k, k) -> (k, k, in, out)
    DepthwiseConv2D: (2, 3, 0, 1),  # (c, 1, k, k) -> (k, k, c, 1)
    Dense: (1, 0),  # (out, in) -> (in, out)
}


def affine_of(layer: nn.Sequential) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(out,) gain and (out,) bias of what a weighted operator does behind its filters: the bias,
    or batch normalisation as it is in evaluation."""
    if len(layer) > 1 and isinstance(norm := layer[1], nn.BatchNorm2d):
        assert norm.running_mean is not None and norm.running_var is not None
        gain = _float64(norm.weight) / np.sqrt(_float64(norm.running_var) + norm.eps)
        return gain, _float64(norm.bias) - gain * _float64(norm.running_mean)
    weighted = layer[0]
    assert isinstance(weighted, nn.Conv2d | nn.Linear) and weighted.bias is not None
    bias = _float64(weighted.bias)
    return np.ones(len(bias)), bias


def _fold(op: Conv2D | DepthwiseConv2D | Dense, layer: nn.Sequential) -> Folded:
    """y = gamma * (w x - mean) / sqrt(var + eps) + beta, as one weight and one bias; in float64,
    because a small variance makes the quotient large (arXiv 1712.05877, section 3.2)."""
    weighted = layer[0]
    assert isinstance(weighted, nn.Conv2d | nn.Linear)
    gain, bias = affine_of(layer)
    weights = _float64(weighted.weight)
    weights = weights * gain.reshape(-1, *[1] * (weights.ndim - 1))
    weights = weights.transpose(_TENSORFLOW_ORDER[type(op)])
    return Folded(np.ascontiguousarray(weights, np.float32), bias.astype(np.float32))


def _float64(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().double().numpy()


def draw_untrained_weights(ops: Sequence[Op], *, seed: int) -> Mapping[str, Folded]:
    """Folded weights as if training had happened: every bias, and every statistic and parameter of
    batch normalisation, is moved off its neutral value, so that no converter can fold or drop it
    (an all-zero bias or an identity normalisation vanishes, and with it cycles and bytes)."""
    network = Network(ops, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)

    def spread(tensor: Tensor, centre: float, width: float) -> None:
        tensor.uniform_(centre - width, centre + width, generator=generator)

    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                spread(module.weight, 1.0, 0.5)
                spread(module.bias, 0.1, 0.2)
                spread(module.running_mean, 0.0, 0.2)
                spread(module.running_var, 1.0, 0.5)
            elif isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                spread(module.bias, 0.05, 0.1)
    return network.folded_weights()
