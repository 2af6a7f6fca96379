"""How much of TFLite Micro's arena do tensors and scratch buffers take, for one order of the
operators? Upstream calls it the head; what lies at the other end is the tail.

Every operator of the file is executed and every result has memory of its own: nothing is folded,
nothing done in place. Constants stay in flash, and variables lie in the tail. A tensor that no
operator uses is not counted. The planner is tensorflow/lite/micro/memory_planner's
GreedyMemoryPlanner, lifetimes are micro_allocation_info.cc's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.engines.tflm.scratch import Kernels, scratch_requests
from harness.kernels import Kernel
from harness.planner.regions import Lifetimes, Region, lifetimes
from harness.tflite import Graph, Operator, Tensor

ALIGNMENT = 16  # of an arena and of every buffer in it: MicroArenaBufferAlignment()


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


class Head:
    """The head of `graph`, as the file says it, with the library's `kernels`. An order is a
    permutation of the places that operators have in the file."""

    def __init__(self, graph: Graph, kernels: Kernels) -> None:
        self.buffers = executed(graph)
        self.requests = [
            scratch_requests(graph, operator, kernels) for operator in graph.file_operators
        ]
        self.kernels = [Kernel(sum(aligned(size) for size in each)) for each in self.requests]

    @property
    def own_order(self) -> tuple[int, ...]:
        return tuple(range(len(self.requests)))

    def peak_bytes(self, order: Sequence[int]) -> int:
        """The most that is needed at one step: no placement is smaller."""
        return self._lifetimes(order, self.kernels).lower_bound()

    def planned_bytes(self, order: Sequence[int]) -> int:
        """What the greedy planner makes of it."""
        return _end(self._regions(order))

    def planned_buffers(self) -> int:
        """How many the planner places."""
        return len(self._regions(self.own_order))

    def _lifetimes(self, order: Sequence[int], kernels: Sequence[Kernel]) -> Lifetimes:
        return lifetimes(self.buffers, kernels, order)

    def _regions(self, order: Sequence[int]) -> list[Region]:
        """In the order in which they are handed to the planner: by tensor, then by request."""
        tensors = self._lifetimes(order, [Kernel()] * len(order)).regions
        found = sorted(tensors, key=lambda region: region.tensors)
        for time, position in enumerate(order):
            for size in self.requests[position]:
                found.append(Region(aligned(size), time, time, scratch=position))
        return found


def executed(graph: Graph) -> Graph:
    """What is known of `graph` once its operators are opaque and its tensors buffers: who reads
    what, when, and how many bytes, rounded up."""
    operators = graph.file_operators
    computed = {*graph.inputs, *(index for one in operators for index in one.outputs)}
    return replace(
        graph,
        tensors=tuple(_buffer(tensor, tensor.index in computed) for tensor in graph.tensors),
        operators=tuple(
            Operator(
                one.index,
                "EXECUTED",
                tuple(index for index in one.inputs if index in computed),
                one.outputs,
                None,
            )
            for one in operators
        ),
        folded=(),
    )


def _buffer(tensor: Tensor, computed: bool) -> Tensor:
    size = aligned(tensor.bytes) if computed else 0
    return Tensor(tensor.index, "", (size,), "int8", None)


def _end(regions: Sequence[Region]) -> int:
    """Large ones first, of equal ones the one added last; each at the lowest address where there
    is room among those already placed that live at the same time."""
    starts: dict[int, int] = {}
    for chosen in sorted(range(len(regions)), key=lambda i: (-regions[i].size, -i)):
        region, start = regions[chosen], 0
        for at, size in sorted(
            (at, regions[other].size)
            for other, at in starts.items()
            if regions[other].first <= region.last and region.first <= regions[other].last
        ):
            if at - start >= region.size:
                break
            start = max(start, at + size)
        starts[chosen] = start
    return max((at + regions[i].size for i, at in starts.items()), default=0)
