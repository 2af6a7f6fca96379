from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from harness.codegen.arithmetic import quantise_multiplier
from tests.harness.kernels.cases import (
    Add,
    activations,
    check_operator,
    filters,
    quantised,
    seeds,
    zero_points,
)
from tests.host_model import check
from tests.tflite_factory import NONE, ModelFactory


def add_fully_connected(draw: st.DrawFn, model: ModelFactory) -> None:
    rows = draw(st.integers(1, 6))
    depth = draw(st.one_of(st.integers(1, 40), st.integers(41, 150)))
    count = draw(st.integers(1, 11))
    source_details = quantised(draw)
    source = model.input((rows, depth), **source_details)
    operands, scale = filters(draw, model, (count, depth), 0, source_details["scale"])
    output = model.tensor((rows, count), scale=scale, zero_point=draw(zero_points))
    model.outputs.append(output)
    model.operator("FULLY_CONNECTED", [source, *operands], [output], activation=draw(activations))


def add_batch_matmul(draw: st.DrawFn, model: ModelFactory) -> None:
    """Batches that are equal, broadcast, or missing; either matrix constant or transposed."""
    rng = np.random.default_rng(draw(seeds))
    rows, depth, columns = (
        draw(st.integers(1, 7)),
        draw(st.integers(1, 20)),
        draw(st.integers(1, 7)),
    )
    batch = draw(st.lists(st.integers(1, 3), max_size=3))
    adjoint = draw(st.booleans()), draw(st.booleans())
    constant = draw(st.sampled_from([None, None, 0, 1]))
    details = [quantised(draw), quantised(draw)]
    operands = []
    for position, matrix in enumerate([(rows, depth), (depth, columns)]):
        shape = tuple(1 if draw(st.integers(0, 3)) == 0 else size for size in batch)
        shape = shape[draw(st.sampled_from([0, 0, len(shape)])) :]
        shape += matrix[::-1] if adjoint[position] else matrix
        operands.append(
            model.constant(rng.integers(-128, 128, shape, dtype=np.int8), **details[position])
            if position == constant
            else model.input(shape, **details[position])
        )
    batches = [model.tensors[operand].shape[:-2] for operand in operands]
    spread = (
        details[0]["scale"] * details[1]["scale"] * 127 * 20 * 10 ** draw(st.floats(-3.0, 3.0))
    )
    output = model.tensor(
        (*np.broadcast_shapes(*batches), rows, columns), scale=spread, zero_point=draw(zero_points)
    )
    model.outputs.append(output)
    model.operator("BATCH_MATMUL", operands, [output], adjoint_x=adjoint[0], adjoint_y=adjoint[1])


@pytest.mark.parametrize(
    "add", [add_fully_connected, add_batch_matmul], ids=lambda add: add.__name__
)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add)


def test_scales_are_multiplied_in_double_precision() -> None:
    """Sums whose rounding the last bit of a single-precision product of the scales would turn."""
    rng = np.random.default_rng(0)
    model = ModelFactory()
    while len(model.operators) < 3:
        a, b = (float(x) for x in rng.uniform(0.01, 0.1, 2).astype(np.float32))
        output = float(np.float32(a * b * 2**22))
        exact, rounded = (
            quantise_multiplier(product / output, where="here")[0]
            for product in (a * b, float(np.float32(a * b)))
        )
        sums = rng.integers(-(1 << 29), 1 << 29, 1 << 17)
        # The ratio of scales is 2^-22, next to which both multipliers round the same way mostly.
        turned = sums[(sums * exact + (1 << 52) >> 53) != (sums * rounded + (1 << 52) >> 53)]
        if not len(turned):
            continue
        source = model.input((1, 1), scale=a)
        weights = model.constant(np.zeros((len(turned), 1), np.int8), scale=b)
        bias = model.constant(turned.astype(np.int32), scale=a * b)
        model.outputs.append(model.tensor((1, len(turned)), scale=output))
        operands = [source, weights, bias]
        model.operator("FULLY_CONNECTED", operands, model.outputs[-1:], activation=NONE)
    check(model.build())
