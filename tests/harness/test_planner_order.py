"""No order of the operators needs less memory at its largest step, where the plan says so."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from harness.kernels import Kernel, kernel_of
from harness.options import Optimise
from harness.planner import order as planner_order
from harness.planner import plan
from harness.planner.order import least_peak_order
from harness.planner.regions import lifetimes, words
from harness.tflite import Graph, read_graph
from tests.random_networks import networks
from tests.tflite_factory import NONE, VALID, ModelFactory


def kernels_of(graph: Graph) -> list[Kernel]:
    return [kernel_of(graph, operator, Optimise.SPEED) for operator in graph.operators]


def all_orders(graph: Graph, before: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    if len(before) == len(graph.operators):
        yield before
    ready = {*graph.inputs, *(i for p in before for i in graph.operators[p].outputs)}
    ready |= {tensor.index for tensor in graph.tensors if tensor.data is not None} | {-1}
    for position, operator in enumerate(graph.operators):
        if position not in before and ready.issuperset(operator.inputs):
            yield from all_orders(graph, (*before, position))


def needed(graph: Graph, kernels: list[Kernel], order: tuple[int, ...]) -> int:
    return words(lifetimes(graph, kernels, order).lower_bound())


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(most_operators=6))
def test_an_exact_order_is_the_best_of_all(model: ModelFactory) -> None:
    graph = read_graph(model.build(), where="net")
    kernels = kernels_of(graph)
    orders = []
    for order in all_orders(graph):
        orders.append(order)
        assume(len(orders) < 500)

    found = least_peak_order(graph, kernels)

    assert found.exact
    assert found.positions in orders
    least = min(needed(graph, kernels, order) for order in orders)
    assert needed(graph, kernels, found.positions) == least


def branches(sizes: list[int], seed: int) -> Graph:
    """Every branch widens the input and becomes narrow again; all are added up in random order."""
    rng, model = random.Random(seed), ModelFactory()
    source = model.input((1, 4, 4, 4), scale=0.5)

    def pointwise(index: int, channels: int) -> int:
        weights = model.constant(
            np.ones((channels, 1, 1, model.tensors[index].shape[3]), np.int8), scale=0.5
        )
        output = model.tensor((1, 4, 4, channels), scale=0.5)
        model.operator(
            "CONV_2D", [index, weights], [output],
            padding=VALID, stride_h=1, stride_w=1, activation=NONE,
        )  # fmt: skip
        return output

    wide = [pointwise(source, size) for size in sizes]
    ends = [pointwise(index, 4) for index in wide]
    while len(ends) > 1:
        pair = [ends.pop(rng.randrange(len(ends))) for _ in range(2)]
        ends.append(model.tensor((1, 4, 4, 4), scale=0.5))
        model.operator("ADD", pair, [ends[-1]], activation=NONE)
    model.outputs = ends
    return read_graph(model.build(), where="net")


def test_branches_are_executed_one_after_the_other() -> None:
    graph = branches([16, 24, 32, 40], seed=0)

    found = plan(graph)

    assert found.exact_order and found.optimal
    # The input, the widest tensor, its narrow one, a sum; not all wide ones at once.
    scratch = max(kernel.scratch_bytes for kernel in kernels_of(graph))
    assert found.arena_bytes <= 16 * (4 + 40 + 4 + 4) + scratch
    assert plan(graph).order == found.order


@pytest.mark.parametrize("seed", range(3))
def test_many_branches_are_ordered_exactly(seed: int) -> None:
    rng = random.Random(seed)
    graph = branches([4 * rng.randint(1, 12) for _ in range(8)], seed)

    assert len(graph.operators) == 23
    assert plan(graph).exact_order


def test_behind_the_cap_the_order_is_a_good_one(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = branches([16, 24, 32, 40, 20, 28], seed=2)
    kernels = kernels_of(graph)
    best = least_peak_order(graph, kernels)
    monkeypatch.setattr(planner_order, "_TRIALS", 5)

    found = least_peak_order(graph, kernels)

    assert not found.exact
    assert sorted(found.positions) == list(range(len(graph.operators)))
    own = tuple(range(len(graph.operators)))
    assert needed(graph, kernels, found.positions) <= needed(graph, kernels, own)
    assert needed(graph, kernels, best.positions) <= needed(graph, kernels, found.positions)
    assert plan(graph).method.startswith("order by search, ")
