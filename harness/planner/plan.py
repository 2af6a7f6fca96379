"""What is the plan of a model's arena? The order of its operators and an address for each tensor.

Every byte of a planned region is written during an inference, and arena_bytes is the end of the
highest region, so the painted high-water mark of a run must equal it.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import UnsupportedModelError
from harness.kernels import kernel_of
from harness.options import Optimise
from harness.planner.order import Order, least_peak_order
from harness.planner.packing import Placement, place
from harness.planner.regions import Lifetimes, lifetimes
from harness.tflite import Graph

_LARGEST_ARENA = 1 << 28  # bytes; kernels and generated C count in int32


@dataclass(frozen=True)
class ArenaPlan:
    """order: operator indices as executed. offsets: tensor index -> byte offset. scratch: operator
    index -> byte offset of its scratch memory, where it has any. lower_bound_bytes: no placement
    of these lifetimes can be smaller. optimise: what kernels were chosen for.

    exact_order: no other order has a smaller lower bound, rounding to words aside. optimal: no
    other placement of this order's lifetimes needs fewer words.
    """

    order: tuple[int, ...]
    offsets: dict[int, int]
    scratch: dict[int, int]
    arena_bytes: int
    lower_bound_bytes: int
    optimise: Optimise
    exact_order: bool
    optimal: bool

    @property
    def method(self) -> str:
        """How it was found, in a few words."""
        order = "exact" if self.exact_order else "by search"
        return f"order {order}, placement {'exact' if self.optimal else 'by search'}"


def plan(
    graph: Graph, *, optimise: Optimise = Optimise.SPEED, order: Order | None = None
) -> ArenaPlan:
    """Order all operators, unless `order` is known, and place all tensors and scratch of `graph`.

    Raises:
        UnsupportedModelError: more than _LARGEST_ARENA bytes, which dilations can ask for in
            small files.
    """
    kernels = [kernel_of(graph, operator, optimise) for operator in graph.operators]
    own = tuple(range(len(graph.operators)))
    order = order or least_peak_order(graph, kernels)
    candidates = list(dict.fromkeys((order.positions, own)))
    known = [(one, lifetimes(graph, kernels, one)) for one in candidates]
    positions, alive, placement = _smallest(known)
    if placement.arena_bytes > _LARGEST_ARENA:
        raise UnsupportedModelError(
            "needs an arena that no Cortex-M4 addresses",
            where="tensor arena",
            expected=f"<= {_LARGEST_ARENA} bytes",
            got=placement.arena_bytes,
            hint="use smaller feature maps, windows or dilations",
        )
    offsets: dict[int, int] = {}
    scratch: dict[int, int] = {}
    for region, start in zip(alive.regions, placement.starts, strict=True):
        offsets.update(dict.fromkeys(region.tensors, start))
        if region.scratch is not None:
            scratch[region.scratch] = start
    return ArenaPlan(
        order=tuple(graph.operators[position].index for position in positions),
        offsets=dict(sorted(offsets.items())),
        scratch=dict(sorted(scratch.items())),
        arena_bytes=placement.arena_bytes,
        lower_bound_bytes=alive.lower_bound(),
        optimise=optimise,
        exact_order=order.exact and alive.lower_bound() <= known[0][1].lower_bound(),
        optimal=placement.optimal,
    )


def _smallest(
    candidates: list[tuple[tuple[int, ...], Lifetimes]],
) -> tuple[tuple[int, ...], Lifetimes, Placement]:
    """The first of the orders with the smallest placement; one that cannot win is not placed."""
    best: tuple[tuple[int, ...], Lifetimes, Placement] | None = None
    for positions, alive in candidates:
        if best is None or alive.lower_bound() < best[2].arena_bytes:
            placement = place(alive)
            if best is None or placement.arena_bytes < best[2].arena_bytes:
                best = positions, alive, placement
    assert best is not None
    return best
