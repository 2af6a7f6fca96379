"""How does a model fit into the memory that there is? As it is, or with its first stage computed
patch by patch, which computes more for less memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

from harness.errors import UnsupportedModelError
from harness.kernels import kernel_of
from harness.options import Optimise
from harness.passes.patches import Patch, Span, Stage, slices, split, stages
from harness.planner.order import Order, least_peak_order
from harness.planner.plan import ArenaPlan, plan
from harness.planner.regions import lifetimes
from harness.tflite import Graph

_CUTS = (1, 2, 3, 4, 5, 6)  # patches along an axis
_OVERESTIMATE = 1.1  # the order found may need less than the estimate
_PLANNED = 600  # operators in plans that are made; the other candidates are only estimated
_LARGEST = 1000  # operators in one plan, which is what a file may have
_ESTIMATED = 200_000  # operators in all estimates, which take long stages last
_GRIDS = 4  # planned for one stage at most
_SPARES = (4096, 2048, 1024, 512, 0)  # bytes of scratch memory that only make kernels faster
_SMALLEST = 2  # estimates that are planned all the same


@dataclass(frozen=True)
class Patches:
    """The first `layers` operators, computed in rows x columns patches; how many of their
    multiply-accumulates are repetitions."""

    layers: int
    rows: int
    columns: int
    recomputed_macs: int

    def describe(self, total_macs: int) -> str:
        """total_macs: of the model, each once."""
        more = 100 * self.recomputed_macs / total_macs if total_macs else 0.0
        return (
            f"first {self.layers} operators in {self.rows} x {self.columns} patches, "
            f"{self.recomputed_macs:,} MACs ({more:.1f} %) repeated"
        )


@dataclass(frozen=True)
class Fitted:
    """What is executed, and where it lies."""

    graph: Graph
    plan: ArenaPlan
    patches: Patches | None


@dataclass(frozen=True, eq=False)
class _Candidate:
    patches: Patches
    stage: Stage
    parts: tuple[Patch, ...]
    estimate_bytes: int  # what the largest patch and all that follows need


def plan_within(
    graph: Graph, *, optimise: Optimise = Optimise.SPEED, arena_limit_bytes: int | None = None
) -> Fitted:
    """The plan of `graph`; where it needs more than the limit, with less scratch memory for its
    kernels; where that is still more, with the patches that repeat the fewest multiply-accumulates
    of those that need no more.

    Raises:
        UnsupportedModelError: nothing that was tried fits; or see plan().
    """
    found = plan(graph, optimise=optimise)
    if arena_limit_bytes is None or found.arena_bytes <= arena_limit_bytes:
        return Fitted(graph, found, None)
    for spare in _SPARES:
        graph = replace(graph, spare_bytes=spare)
        found = plan(graph, optimise=optimise)
        if found.arena_bytes <= arena_limit_bytes:
            return Fitted(graph, found, None)
    least = found.arena_bytes
    by_index = {operator.index: operator for operator in graph.operators}
    graph = replace(graph, operators=tuple(by_index[index] for index in found.order))
    candidates = list(_candidates(graph, optimise, arena_limit_bytes * _OVERESTIMATE))
    small = sorted(candidates, key=lambda one: one.estimate_bytes)[:_SMALLEST]
    cheap = sorted(
        (one for one in candidates if one.estimate_bytes <= _OVERESTIMATE * arena_limit_bytes),
        key=lambda one: (one.patches.recomputed_macs, len(one.parts)),
    )
    planned, failed = 0, Counter[int]()
    for candidate in dict.fromkeys((*cheap, *small)):
        if candidate not in small and (
            planned > _PLANNED or failed[candidate.stage.count] == _GRIDS
        ):
            continue
        patched = split(graph, candidate.stage, candidate.parts)
        planned += len(patched.operators)
        kernels = [kernel_of(patched, operator, optimise) for operator in patched.operators]
        order = least_peak_order(patched, kernels)
        bound = lifetimes(patched, kernels, order.positions).lower_bound()
        failed[candidate.stage.count] += 1
        if bound > arena_limit_bytes and candidate is not small[0]:
            continue
        found = plan(patched, optimise=optimise, order=order)
        least = min(least, found.arena_bytes)
        if found.arena_bytes <= arena_limit_bytes:
            return _give_back(patched, found, order, candidate.patches, arena_limit_bytes)
    raise UnsupportedModelError(
        "needs a larger arena, its first stage in patches or not",
        where="tensor arena",
        expected=f"<= {arena_limit_bytes} bytes",
        got=f"{least} bytes, the least that was tried",
        hint="raise the limit, or use a smaller input or fewer channels",
    )


def _give_back(
    graph: Graph, found: ArenaPlan, order: Order, patches: Patches, limit: int
) -> Fitted:
    """With as much scratch memory as fits."""
    for spare in _SPARES[:-1]:
        rich = replace(graph, spare_bytes=spare)
        more = plan(rich, optimise=found.optimise, order=replace(order, exact=False))
        if more.arena_bytes <= limit:
            return Fitted(rich, more, patches)
    return Fitted(graph, found, patches)


def _candidates(graph: Graph, optimise: Optimise, most: float) -> Iterator[_Candidate]:
    """Stages and grids, with what can be told without a full plan; none where what follows needs
    more than `most` bytes, or a stage's input and output together."""
    kernels = [kernel_of(graph, operator, optimise) for operator in graph.operators]
    needed = lifetimes(graph, kernels, range(len(kernels))).needed()
    behind_step = list(accumulate(reversed(needed), max))[::-1]
    inputs = sum(graph.tensor(index).bytes for index in graph.inputs)
    estimated = 0
    for stage in stages(graph):
        if max(inputs + graph.tensor(stage.output).bytes, behind_step[stage.count + 1]) > most:
            continue
        _, height, width, _ = graph.tensor(stage.output).shape
        for rows in (count for count in _CUTS if count <= height):
            for columns in {1, rows} if rows <= width else {1}:
                behind = len(graph.operators) - stage.count
                if rows * columns == 1 or rows * columns * stage.count + behind > _LARGEST:
                    continue
                estimated += 3 * stage.count + behind
                if estimated > _ESTIMATED:
                    return
                along = (slices(graph, stage, 0, rows), slices(graph, stage, 1, columns))
                if along[0] is None or along[1] is None:
                    continue
                largest = (_largest(graph, along[0]), _largest(graph, along[1]))
                estimate = _estimate(graph, stage, largest, rows * columns, optimise)
                repeated = _macs(graph, stage, along[0], along[1]) - sum(
                    graph.macs(operator) for operator in graph.operators[: stage.count]
                )
                yield _Candidate(
                    Patches(stage.count, rows, columns, repeated),
                    stage,
                    tuple((y, x) for y in along[0] for x in along[1]),
                    estimate,
                )


