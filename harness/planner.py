"""Where does each tensor lie in the arena? Lifetimes, sharing and offsets. Knows what a kernel may
overwrite and how much scratch memory it wants, and nothing else about C.

Every byte of a planned region is written during an inference, and arena_bytes is the end of the
highest region, so the painted high-water mark of a run must equal it.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from harness.errors import UnsupportedModelError
from harness.tflite import Conv2D, DepthwiseConv2D, Graph, Operator, Pool2D
from harness.tflite.operators import window_output

ALIGNMENT = 4
_LARGEST_ARENA = 1 << 28  # bytes; kernels and generated C count in int32
_IMPROVEMENTS = 64  # placements tried after the greedy ones, fewer for large graphs:
_PAIRS = 1 << 18  # pairs of groups compared while trying
_INPLACE = {"RELU": (0,), "RELU6": (0,), "SOFTMAX": (0,), "QUANTIZE": (0,), "ADD": (0, 1)}


@dataclass(frozen=True)
class ArenaPlan:
    """order: operator indices as executed. offsets: tensor index -> byte offset. scratch: operator
    index -> byte offset of its scratch memory, where it has any. lower_bound_bytes: no placement
    of these lifetimes can be smaller."""

    order: tuple[int, ...]
    offsets: dict[int, int]
    scratch: dict[int, int]
    arena_bytes: int
    lower_bound_bytes: int


@dataclass(frozen=True)
class Region:
    """`size` bytes that must stay untouched by others from operator `first` to `last`, both
    included. Key is ("tensor", index) or ("scratch", operator index)."""

    key: tuple[str, int]
    size: int
    first: int
    last: int

    def meets(self, other: Region) -> bool:
        return self.first <= other.last and other.first <= self.last


Group = tuple[Region, ...]  # regions that start at one address


def plan(graph: Graph) -> ArenaPlan:
    """Place all tensors and scratch of `graph`, operators in the file's order.

    Raises:
        UnsupportedModelError: more than _LARGEST_ARENA bytes, which dilations can ask for in
            small files.
    """
    groups = group_regions(graph)
    starts, arena_bytes = place_groups(groups)
    if arena_bytes > _LARGEST_ARENA:
        raise UnsupportedModelError(
            "needs an arena that no Cortex-M4 addresses",
            where="tensor arena",
            expected=f"<= {_LARGEST_ARENA} bytes",
            got=arena_bytes,
            hint="use smaller feature maps, windows or dilations",
        )
    offsets: dict[int, int] = {}
    scratch: dict[int, int] = {}
    for group, start in zip(groups, starts, strict=True):
        for region in group:
            kind, index = region.key
            (offsets if kind == "tensor" else scratch)[index] = start
    return ArenaPlan(
        order=tuple(operator.index for operator in graph.operators),
        offsets=dict(sorted(offsets.items())),
        scratch=dict(sorted(scratch.items())),
        arena_bytes=arena_bytes,
        lower_bound_bytes=lower_bound(groups),
    )


def scratch_bytes(graph: Graph, operator: Operator) -> int:
    """Scratch memory of the operator's kernel, as firmware/kernels/kernels.h states it."""
    output = graph.tensor(operator.outputs[0])
    options = operator.options
    if operator.op == "FULLY_CONNECTED":
        depth = graph.tensor(operator.inputs[1]).shape[1]
        return _round_up(depth) if depth % 4 else 0
    if isinstance(options, Conv2D):
        filters, height, width, channels = graph.tensor(operator.inputs[1]).shape
        pixels = output.shape[1] * output.shape[2]
        if (height, width) == (1, 1) and options.stride == (1, 1) and channels % 4 == 0:
            return min(2, filters) * channels if pixels > 2 else 0
        return min(2, pixels) * _round_up(height * width * channels)
    if isinstance(options, DepthwiseConv2D):
        _, height, width, _ = graph.tensor(operator.inputs[1]).shape
        last = (output.shape[2] - 1) * options.stride[1]
        reach = (width - 1) * options.dilation[1] + 1
        stride = _round_up(last + _round_up(reach))
        rows = (output.shape[1] - 1) * options.stride[0] + (height - 1) * options.dilation[0] + 1
        return stride * rows
    return 0


def padding_before(graph: Graph, operator: Operator) -> tuple[int, int]:
    """(top, left) padding of a convolution or pooling."""
    options = operator.options
    source = graph.tensor(operator.inputs[0])
    if isinstance(options, Pool2D):
        window: tuple[int, ...] = options.window
        dilation = (1, 1)
    else:
        assert isinstance(options, Conv2D | DepthwiseConv2D)
        window = graph.tensor(operator.inputs[1]).shape[1:3]
        dilation = options.dilation
    padding = options.padding
    top, left = (
        window_output(size, span, stride, spread, padding)[1]
        for size, span, stride, spread in zip(
            source.shape[1:3], window, options.stride, dilation, strict=True
        )
    )
    return top, left


