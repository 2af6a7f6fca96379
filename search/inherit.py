"""What does a child take over from its parent? Filters wherever shapes overlap; and where a
morphism can leave the function as it is, it does (Chen et al., Net2Net, arXiv 1511.05641):

- a wider operator gets copies of channels, and who reads them shares the weights out among them,
  unevenly, so that the copies become different ones;
- a narrower one keeps its largest channels;
- a larger window gets zeros around the old one, a smaller one keeps the middle;
- an added layer starts as the identity, where its stride, its width and its ReLU allow; batch
  normalisation behind it still scales each channel by itself;
- an added branch without a ReLU at its end starts by adding nothing;
- batch normalisation that is gone is folded into the filters before it.

The rest stays fresh. Must not know how children come about, nor how they are trained.

A child's walk:

    network = Network(ops, seed=seed)
    _, parent = load_weights(run_dir / "weights" / f"{archid}.npz", space, input_shape, classes)
    taken = inherit(network, parent)    # then train(..., epochs=recipe.inherited_epochs or None)
    save_weights(...)                   # as trained, before slimming
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from search.alignment import align
from search.channels import ChannelGroup, Weighted, channel_groups, filter_shape, group_of
from search.lowering import Add, Conv2D, Dense, DepthwiseConv2D, Input, Op, Pad, Pool2D
from search.network import Network, affine_of
from search.weights import channel_norms, filters_of

FRESH = -1  # in place of a parent's channel


Channels = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class _Origin:
    """Where a group of channels comes from: the parent's group, by its first member, and for each
    channel the one there that it continues."""

    group: str
    channels: Channels


@torch.no_grad()
def inherit(network: Network, parent: Network) -> int:
    """Overwrite fresh weights of `network`, in place, by what `parent` has for them; `parent` is
    not changed, and nothing is drawn at random.

    Returns:
        How many weights of filters and matrices were taken over.

    Raises:
        ValueError: the two are for different images or classes.
    """
    for end in (0, -1):
        if network.ops[end].output_shape != parent.ops[end].output_shape:
            raise ValueError(
                f"the parent's {parent.ops[end].name} is {parent.ops[end].output_shape}, the "
                f"child's {network.ops[end].output_shape}"
            )
    return _Inheritance(network, parent).take()


class _Inheritance:
    """pairs: child's to parent's weighted operators. groups, parent_groups: of channels, by
    operator. origins: of the child's groups, by first member, as far as known. silent: operators
    that end an added branch; identities: added ones that change nothing."""

    def __init__(self, network: Network, parent: Network) -> None:
        self.network, self.parent = network, parent
        self.ops = {op.name: op for op in network.ops}
        self.parent_ops = {op.name: op for op in parent.ops}
        self.pairs = align(network.ops, parent.ops)
        self.groups = group_of(channel_groups(network.ops))
        self.parent_groups = group_of(channel_groups(parent.ops))
        self.silent = self._added_branches()
        self.origins: dict[str, _Origin] = {}
        self.identities: set[str] = set()
        for group in channel_groups(network.ops):
            if (origin := self._origin(group)) is not None:
                self.origins[group.members[0]] = origin
            self.identities |= {
                name
                for name in group.weighted
                if name == group.members[0] or isinstance(self.ops[name], DepthwiseConv2D)
                if self._can_be_identity(name)
            }

    def take(self) -> int:
        taken = 0
        for name in self.ops:
            if name in self.pairs:
                taken += self._copy(name, self.pairs[name])
            elif name in self.identities:
                _make_identity(filters_of(self.network, name))
            elif name in self.silent:
                _silence(self.network.layer_of(name))
        return taken

    def _origin(self, group: ChannelGroup) -> _Origin | None:
        """From the operators that make the channels of the group."""
        first = self.ops[group.members[0]]
        if isinstance(first, Input):
            return _Origin(self.parent.ops[0].name, np.arange(group.width))
        for name in group.weighted:
            if name in self.pairs and not isinstance(self.ops[name], DepthwiseConv2D):
                source = self.parent_groups[self.pairs[name]]
                return _Origin(source.members[0], self._continued(group.width, source))
        if self._can_be_identity(first.name):
            before = self._origin_of(first.inputs[0])
            assert before is not None  # _can_be_identity asked for it
            return _Origin(before.group, np.resize(before.channels, group.width))
        return None

    def _continued(self, width: int, source: ChannelGroup) -> Channels:
        if width >= source.width:
            return np.arange(width) % source.width
        norms = channel_norms(self.parent, source)
        return np.sort(norms.argsort(descending=True, stable=True)[:width].numpy())

    def _origin_of(self, name: str) -> _Origin | None:
        return self.origins.get(self.groups[name].members[0])

    def _can_be_identity(self, name: str) -> bool:
        op = self.ops[name]
        if not isinstance(op, Weighted) or name in self.pairs or name in self.silent:
            return False
        if op.relu and not self._is_nonnegative(op.inputs[0]):
            return False
        if self._origin_of(op.inputs[0]) is None:
            return False
        outputs, inputs, height, width = filter_shape(self.network.ops, name)
        if isinstance(op, Dense):
            return (height, width) == (1, 1) and outputs >= inputs
        return op.stride == (1, 1) and height % 2 == width % 2 == 1 and outputs >= inputs

    def _is_nonnegative(self, name: str) -> bool:
        op = self.ops[name]
        match op:
            case Input():
                return False
            case Conv2D() | DepthwiseConv2D() | Dense():
                return op.relu
            case Add():
                return op.relu or all(map(self._is_nonnegative, op.inputs))
            case _:
                return self._is_nonnegative(op.inputs[0])

    def _added_branches(self) -> set[str]:
        """Operators without a ReLU that end one branch of a sum, the other being the parent's; but
        none that was put in behind an operator that ended a branch of the parent's sum."""
        ends = {
            _end_of_branch(self.parent_ops, name)
            for add in self.parent.ops
            if isinstance(add, Add)
            for name in add.inputs
        }
        found = set()
        for add in self.network.ops:
            if isinstance(add, Add):
                branches = [self.ops[_end_of_branch(self.ops, name)] for name in add.inputs]
                new = [op for op in branches if self._is_new(op)]
                if len(new) == 1 and not new[0].relu:
                    before = _end_of_branch(self.ops, new[0].inputs[0])
                    if self.pairs.get(before) not in ends:
                        found.add(new[0].name)
        return found

    def _is_new(self, op: Op) -> TypeGuard[Conv2D | DepthwiseConv2D]:
        return isinstance(op, Conv2D | DepthwiseConv2D) and op.name not in self.pairs

    def _copy(self, name: str, source: str) -> int:
        outputs = self._continues(name, source)
        inputs = np.zeros(1, np.intp)
        op = self.ops[name]
        if not isinstance(op, DepthwiseConv2D):
            before = self.parent_ops[source].inputs[0]
            inputs = self._continues(op.inputs[0], before)
        rows, columns = (torch.from_numpy(np.flatnonzero(m != FRESH)) for m in (outputs, inputs))
        taken = torch.from_numpy(outputs)[rows]
        shares = torch.from_numpy(_shares(inputs))[columns]
        filters = filters_of(self.parent, source)[taken][:, torch.from_numpy(inputs)[columns]]
        filters = filters * shares[:, None, None]
        layer, old = self.network.layer_of(name), self.parent.layer_of(source)
        if _has_norm(layer) == _has_norm(old):
            for key, vector in layer.state_dict().items():
                if vector.ndim == 1:
                    vector[rows] = old.state_dict()[key][taken]
        else:
            gain, bias = (torch.from_numpy(part).float()[taken] for part in affine_of(old))
            filters = filters * gain[:, None, None, None]
            layer.state_dict()[f"{_has_norm(layer):d}.bias"][rows] = bias
        mine = filters_of(self.network, name)
        mine[rows[:, None], columns] = _centred(filters, mine.shape[2:])
        window = [min(pair) for pair in zip(mine.shape[2:], filters.shape[2:], strict=True)]
        return len(rows) * len(columns) * math.prod(window)

    def _continues(self, name: str, source: str) -> Channels:
        """For each channel of the child's operator, the one of the parent's; where they are not
        known to belong together, by number."""
        group, before = self.groups[name], self.parent_groups[source]
        origin = self._origin_of(name)
        if origin is not None and origin.group == before.members[0]:
            return origin.channels
        numbers = np.arange(group.width)
        return np.where(numbers < before.width, numbers, FRESH)


