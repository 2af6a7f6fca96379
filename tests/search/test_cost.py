"""Costs are exact sums over the lowered operators; peak memory is exact for the walk's order."""

from __future__ import annotations

import math

from hypothesis import given, settings

from search.cost import cost_of, macs_of, model_size_of, peak_memory
from search.evaluation import Cost
from search.lowering import Add, DepthwiseConv2D, Flatten, Op, Pool2D
from search.spaces.munas.genotype import MunasGenotype, Pooling
from search.spaces.munas.lowering import lower
from tests.search.genotypes import (
    branch,
    conv,
    depthwise,
    genotypes,
    network,
    pointwise,
    series,
)


def lowered(genotype: MunasGenotype, side: int = 28, channels: int = 1) -> tuple[Op, ...]:
    return lower(genotype, (side, side, channels), 10)


def test_macs_by_hand() -> None:
    ops = lowered(
        network(series(conv(8, 5, 2), depthwise(3), pointwise(16)), dense=(32,)), channels=3
    )

    assert [macs_of(op) for op in ops] == [
        0,
        12 * 12 * 8 * 5 * 5 * 3,
        10 * 10 * 8 * 3 * 3,
        10 * 10 * 16 * 8,
        0,
        1600 * 32,
        32 * 10,
    ]


def test_model_size_by_hand_counts_int8_weights_and_int32_biases() -> None:
    ops = lowered(
        network(series(conv(8, 5, 2), depthwise(3), pointwise(16)), dense=(32,)), channels=3
    )

    assert [model_size_of(op) for op in ops] == [
        0,
        5 * 5 * 3 * 8 + 4 * 8,
        3 * 3 * 8 + 4 * 8,
        8 * 16 + 4 * 16,
        0,
        1600 * 32 + 4 * 32,
        32 * 10 + 4 * 10,
    ]


def test_poolings_pads_and_additions_cost_no_macs_and_no_weights() -> None:
    genotype = network(
        series(conv(4, pre_pool=True)), branch(conv(None, 7, 2)), pooling=Pooling("max", 2)
    )
    silent = [op for op in lowered(genotype) if type(op).__name__ in ("Pool2D", "Pad", "Add")]

    assert {type(op).__name__ for op in silent} == {"Pool2D", "Pad", "Add"}
    assert all(macs_of(op) == model_size_of(op) == 0 for op in silent)


def test_cost_of_sums_up() -> None:
    ops = lowered(network(series(pointwise(2)), dense=(10,)), side=4)

    assert cost_of(ops) == Cost(
        macs=16 * 2 + 32 * 10 + 10 * 10,
        model_size_bytes=(2 + 8) + (320 + 40) + (100 + 40),
        peak_memory_bytes=16 + 32,
        memory_floor_bytes=32,
    )


def test_peak_memory_of_a_chain_is_its_largest_neighbouring_pair() -> None:
    ops = lowered(network(series(pointwise(3), pointwise(9), pointwise(2))), side=10)

    assert peak_memory(ops) == 100 * (3 + 9)


def test_flatten_takes_no_memory() -> None:
    # image 16, map 16 * 20 = 320, dense 256: the peak is map + dense, not map twice
    ops = lowered(network(series(pointwise(20)), dense=(256,)), side=4)

    assert peak_memory(ops) == 320 + 256


def test_poolings_and_depthwise_convolutions_may_write_over_their_input() -> None:
    ops = lowered(network(series(depthwise(3), conv(1, pre_pool=True)), dense=(10,)), side=20)

    assert peak_memory(ops) == 400


def test_what_is_needed_later_is_not_written_over() -> None:
    # image 100 | a = 400 | depthwise of a = 64 * 4 beside a, which the branch still needs
    ops = lowered(
        network(series(pointwise(4)), series(depthwise(3)), branch(pointwise(None))), side=10
    )

    assert peak_memory(ops) == 400 + 256 + 400


def test_a_branch_keeps_its_start_and_the_waiting_output_alive() -> None:
    # image 100 | a = 400 | b = 400 (from a) | c = 400 (from a), while b waits | a dies | add
    ops = lowered(
        network(series(pointwise(4)), series(pointwise(4)), branch(pointwise(None))), side=10
    )

    assert peak_memory(ops) == 400 + 400 + 400, "the addition needs no third buffer"


def brute_force_peak(ops: tuple[Op, ...]) -> int:
    """At each step: what was made by then and is needed then or later, counted from the
    definition."""
    source = {op.name: op.name for op in ops}
    for op in ops:
        if isinstance(op, Flatten):
            source[op.name] = source[op.inputs[0]]
    size = {op.name: math.prod(op.output_shape) for op in ops}
    peak = 0
    for step, op in enumerate(ops):
        later = {source[name] for after in ops[step + 1 :] for name in after.inputs}
        made = {source[before.name] for before in ops[:step]}
        needed = {source[name] for name in op.inputs} | (made & later)
        total = sum(size[name] for name in needed)
        if isinstance(op, Add | DepthwiseConv2D | Pool2D):
            dying = [size[name] for name in op.inputs if source[name] not in later]
            total += max(0, size[op.name] - max(dying, default=0))
        elif not isinstance(op, Flatten):
            total += size[op.name]
        peak = max(peak, total)
    return peak


@settings(max_examples=200)
@given(genotypes())
def test_peak_memory_is_what_the_definition_says(genotype: MunasGenotype) -> None:
    ops = lowered(genotype)

    assert peak_memory(ops) == brute_force_peak(ops)


@settings(max_examples=100)
@given(genotypes())
def test_no_order_goes_below_the_memory_floor(genotype: MunasGenotype) -> None:
    cost = cost_of(lowered(genotype))

    assert 0 < cost.memory_floor_bytes <= cost.peak_memory_bytes


def test_the_memory_floor_is_the_largest_operator_alone() -> None:
    ops = lowered(
        network(series(pointwise(4)), series(pointwise(4)), branch(pointwise(None))), side=10
    )

    assert cost_of(ops).memory_floor_bytes == 400 + 400
