"""Tensors that live at the same time never share a byte, and no byte of the arena is idle."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.errors import UnsupportedModelError
from harness.kernels import kernel_of
from harness.options import Optimise
from harness.planner import (
    Group,
    Region,
    group_regions,
    lower_bound,
    place_groups,
    plan,
)
from harness.tflite import Graph, read_graph
from tests.tflite_factory import NONE, SAME, VALID, ModelFactory, small_network


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


@st.composite
def groups(draw: st.DrawFn) -> list[Group]:
    found: list[Group] = []
    for number in range(draw(st.integers(1, 14))):
        regions = []
        first = draw(st.integers(-1, 20))
        for member in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
            last = first + draw(st.integers(0, 6))
            size = draw(st.integers(1, 300))
            regions.append(Region(("tensor", 10 * number + member), size, first, last))
            first = last
        found.append(tuple(regions))
    return found


@given(groups())
def test_regions_that_live_together_do_not_overlap(found: list[Group]) -> None:
    starts, end = place_groups(found)

    for (i, first), (j, second) in combinations(enumerate(found), 2):
        for a in first:
            for b in second:
                apart = starts[i] + a.size <= starts[j] or starts[j] + b.size <= starts[i]
                assert apart or not a.meets(b)
    assert all(start % 4 == 0 for start in starts)
    assert end == max(
        start + region.size for start, group in zip(starts, found, strict=True) for region in group
    )
    assert end >= lower_bound(found)


@given(groups())
def test_placing_twice_gives_the_same_addresses(found: list[Group]) -> None:
    assert place_groups(found) == place_groups(list(found))


@given(st.lists(st.integers(1, 100).map(lambda n: 4 * n), min_size=1, max_size=8))
@example([8, 252, 256, 256, 8, 256, 256, 4])  # 516 bytes for a bound of 512
def test_a_chain_is_placed_near_its_lower_bound(sizes: list[int]) -> None:
    found = [(Region(("tensor", i), size, i - 1, i),) for i, size in enumerate(sizes)]

    assert place_groups(found)[1] <= lower_bound(found) * 9 / 8


def test_the_plan_does_not_depend_on_the_order_of_dicts() -> None:
    graph = read_graph(small_network(), where="net")
    first, second = plan(graph), plan(graph)

    assert first == second
    assert list(first.offsets) == sorted(first.offsets)


def test_operators_keep_the_order_of_the_file() -> None:
    graph = read_graph(small_network(), where="net")

    assert plan(graph).order == tuple(range(len(graph.operators)))


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


def depthwise(*, stride: int = 1, multiplier: int = 1, keep: bool = False) -> ModelFactory:
    model = ModelFactory()
    source = model.input((1, 6, 6, 8), scale=0.5)
    size = 6 // stride
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
        relu = model.tensor((1, 6, 6, 8), scale=0.5)
        model.operator("RELU", [source], [relu])
        model.outputs.append(relu)
    return model


@pytest.mark.parametrize(
    # Rows of the padded channel times their length, which holds the last window's word.
    ("stride", "plane_bytes"),
    [(1, 8 * 12), (2, 7 * 8)],
)
def test_a_depthwise_convolution_replaces_its_input(stride: int, plane_bytes: int) -> None:
    found = plan(read(depthwise(stride=stride)))

    assert found.offsets[0] == found.offsets[2] == 0
    assert found.arena_bytes == 6 * 6 * 8 + plane_bytes


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


def test_scratch_memory_is_alive_with_its_operator_only() -> None:
    graph = read_graph(small_network(), where="net")
    scratch = [
        r for group in group_regions(graph, Optimise.SPEED) for r in group if r.key[0] == "scratch"
    ]

    assert {r.key[1] for r in scratch} == {0, 1}  # both convolutions; depth 96 needs none
    assert all(r.first == r.last == r.key[1] for r in scratch)
    assert scratch[0].size == 2 * 28  # two columns of 3 * 3 * 3, rounded up


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


@pytest.mark.parametrize(("size", "filters", "scratch"), [(3, 5, 2 * 4), (3, 1, 1 * 4), (1, 5, 0)])
def test_a_pointwise_convolution_keeps_two_filters_at_hand(
    size: int, filters: int, scratch: int
) -> None:
    graph = pointwise(size, filters)

    assert kernel_of(graph, graph.operators[0], Optimise.SPEED).scratch_bytes == scratch
