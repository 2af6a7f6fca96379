"""Which operators share their channels? What has no weights, a depthwise convolution and an
addition give out the channels that they get; a convolution and a dense layer make new ones. So
widths hang together, and channels keep their meaning, along groups of operators. Must not know
why anybody asks, nor import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.lowering import Conv2D, Dense, DepthwiseConv2D, Flatten, Op, Shape

Weighted = Conv2D | DepthwiseConv2D | Dense


@dataclass(frozen=True)
class ChannelGroup:
    """members: names of operators, in execution order; weighted: of those, which have weights.
    width: their channels, or units. The features of a Flatten among them repeat the channels in
    order: feature i is of channel i % width. is_free: whether the width may be another one, which
    it may not where the channels are the image's or the classes."""

    members: tuple[str, ...]
    weighted: tuple[str, ...]
    width: int
    is_free: bool


def channel_groups(ops: Sequence[Op]) -> tuple[ChannelGroup, ...]:
    """The groups, in the order of their first members; every operator is in exactly one."""
    root: dict[str, str] = {}  # of a union-find forest: the first member stands for its group
    order = {op.name: index for index, op in enumerate(ops)}

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    for op in ops:
        root[op.name] = op.name
        if not isinstance(op, Conv2D | Dense):
            for name in op.inputs:
                first, second = sorted((find(op.name), find(name)), key=order.__getitem__)
                root[second] = first
    members: dict[str, list[Op]] = {}
    for op in ops:
        members.setdefault(find(op.name), []).append(op)
    return tuple(
        ChannelGroup(
            tuple(op.name for op in group),
            tuple(op.name for op in group if isinstance(op, Weighted)),
            group[0].output_shape[-1],
            is_free=ops[0] not in group and ops[-1] not in group,
        )
        for group in members.values()
    )


def group_of(groups: Sequence[ChannelGroup]) -> dict[str, ChannelGroup]:
    """The group of each operator, by name."""
    return {name: group for group in groups for name in group.members}


def filter_shape(ops: Sequence[Op], name: str) -> Shape:
    """(out, in, height, width) of the filters of the weighted operator `name`; in is 1 for a
    depthwise convolution. A dense layer behind a Flatten is a convolution that sees the whole map,
    another one has a window of 1x1."""
    by_name = {op.name: op for op in ops}
    op = by_name[name]
    outputs = op.output_shape[-1]
    match op:
        case Conv2D():
            return outputs, op.input_shape[-1], *op.kernel
        case DepthwiseConv2D():
            return outputs, 1, *op.kernel
        case Dense():
            source = by_name[op.inputs[0]]
            if isinstance(source, Flatten):
                height, width, channels = source.input_shape
                return outputs, channels, height, width
            return outputs, op.input_shape[-1], 1, 1
    raise ValueError(f"{name}: has no weights")