def _end_of_branch(ops: Mapping[str, Op], name: str) -> str:
    """The operator that makes what comes to `name` through pooling and padding."""
    op = ops[name]
    return _end_of_branch(ops, op.inputs[0]) if isinstance(op, Pool2D | Pad) else name


def _shares(channels: Channels) -> NDArray[np.float32]:
    """Weights that make one of the copies of a channel, no two alike: 1/6, 2/6, 3/6 of three."""
    shares = np.ones(len(channels), np.float32)
    for channel in np.unique(channels):
        copies = np.flatnonzero(channels == channel)
        numbers = np.arange(1, len(copies) + 1)
        shares[copies] = numbers / numbers.sum()
    return shares


def _centred(filters: Tensor, window: Sequence[int]) -> Tensor:
    """(out, in, *window): zeros around filters that are smaller, the middle of larger ones."""
    margins = [
        (after - before) // 2 if after >= before else -((before - after) // 2)
        for after, before in zip(window, filters.shape[2:], strict=True)
    ]
    (top, left), (height, width) = margins, window
    bottom, right = height - filters.shape[2] - top, width - filters.shape[3] - left
    return functional.pad(filters, (left, right, top, bottom))


def _make_identity(filters: Tensor) -> None:
    """Output j is input j, and starts again where there are no more."""
    outputs, inputs, height, width = filters.shape
    rows = torch.arange(outputs)
    filters.zero_()
    filters[rows, rows % inputs, height // 2, width // 2] = 1.0


def _silence(layer: nn.Sequential) -> None:
    """Gain zero, or filters zero: gradients reach one or the other."""
    layer.state_dict()[f"{_has_norm(layer):d}.weight"].zero_()


def _has_norm(layer: nn.Sequential) -> bool:
    return len(layer) > 1 and isinstance(layer[1], nn.BatchNorm2d)