def _largest(graph: Graph, parts: list[dict[int, Span]]) -> dict[int, Span]:
    def size(part: dict[int, Span]) -> int:
        return sum(
            (span[1] - span[0]) * graph.tensor(index).shape[-1] for index, span in part.items()
        )

    return max(parts, key=size)


def _macs(
    graph: Graph, stage: Stage, rows: list[dict[int, Span]], columns: list[dict[int, Span]]
) -> int:
    """Of the stage in patches: what each operator computes is the product of what it computes
    along both axes."""
    total = 0
    for operator in graph.operators[: stage.count]:
        output = graph.tensor(operator.outputs[0])
        computed = [
            sum(
                part[output.index][1] - part[output.index][0]
                for part in parts
                if output.index in part
            )
            for parts in (rows, columns)
        ]
        pixels = output.shape[1] * output.shape[2]
        total += graph.macs(operator) // pixels * computed[0] * computed[1]
    return total


def _estimate(graph: Graph, stage: Stage, largest: Patch, count: int, optimise: Optimise) -> int:
    """Bytes that `count` patches need, and all that follows them, in the order that they come in.
    While the second of three patches is computed, input and output are both whole; but the last of
    all can be computed before the output is."""
    patched = split(graph, stage, [largest] * 3)
    kernels = [kernel_of(patched, operator, optimise) for operator in patched.operators]
    needed = lifetimes(patched, kernels, range(len(kernels))).needed()
    behind = len(graph.operators) - stage.count + 1  # and the end
    first, rest = needed[:-behind], needed[-behind:]
    return max(max(first) - graph.tensor(stage.output).bytes // count, *rest)
