"""Which channels of a network may go, and what is left without them? Dynamic pruning with feedback
(Lin et al., arXiv 2006.07253), structured: whole channels are hidden while the network trains,
the smallest first, and come back where training makes them larger again. Must not know how a
network is trained, nor what it is measured by.

A candidate's walk:

    prunable = prunable_groups(space, genotype, network.ops)
    steps = steps_of(recipe, len(data.train))
    pruner = Pruner(network, prunable, sparsity, steps, ramp=config.pruning.ramp)
    train(network, ..., pruner=pruner)
    save_weights(path, genotype, network)    # children inherit the whole network
    slimmed, small = slim_network(network, space, genotype, pruner.kept())
    export_int8(small.ops, small.folded_weights(), ...)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.channels import ChannelGroup, Weighted, channel_groups
from search.genotype import Genotype
from search.lowering import Conv2D, Dense, Op
from search.network import Network
from search.space import Space
from search.sparsity import sparsity_at
from search.weights import channel_norms, filters_of

EVERY = 16  # steps from one choice of channels to the next (arXiv 2006.07253)

Kept = Mapping[str, NDArray[np.intp]]


@dataclass(frozen=True)
class Prunable:
    """A group of channels of which `least` must stay."""

    group: ChannelGroup
    least: int


def prunable_groups(space: Space, genotype: Genotype, ops: Sequence[Op]) -> tuple[Prunable, ...]:
    """The groups of `ops`, which `genotype` lowers to, that the space has a narrower width for."""
    found = []
    for group in channel_groups(ops):
        if group.is_free:
            least = _least_width(space, genotype, group)
            if least < group.width:
                found.append(Prunable(group, least))
    return tuple(found)


def _least_width(space: Space, genotype: Genotype, group: ChannelGroup) -> int:
    """Widths of a space are ranges: 1, or what bisection finds."""

    def is_width(width: int) -> bool:
        try:
            space.slim(genotype, dict.fromkeys(group.weighted, width))
        except ValueError:
            return False
        return True

    if is_width(1):
        return 1
    refused, taken = 1, group.width
    while taken - refused > 1:
        middle = (refused + taken) // 2
        refused, taken = (refused, middle) if is_width(middle) else (middle, taken)
    return taken


class Pruner:
    """Hides channels of `network` while it is trained: those with the smallest norms, all groups
    ranked together, as in µNAS (arXiv 2010.14246).

    What is hidden is hidden from the operators that mix channels. Batch normalisation goes on
    seeing the channel itself, so that its statistics are right when it comes back, and the masked
    network is what slim_network makes of it.

    Args:
        groups: whose channels are ranked.
        sparsity: 0 to less than 1, share of these channels to be hidden in the end; fewer where
            the groups' least widths say so.
        steps: that train will take.
        ramp: 0 to 1, share of the steps after which the sparsity is reached.
    """

    def __init__(
        self,
        network: Network,
        groups: Sequence[Prunable],
        sparsity: float,
        steps: int,
        *,
        ramp: float = 0.6,
    ) -> None:
        if not 0 <= sparsity < 1:
            raise ValueError(f"sparsity must lie in [0, 1), got {sparsity}")
        self._network = network
        self._groups = tuple(groups)
        self.sparsity = sparsity
        self._ramp_steps = min(round(ramp * steps), steps - 1)
        self._masks = [torch.ones(entry.group.width) for entry in self._groups]
        self._hide()

    def before_step(self, step: int) -> None:
        """Choose anew, where it is time to; `step` counts from 0."""
        if step % EVERY == 0 or step == self._ramp_steps:
            sparsity = sparsity_at(step, self._ramp_steps, self.sparsity)
            self._masks = self._choose(sparsity)
            self._hide()

    def kept(self) -> dict[str, NDArray[np.intp]]:
        """The channels that are not hidden now, in order, for every operator of the groups."""
        return {
            name: np.flatnonzero(mask.numpy())
            for entry, mask in zip(self._groups, self._masks, strict=True)
            for name in entry.group.members
        }

    @torch.no_grad()
    def _choose(self, sparsity: float) -> list[Tensor]:
        norms = [channel_norms(self._network, entry.group) for entry in self._groups]
        for entry, norm in zip(self._groups, norms, strict=True):
            norm[norm.argsort(descending=True, stable=True)[: entry.least]] = torch.inf
        if not norms:
            return []
        ranked = torch.cat(norms)  # (all channels,)
        most = int(torch.isfinite(ranked).sum())
        count = min(int(sparsity * len(ranked)), most)
        mask = torch.ones(len(ranked))
        mask[ranked.argsort(stable=True)[:count]] = 0.0
        return list(torch.split(mask, [entry.group.width for entry in self._groups]))

    def _hide(self) -> None:
        masks = {
            name: mask
            for entry, mask in zip(self._groups, self._masks, strict=True)
            for name in entry.group.members
        }
        for op in self._network.ops:
            if isinstance(op, Conv2D | Dense) and op.inputs[0] in masks:
                mask = masks[op.inputs[0]]
                if isinstance(op, Dense):  # (1, features), channels repeated
                    shaped = mask.repeat(op.input_shape[-1] // len(mask))[None]
                else:
                    shaped = mask[None, :, None, None]
                self._network.masks[op.name] = shaped


def slim_network(
    network: Network, space: Space, genotype: Genotype, kept: Kept
) -> tuple[Genotype, Network]:
    """The genotype and the network that are left when each operator in `kept` keeps these channels
    of its output (ascending, equal within a group, as Pruner.kept returns them): the same function
    as `network` with the others hidden, without masks. `network` itself is not changed.

    Raises:
        ValueError: the space has no such genotype.
    """
    ops = network.ops
    widths = {
        op.name: len(kept[op.name])
        for op in ops
        if isinstance(op, Weighted)
        and op.name in kept
        and len(kept[op.name]) < op.output_shape[-1]
    }
    slimmed = space.slim(genotype, widths)
    small = Network(space.lower(slimmed, ops[0].output_shape, ops[-1].output_shape[-1]), seed=0)
    for before, after in zip(ops, small.ops, strict=True):
        if (before.name, type(before)) != (after.name, type(after)):
            raise ValueError(f"{before.name}: slimming makes another operator of it")
        if isinstance(before, Weighted):
            outputs = kept.get(before.name, np.arange(before.output_shape[-1]))
            inputs = kept.get(before.inputs[0])
            _copy_channels(network, small, before.name, outputs, inputs)
    return slimmed, small


@torch.no_grad()
def _copy_channels(
    network: Network,
    small: Network,
    name: str,
    outputs: NDArray[np.intp],
    inputs: NDArray[np.intp] | None,
) -> None:
    filters, taken = filters_of(network, name), filters_of(small, name)
    one_each = filters.shape[1] == 1  # depthwise: its input's channels are those of its output
    columns = np.arange(filters.shape[1]) if inputs is None or one_each else inputs
    taken.copy_(filters[outputs][:, columns])
    vectors = small.layer_of(name).state_dict()
    for key, vector in network.layer_of(name).state_dict().items():
        if vector.ndim == 1:  # biases and normalisation
            vectors[key].copy_(vector[outputs])
