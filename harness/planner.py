"""Where does each tensor lie in the arena? Lifetimes, sharing and offsets. What a kernel does to
memory is in kernels.py; nothing else is known about C.

Every byte of a planned region is written during an inference, and arena_bytes is the end of the
highest region, so the painted high-water mark of a run must equal it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from harness.errors import UnsupportedModelError
from harness.kernels import is_alias, kernel_of
from harness.options import Optimise
from harness.tflite import Graph, Operator

ALIGNMENT = 4
_LARGEST_ARENA = 1 << 28  # bytes; kernels and generated C count in int32
_IMPROVEMENTS = 64  # placements tried after the greedy ones, fewer for large graphs:
_PAIRS = 1 << 18  # pairs of groups compared while trying


@dataclass(frozen=True)
class ArenaPlan:
    """order: operator indices as executed. offsets: tensor index -> byte offset. scratch: operator
    index -> byte offset of its scratch memory, where it has any. lower_bound_bytes: no placement
    of these lifetimes can be smaller. optimise: what kernels were chosen for."""

    order: tuple[int, ...]
    offsets: dict[int, int]
    scratch: dict[int, int]
    arena_bytes: int
    lower_bound_bytes: int
    optimise: Optimise


@dataclass(frozen=True)
class Region:
    """`size` bytes that must stay untouched by others from the `first` to the `last` of the
    operators in the order of execution, both included. Key is ("tensor", index) or ("scratch",
    operator index)."""

    key: tuple[str, int]
    size: int
    first: int
    last: int

    def meets(self, other: Region) -> bool:
        return self.first <= other.last and other.first <= self.last


Group = tuple[Region, ...]  # regions that start at one address


def plan(graph: Graph, *, optimise: Optimise = Optimise.SPEED) -> ArenaPlan:
    """Place all tensors and scratch of `graph`, operators in the file's order.

    Raises:
        UnsupportedModelError: more than _LARGEST_ARENA bytes, which dilations can ask for in
            small files.
    """
    groups = group_regions(graph, optimise)
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
        optimise=optimise,
    )


def group_regions(graph: Graph, optimise: Optimise) -> list[Group]:
    """All regions of `graph`; a group's members share their first byte, which is legal wherever
    they live at the same time."""
    last_use = {index: -1 for index in graph.inputs}
    for time, operator in enumerate(graph.operators):
        for index in (*operator.inputs, *operator.outputs):
            if index >= 0 and graph.tensor(index).data is None:
                last_use[index] = time
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
    for time, operator in enumerate(graph.operators):
        shared = _shared_input(graph, operator, optimise, time, group_of, members)
        for index in operator.outputs:
            add(index, time, shared)
        size = kernel_of(graph, operator, optimise).scratch_bytes
        if size:
            members.append([Region(("scratch", operator.index), size, time, time)])
    return [tuple(group) for group in members]


def _shared_input(
    graph: Graph,
    operator: Operator,
    optimise: Optimise,
    time: int,
    group_of: dict[int, int],
    members: list[list[Region]],
) -> int | None:
    """The group whose storage the operator's output may take, if any."""
    if is_alias(graph, operator):
        return group_of[operator.inputs[0]]
    output = graph.tensor(operator.outputs[0])
    for position in kernel_of(graph, operator, optimise).inplace:
        source = graph.tensor(operator.inputs[position])
        if source.data is not None or source.dtype != output.dtype:
            continue
        group = group_of[source.index]
        if all(region.last <= time for region in members[group]):
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
