"""Networks of every space as the converter leaves them: what arithmetic says, the file says."""

from __future__ import annotations

import math

import pytest

from harness.compiler import compile_sources
from harness.tflite import Graph
from search.cost import cost_of, peak_memory
from search.export import export_untrained
from search.lowering import Flatten, Input, Op
from tests.search.exported import macs, read, weight_bytes
from tests.search.spaces.spaces import NAMES, SHAPES, reached, shipped

# What cost.peak_memory lets write over an input.
IN_PLACE = ("ADD", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D")


def peak_of(graph: Graph) -> int:
    """Bytes of activations alive at once, at most, in the order of the file: each from what writes
    it to what reads it last."""
    source: dict[int, int] = {}
    for operator in graph.operators:
        if operator.op == "RESHAPE":
            first = operator.inputs[0]
            source[operator.outputs[0]] = source.get(first, first)
    steps = [
        (
            operator.op,
            {source.get(i, i) for i in operator.inputs if graph.tensor(i).data is None},
            operator.outputs[0],
        )
        for operator in graph.operators
        if operator.op != "RESHAPE"
    ]
    made = {*graph.inputs}
    peak = max(graph.tensor(index).bytes for index in made)
    for position, (op, inputs, output) in enumerate(steps):
        later = {index for _, read, _ in steps[position + 1 :] for index in read}
        size = graph.tensor(output).bytes
        dying = [graph.tensor(index).bytes for index in inputs - later]
        shared = min(size, max(dying, default=0)) if op in IN_PLACE else 0
        alive = sum(graph.tensor(index).bytes for index in made & (inputs | later))
        peak = max(peak, alive + size - shared)
        made.add(output)
    return peak


def in_order_of(graph: Graph, ops: tuple[Op, ...]) -> list[Op]:
    """The converter may move branches against each other; an output's name begins with its
    operator's, but for the last one's."""
    by_scope = {f"n_{op.name}": op for op in ops}
    computed = [operator for operator in graph.operators if operator.op != "RESHAPE"]
    scopes = [graph.tensor(operator.outputs[0]).name.split("/")[0] for operator in computed]
    order = [ops[0], *(by_scope[scope] for scope in scopes[:-1]), ops[-1]]
    (flatten,) = [op for op in ops if isinstance(op, Flatten)]
    (place,) = [index for index, op in enumerate(order) if op.name == flatten.inputs[0]]
    return [*order[: place + 1], flatten, *order[place + 1 :]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(2))
def test_macs_sizes_and_peak_memory_are_those_of_the_file(name: str, seed: int) -> None:
    space = shipped(name)
    ops = space.lower(reached(space, 40 + seed, 3 * seed), SHAPES[name], 3)
    cost = cost_of(ops)

    model = export_untrained(ops, seed=seed)
    graph = read(model)

    assert (macs(graph), weight_bytes(graph)) == (cost.macs, cost.model_size_bytes)
    computed = [operator for operator in graph.operators if operator.op != "RESHAPE"]
    assert len(computed) == sum(not isinstance(op, Input | Flatten) for op in ops)
    outputs = sorted(graph.tensor(operator.outputs[0]).bytes for operator in computed)
    assert outputs == sorted(
        math.prod(op.output_shape) for op in ops if not isinstance(op, Input | Flatten)
    )
    assert peak_of(graph) == peak_memory(in_order_of(graph, ops))
    arena_bytes = compile_sources(model, name=name).plan.arena_bytes
    assert cost.memory_floor_bytes <= arena_bytes, "outputs over inputs or not"
