from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from harness.compiler import compile_sources
from harness.oracle import reference_outputs
from tests.harness.kernels.cases import (
    Add,
    check_operator,
    quantised,
    sizes,
)
from tests.host_model import compile_variants
from tests.tflite_factory import ModelFactory


def add_mean(draw: st.DrawFn, model: ModelFactory) -> None:
    _add_reduction(draw, model, "MEAN", rescales=True)


def add_sum(draw: st.DrawFn, model: ModelFactory) -> None:
    _add_reduction(draw, model, "SUM", rescales=True)


def add_extreme(draw: st.DrawFn, model: ModelFactory) -> None:
    op = draw(st.sampled_from(["REDUCE_MAX", "REDUCE_MIN"]))
    _add_reduction(draw, model, op, rescales=False)


def _add_reduction(draw: st.DrawFn, model: ModelFactory, op: str, *, rescales: bool) -> None:
    shape = draw(st.lists(sizes, min_size=1, max_size=5).map(tuple))
    rank = len(shape)
    chosen = draw(st.sets(st.integers(0, rank - 1), min_size=1))
    if {0, 2, 4} == chosen:  # three places
        chosen.add(1)
    axes = [axis - rank * draw(st.booleans()) for axis in chosen]
    if draw(st.booleans()):
        axes.append(axes[0])
    keep = draw(st.booleans())
    kept = tuple(
        1 if axis in chosen else size
        for axis, size in enumerate(shape)
        if keep or axis not in chosen
    )
    details = quantised(draw)
    source = model.input(shape, **details)
    same = not rescales or draw(st.booleans())
    output = model.tensor(kept, **(details if same else quantised(draw)))
    model.outputs.append(output)
    said = np.array(axes, np.int32)
    operands = [source, model.constant(said[0] if len(axes) == 1 else said)]
    model.operator(op, operands, [output], keep_dims=keep)


def add_arg_max(draw: st.DrawFn, model: ModelFactory) -> None:
    shape = draw(st.lists(sizes, min_size=1, max_size=5).map(tuple))
    axis = draw(st.integers(0, len(shape) - 1))
    said = np.array(axis - len(shape) * draw(st.booleans()), np.int32)
    source = model.input(shape, **quantised(draw))
    output = model.tensor((*shape[:axis], *shape[axis + 1 :]), dtype="int32")
    model.outputs.append(output)
    op = draw(st.sampled_from(["ARG_MAX", "ARG_MIN"]))
    model.operator(op, [source, model.constant(said)], [output])


@pytest.mark.parametrize(
    "add", [add_mean, add_sum, add_extreme, add_arg_max], ids=lambda add: add.__name__
)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add, examples=12)


def test_the_largest_sums_are_exact() -> None:
    """Of 2^15 elements at the end of the range furthest from the zero point."""
    model = ModelFactory()
    for zero_point in (-128, 127):
        source = model.input((1, 1 << 15), scale=1.0, zero_point=zero_point)
        for op, scale in (("SUM", 2.0**15), ("SUM", 1e-3), ("MEAN", 1.0)):
            model.outputs.append(model.tensor((1,), scale=scale, zero_point=0))
            axes = model.constant(np.array([1], np.int32))
            model.operator(op, [source, axes], model.outputs[-1:], keep_dims=False)
    data = model.build()
    inputs = [np.full((1, 1 << 15), value, np.int8) for value in (127, -128)]
    expected = reference_outputs(data, inputs)
    for compiled in compile_variants(compile_sources(data, name="sums")).values():
        for got, want in zip(compiled.run(inputs).outputs, expected, strict=True):
            np.testing.assert_array_equal(got, want)