def is_alias(graph: Graph, operator: Operator) -> bool:
    """The operator changes no byte: its output is its input."""
    return operator.op == "RESHAPE" and graph.tensor(operator.inputs[0]).data is None


def group_regions(graph: Graph) -> list[Group]:
    """All regions of `graph`; a group's members share their first byte, which is legal wherever
    they live at the same time."""
    last_use = {index: -1 for index in graph.inputs}
    for operator in graph.operators:
        for index in (*operator.inputs, *operator.outputs):
            if index >= 0 and graph.tensor(index).data is None:
                last_use[index] = operator.index
    for index in graph.outputs:
        last_use[index] = len(graph.operators)

    members: list[list[Region]] = []
    group_of: dict[int, int] = {}

    def add(index: int, first: int, group: int | None) -> None:
        if group is None:
            group = len(members)
            members.append([])
        tensor = graph.tensor(index)
        members[group].append(Region(("tensor", index), tensor.bytes, first, last_use[index]))
        group_of[index] = group

    for index in graph.inputs:
        add(index, -1, None)
    for operator in graph.operators:
        shared = _shared_input(graph, operator, group_of, members)
        for index in operator.outputs:
            add(index, operator.index, shared)
        size = scratch_bytes(graph, operator)
        if size:
            at = operator.index
            members.append([Region(("scratch", at), size, at, at)])
    return [tuple(group) for group in members]


def _shared_input(
    graph: Graph, operator: Operator, group_of: dict[int, int], members: list[list[Region]]
) -> int | None:
    """The group whose storage the operator's output may take, if any."""
    if is_alias(graph, operator):
        return group_of[operator.inputs[0]]
    output = graph.tensor(operator.outputs[0])
    positions = _INPLACE.get(operator.op, ())
    if operator.op == "DEPTHWISE_CONV_2D":
        options = operator.options
        assert isinstance(options, DepthwiseConv2D)
        source = graph.tensor(operator.inputs[0])
        if options.multiplier == 1 and math.prod(output.shape[1:3]) <= math.prod(
            source.shape[1:3]
        ):
            positions = (0,)
    for position in positions:
        source = graph.tensor(operator.inputs[position])
        if source.data is not None or source.dtype != output.dtype:
            continue
        group = group_of[source.index]
        if all(region.last <= operator.index for region in members[group]):
            return group
    return None


def place_groups(groups: list[Group]) -> tuple[list[int], int]:
    """An address for each group -> (addresses, end of the highest region). Greedy by size and by
    two other orders, then random exchanges (seeded) in the best order while they can gain."""
    bound = lower_bound(groups)
    found = [
        (*_place(groups, order), order)
        for order in (
            sorted(range(len(groups)), key=key)
            for key in (
                lambda i: (-_size(groups[i]), _first(groups[i])),
                lambda i: (-_size(groups[i]) * _span(groups[i]), _first(groups[i])),
                lambda i: (_first(groups[i]), -_size(groups[i])),
            )
        )
    ]
    starts, end, order = min(found, key=lambda one: one[1])
    rng = random.Random(0)
    for _ in range(min(_IMPROVEMENTS, _PAIRS // len(groups) ** 2 if groups else 0)):
        if end <= bound or len(groups) < 2:
            break
        tried = list(order)
        i, j = rng.sample(range(len(tried)), 2)
        tried[i], tried[j] = tried[j], tried[i]
        tried_starts, tried_end = _place(groups, tried)
        if tried_end <= end:
            starts, end, order = tried_starts, tried_end, tried
    return starts, end


def _place(groups: list[Group], order: list[int]) -> tuple[list[int], int]:
    """The lowest free address for each group in turn -> (addresses, end of the highest region)."""
    starts = [0] * len(groups)
    placed: list[tuple[Region, int]] = []
    for chosen in order:
        # Starting strictly between `low` and `high` would overlap a region already placed. In
        # order of `low`, an interval passed once cannot matter again.
        forbidden = sorted(
            (at - region.size, at + other.size)
            for other, at in placed
            for region in groups[chosen]
            if region.meets(other)
        )
        start = 0
        for low, high in forbidden:
            if low < start < high:
                start = _round_up(high)
        starts[chosen] = start
        placed.extend((region, start) for region in groups[chosen])
    return starts, max((at + region.size for region, at in placed), default=0)


def lower_bound(groups: list[Group]) -> int:
    """The most bytes alive at once; no placement needs fewer."""
    alive: dict[int, int] = {}
    for group in groups:
        largest: dict[int, int] = {}
        for region in group:
            for time in range(region.first, region.last + 1):
                largest[time] = max(largest.get(time, 0), region.size)
        for time, size in largest.items():
            alive[time] = alive.get(time, 0) + size
    return max(alive.values(), default=0)


def _size(group: Group) -> int:
    return max(region.size for region in group)


def _first(group: Group) -> int:
    return min(region.first for region in group)


def _span(group: Group) -> int:
    return max(region.last for region in group) - _first(group) + 1


def _round_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
