"""The one walk: every genotype lowers for every input, with the shapes and joins of µNAS."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.lowering import (
    Add,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Input,
    Op,
    Pad,
    Pool2D,
    Shape,
)
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

SHAPES = st.tuples(st.integers(1, 96), st.integers(1, 96), st.integers(1, 3))


def body(genotype: MunasGenotype, shape: Shape = (28, 28, 1)) -> list[Op]:
    """The operators between the Input and the Flatten."""
    ops = lower(genotype, shape, 10)
    (end,) = [index for index, op in enumerate(ops) if isinstance(op, Flatten)]
    return list(ops[1:end])


@settings(max_examples=300)
@given(genotypes(), SHAPES, st.integers(2, 100))
def test_every_genotype_lowers_for_every_input(
    genotype: MunasGenotype, shape: Shape, classes: int
) -> None:
    ops = lower(genotype, shape, classes)

    assert all(min(op.output_shape) >= 1 for op in ops)
    assert ops[0] == Input("input", shape)
    assert ops[-1].output_shape == (classes,)


@settings(max_examples=300)
@given(genotypes(), SHAPES)
def test_the_operators_fit_together(genotype: MunasGenotype, shape: Shape) -> None:
    ops = lower(genotype, shape, 10)

    made: dict[str, Shape] = {}
    used: set[str] = set()
    for op in ops:
        assert op.name not in made, "names are unique"
        assert all(name in made for name in op.inputs), "inputs come first"
        if isinstance(op, Add):
            assert [made[name] for name in op.inputs] == [op.output_shape] * 2
        elif not isinstance(op, Input):
            assert op.input_shape == made[op.inputs[0]] and len(op.inputs) == 1
        made[op.name] = op.output_shape
        used.update(op.inputs)
    assert set(made) - used == {"classifier"}, "nothing is computed in vain"


@settings(max_examples=300)
@given(genotypes(), SHAPES)
def test_each_operator_follows_its_own_arithmetic(genotype: MunasGenotype, shape: Shape) -> None:
    for op in lower(genotype, shape, 10):
        match op:
            case Conv2D() | DepthwiseConv2D():
                assert 1 <= op.kernel[0] == op.kernel[1] <= min(op.input_shape[:2])
                for axis in (0, 1):
                    # positions 0, stride, ... whose window still lies inside
                    last = op.input_shape[axis] - op.kernel[axis]
                    inside = range(0, last + 1, op.stride[axis])
                    assert op.output_shape[axis] == len(inside)
                if isinstance(op, DepthwiseConv2D):
                    assert op.output_shape[2] == op.input_shape[2]
            case Pool2D():
                assert op.size != (1, 1), "does nothing"
                for axis in (0, 1):
                    assert op.output_shape[axis] == op.input_shape[axis] // op.size[axis]
            case Pad():
                assert op.input_shape != op.output_shape
                assert all(a <= b for a, b in zip(op.input_shape, op.output_shape, strict=True))
            case Flatten():
                height, width, channels = op.input_shape
                assert op.output_shape == (height * width * channels,)


def test_a_plain_network_operator_by_operator() -> None:
    genotype = network(
        series(conv(8, 5, 2, batch_norm=True), depthwise(3, relu=False)),
        series(pointwise(16, pre_pool=True)),
        pooling=Pooling("average", 4),
        dense=(32, 20),
    )

    assert lower(genotype, (28, 28, 1), 10) == (
        Input("input", (28, 28, 1)),
        Conv2D("block0_layer0", ("input",), (28, 28, 1), (12, 12, 8), (5, 5), (2, 2), True, True),
        DepthwiseConv2D(
            "block0_layer1",
            ("block0_layer0",),
            (12, 12, 8),
            (10, 10, 8),
            (3, 3),
            (1, 1),
            False,
            False,
        ),
        Pool2D("block1_layer0_pool", ("block0_layer1",), (10, 10, 8), (5, 5, 8), "max", (2, 2)),
        Conv2D(
            "block1_layer0",
            ("block1_layer0_pool",),
            (5, 5, 8),
            (5, 5, 16),
            (1, 1),
            (1, 1),
            False,
            True,
        ),
        Pool2D("head_pool", ("block1_layer0",), (5, 5, 16), (1, 1, 16), "average", (4, 4)),
        Flatten("flatten", ("head_pool",), (1, 1, 16), (16,)),
        Dense("dense0", ("flatten",), (16,), (32,), True),
        Dense("dense1", ("dense0",), (32,), (20,), True),
        Dense("classifier", ("dense1",), (20,), (10,), False),
    )  # fmt: skip


def test_a_kernel_is_clamped_to_the_smaller_side() -> None:
    (op,) = body(network(series(conv(2, 7))), (9, 4, 3))

    assert isinstance(op, Conv2D)
    assert (op.kernel, op.output_shape) == ((4, 4), (6, 1, 2))


def test_a_pre_pool_is_clamped_and_left_out_on_a_single_pixel() -> None:
    genotype = network(series(pointwise(2, pre_pool=True), pointwise(3, pre_pool=True)))

    first, second, third = body(genotype, (1, 3, 1))

    assert isinstance(first, Pool2D) and first.size == (1, 2)
    assert isinstance(second, Conv2D) and second.output_shape == (1, 1, 2)
    assert isinstance(third, Conv2D) and third.inputs == (second.name,)


def test_the_final_pooling_is_clamped() -> None:
    *_, pool = body(network(series(pointwise(2)), pooling=Pooling("max", 6)), (3, 5, 1))

    assert isinstance(pool, Pool2D)
    assert (pool.size, pool.output_shape) == ((3, 5), (1, 1, 2))


def test_a_branch_starts_from_the_input_of_the_last_series_block() -> None:
    genotype = network(series(pointwise(4)), series(pointwise(6)), branch(pointwise(None)))

    first, second, third, joined = body(genotype)

    assert second.inputs == third.inputs == (first.name,)
    assert third.output_shape == second.output_shape == (28, 28, 6)
    assert joined == Add("head_add1", (second.name, third.name), (28, 28, 6))


def test_a_branch_of_the_first_block_starts_from_the_image() -> None:
    first, second, joined = body(network(series(pointwise(4)), branch(conv(None, 3, 2))))[:3]

    assert first.inputs == second.inputs == ("input",)


def test_a_depthwise_end_of_a_branch_is_matched_by_a_plain_1x1_convolution() -> None:
    genotype = network(series(pointwise(4)), branch(depthwise(3, batch_norm=True)))

    _, end, match, *_ = body(genotype)

    assert isinstance(end, DepthwiseConv2D) and end.output_shape == (26, 26, 1)
    assert match == Conv2D(
        "block1_match", (end.name,), (26, 26, 1), (26, 26, 4), (1, 1), (1, 1), False, False
    )


def test_outputs_are_joined_before_the_next_series_block() -> None:
    genotype = network(
        series(pointwise(4)), branch(pointwise(None)), branch(pointwise(None)), series(conv(5))
    )

    a, b, c, add1, add2, after = body(genotype)

    assert add1.inputs == (a.name, b.name)
    assert add2.inputs == (add1.name, c.name), "three outputs are added in a chain"
    assert after.inputs == (add2.name,)


def test_larger_maps_are_pooled_by_the_rounded_ratio_then_smaller_ones_padded() -> None:
    """28x28 beside 11x11: 28 / 11 rounds to 3, 28 // 3 is 9, which is padded up to 11."""
    genotype = network(series(pointwise(4)), branch(conv(None, 7, 2)))

    large, small, pool, pad, joined = body(genotype)

    assert (large.output_shape, small.output_shape) == ((28, 28, 4), (11, 11, 4))
    assert pool == Pool2D("head_shrink0", (large.name,), (28, 28, 4), (9, 9, 4), "max", (3, 3))
    assert pad == Pad("head_pad0", (pool.name,), (9, 9, 4), (11, 11, 4))
    assert joined == Add("head_add1", (pad.name, small.name), (11, 11, 4))


def test_maps_within_half_a_ratio_are_only_padded() -> None:
    large, small, pad, joined = body(network(series(pointwise(4)), branch(conv(None, 3))))

    assert (large.output_shape, small.output_shape) == ((28, 28, 4), (26, 26, 4))
    assert pad == Pad("head_pad1", (small.name,), (26, 26, 4), (28, 28, 4))
    assert joined == Add("head_add1", (large.name, pad.name), (28, 28, 4))


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((28, 28), 10, r"input shape must be (height, width, channels), got (28, 28)"),
        ((28, 0, 1), 10, r"input shape must be (height, width, channels), got (28, 0, 1)"),
        ((28, 28, 1), 1, "a classifier needs at least 2 classes, got 1"),
    ],
)
def test_impossible_problems_are_refused(shape: Shape, classes: int, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        lower(network(series(conv())), shape, classes)

    assert str(caught.value) == message
