"""Tensors that live at the same time share bytes only where the kernel between them allows it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from harness.errors import UnsupportedModelError
from harness.kernels import is_alias, kernel_of
from harness.options import Optimise
from harness.planner import ArenaPlan, plan
from harness.tflite import Graph, read_graph
from tests.random_networks import networks
from tests.tflite_factory import NONE, SAME, VALID, ModelFactory, small_network, svdf


def read(model: ModelFactory) -> Graph:
    return read_graph(model.build(), where="net")


def chain(*ops: str, shape: tuple[int, ...] = (1, 2, 2, 4)) -> ModelFactory:
    """Operators of one input, one after the other, all of one shape."""
    model = ModelFactory()
    last = model.input(shape, scale=0.5)
    for op in ops:
        following = model.tensor(shape, scale=0.5)
        model.operator(op, [last], [following])
        last = following
    model.outputs = [last]
    return model


def check_plan(graph: Graph, found: ArenaPlan) -> None:
    """Compares every two tensors and scratch memories that exist at the same step."""
    operators = [graph.operator(index) for index in found.order]
    root: dict[int, int] = {}  # the tensor that a reshape shows
    first = dict.fromkeys((*graph.inputs, *graph.states), -1)
    last = dict(first)
    for time, operator in enumerate(operators):
        read = [i for i in operator.inputs if i >= 0 and graph.tensor(i).data is None]
        assert set(read) <= set(first), "read before it is written"
        for index in operator.outputs:
            root[index] = root.get(read[0], read[0]) if is_alias(graph, operator) else index
            first[index] = time
        last.update(dict.fromkeys((*read, *operator.outputs), time))
    last.update(dict.fromkeys((*graph.outputs, *graph.states), len(operators)))
    for index in first:  # what is shown lives as long as what shows it
        family = [i for i in first if root.get(i, i) == root.get(index, index)]
        last[index] = max(last[i] for i in family)

    def span(index: int) -> range:
        assert found.offsets[index] % 4 == 0
        return range(found.offsets[index], found.offsets[index] + graph.tensor(index).bytes)

    def may_overlap(source: int, output: int) -> bool:
        if first[output] != last[source] or first[output] < 0:
            return False
        operator = operators[first[output]]
        kernel, reaches = kernel_of(graph, operator, found.optimise), []
        for position, index in enumerate(operator.inputs):
            if root.get(index, index) != root.get(source, source):
                continue
            equal = position in kernel.inplace and span(source).start == span(output).start
            reach = dict(kernel.overlaps).get(position, 0)
            reaches.append(equal or span(output).stop - span(source).start <= reach)
        return output in operator.outputs and bool(reaches) and all(reaches)

    for one, other in combinations(first, 2):
        together = first[one] <= last[other] and first[other] <= last[one]
        if not together or apart(span(one), span(other)):
            continue
        if root.get(one, one) == root.get(other, other):
            assert span(one) == span(other)
        else:
            assert may_overlap(one, other) or may_overlap(other, one), (one, other)
    for time, operator in enumerate(operators):
        size = kernel_of(graph, operator, found.optimise).scratch_bytes
        assert (operator.index in found.scratch) == (size > 0)
        if size:
            start = found.scratch[operator.index]
            alive = [span(i) for i in first if first[i] <= time <= last[i]]
            assert all(apart(range(start, start + size), other) for other in alive)
    ends = [span(i).stop for i in first] + [
        found.scratch[o.index] + kernel_of(graph, o, found.optimise).scratch_bytes
        for o in operators
        if o.index in found.scratch
    ]
    assert found.arena_bytes == max(ends)


def apart(one: range, other: range) -> bool:
    return one.stop <= other.start or other.stop <= one.start


@settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(networks())
def test_no_operator_overwrites_what_is_still_read(model: ModelFactory) -> None:
    graph = read(model)
    found = plan(graph)

    check_plan(graph, found)
    assert sorted(found.order) == [operator.index for operator in graph.operators]
    assert found.lower_bound_bytes <= found.arena_bytes
    assert found == plan(read(model))


def test_nothing_lies_over_state_before_or_behind_its_layer() -> None:
    model = chain("RELU", "RELU", shape=(1, 40))
    last = model.outputs[0]
    for _ in range(2):
        last = svdf(model, last, units=30, memory=4)
    model.outputs = [last]
    graph = read(model)
    found = plan(graph)

    check_plan(graph, found)
    assert len(graph.states) == 2
    assert found.arena_bytes >= 2 * 2 * 30 * 4 + 40 + 30


def test_the_plan_does_not_depend_on_the_order_of_dicts() -> None:
    graph = read_graph(small_network(), where="net")
    first, second = plan(graph), plan(graph)

    assert first == second
    assert list(first.offsets) == sorted(first.offsets)


def test_operators_keep_the_order_of_the_file_where_none_is_better() -> None:
    graph = read_graph(small_network(), where="net")

    assert plan(graph).order == tuple(range(len(graph.operators)))
    assert plan(graph).method == "order exact, placement exact"


def test_elementwise_operators_work_in_place() -> None:
    found = plan(read(chain("RELU", "QUANTIZE", "RELU6")))

    assert set(found.offsets.values()) == {0}
    assert found.arena_bytes == found.lower_bound_bytes == 16


def test_an_input_that_is_read_again_is_not_overwritten() -> None:
    model = chain("RELU")
    total = model.tensor((1, 2, 2, 4), scale=0.5)
    model.operator("ADD", [model.inputs[0], model.outputs[0]], [total], activation=NONE)
    model.outputs = [total]

    found = plan(read(model))

    assert found.offsets[model.inputs[0]] != found.offsets[1]
    assert found.arena_bytes == 32  # the sum replaces one of them


def test_an_output_is_never_overwritten() -> None:
    model = chain("RELU", "RELU")
    model.outputs = [1, 2]

    found = plan(read(model))

    assert found.offsets[1] != found.offsets[2]


def test_a_reshape_is_an_alias_even_of_what_lives_on() -> None:
    model = chain("RELU")
    flat = model.tensor((16,), scale=0.5)
    model.operator("RESHAPE", [1], [flat])
    model.outputs = [1, flat]

    found = plan(read(model))

    assert found.offsets[1] == found.offsets[flat]
    assert found.arena_bytes == 16


def test_what_a_reshape_shows_is_not_overwritten_through_the_original() -> None:
    model = ModelFactory()
    source = model.input((1, 2, 2, 4), scale=0.5)
    flat, changed = model.tensor((16,), scale=0.5), model.tensor((1, 2, 2, 4), scale=0.5)
    model.operator("RESHAPE", [source], [flat])
    model.operator("RELU", [source], [changed])
    model.outputs = [flat, changed]

    found = plan(read(model))

    assert found.offsets[changed] != found.offsets[flat]


def depthwise(
    *, stride: int = 1, multiplier: int = 1, keep: bool = False, side: int = 6
) -> ModelFactory:
    model = ModelFactory()
    source = model.input((1, side, side, 8), scale=0.5)
    size = side // stride
    weights = model.constant(np.ones((1, 3, 3, 8 * multiplier), np.int8), scale=0.5)
    output = model.tensor((1, size, size, 8 * multiplier), scale=0.5)
    model.operator(
        "DEPTHWISE_CONV_2D",
        [source, weights],
        [output],
        padding=SAME,
        stride_h=stride,
        stride_w=stride,
        multiplier=multiplier,
        activation=NONE,
    )
    model.outputs = [output]
    if keep:
        relu = model.tensor((1, side, side, 8), scale=0.5)
        model.operator("RELU", [source], [relu])
        model.outputs.append(relu)
    return model


@pytest.mark.parametrize(
    # Four padded channels; a line holds the last window's word.
    ("stride", "plane_bytes"),
    [(1, 4 * 8 * 12), (2, 4 * 7 * 8)],
)
def test_a_depthwise_convolution_replaces_its_input(stride: int, plane_bytes: int) -> None:
    found = plan(read(depthwise(stride=stride)))

    assert found.offsets[0] == found.offsets[2]
    assert found.arena_bytes == 6 * 6 * 8 + plane_bytes


@pytest.mark.parametrize("side", [12, 25, 48, 96])
def test_a_depthwise_convolution_needs_no_more_than_a_quarter_of_its_input(side: int) -> None:
    found = plan(read(depthwise(side=side)))

    source = side * side * 8
    assert found.offsets[0] == found.offsets[2]
    assert found.arena_bytes - source <= min(max(source // 4, 384), 3072)


def test_a_depthwise_convolution_that_grows_does_not() -> None:
    found = plan(read(depthwise(multiplier=2)))

    assert found.offsets[0] != found.offsets[2]


def test_a_depthwise_convolution_keeps_an_input_that_is_read_again() -> None:
    found = plan(read(depthwise(keep=True)))

    assert found.offsets[0] != found.offsets[2]


def test_an_arena_beyond_any_microcontroller_is_unsupported() -> None:
    model = ModelFactory()
    source = model.input((1, 3, 3, 1), scale=0.5)
    weights = model.constant(np.ones((1, 2, 2, 1), np.int8), scale=0.5)
    model.outputs = [model.tensor((1, 3, 3, 1), scale=0.5)]
    model.operator(
        "DEPTHWISE_CONV_2D",
        [source, weights],
        model.outputs,
        padding=SAME,
        stride_h=1,
        stride_w=1,
        dilation_h=32767,
        dilation_w=32767,
        multiplier=1,
        activation=NONE,
    )
    graph = read(model)

    with pytest.raises(
        UnsupportedModelError,
        match=r"tensor arena: needs an arena that no Cortex-M4 addresses \(expected <= 268435456",
    ):
        plan(graph)


def pointwise(size: int, filters: int) -> Graph:
    model = ModelFactory()
    source = model.input((1, size, size, 4), scale=0.5)
    weights = model.constant(np.ones((filters, 1, 1, 4), np.int8), scale=0.5)
    model.outputs = [model.tensor((1, size, size, filters), scale=0.5)]
    model.operator(
        "CONV_2D",
        [source, weights],
        model.outputs,
        padding=VALID,
        stride_h=1,
        stride_w=1,
        activation=NONE,
    )
    return read(model)


@pytest.mark.parametrize(
    ("size", "columns", "filters"), [(1, 1, 0), (2, 4, 0), (3, 4, 0), (64, 16, 6)]
)
def test_a_convolution_packs_columns_and_keeps_filters_where_there_is_room(
    size: int, columns: int, filters: int
) -> None:
    graph = pointwise(size, 5)
    # A word and twice the depth each; a bias and the depth each.
    scratch = columns * (4 + 2 * 4) + filters * (4 + 4)

    assert kernel_of(graph, graph.operators[0], Optimise.SPEED).scratch_bytes == scratch
