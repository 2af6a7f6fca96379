from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from harness.compiler import compile_sources
from tests.harness.kernels.cases import (
    Add,
    check_operator,
    quantised,
    quantised_wide,
)
from tests.host_model import check
from tests.tflite_factory import ModelFactory

_sizes = st.one_of(st.integers(1, 7), st.sampled_from([1, 16, 37]))
_far = st.sampled_from([-(2**31), -99, 99, 2**31 - 1])
_steps = st.sampled_from([1, 1, 1, 2, 3, -1, -2, 2**30, -(2**30)])


def add_slice(draw: st.DrawFn, model: ModelFactory) -> None:
    shape = draw(st.lists(_sizes, min_size=1, max_size=5).map(tuple))
    begin = [draw(st.integers(0, size - 1)) for size in shape]
    kept = [
        draw(st.one_of(st.just(size - first), st.integers(1, size - first)))
        for size, first in zip(shape, begin, strict=True)
    ]
    # -1: all that is left
    said = [
        -1 if count == size - first and draw(st.booleans()) else count
        for count, size, first in zip(kept, shape, begin, strict=True)
    ]
    source = model.input(shape, **(details := quantised_wide(draw)))
    output = model.tensor(tuple(kept), **details)
    model.outputs.append(output)
    operands = [model.constant(np.array(values, np.int32)) for values in (begin, said)]
    model.operator("SLICE", [source, *operands], [output])


def add_strided_slice(draw: st.DrawFn, model: ModelFactory) -> None:
    shape = draw(st.lists(_sizes, min_size=1, max_size=4).map(tuple))
    masks = {"begin_mask": 0, "end_mask": 0, "shrink_axis_mask": 0}
    begins, ends, steps = [], [], []
    for axis, size in enumerate(shape):
        index = st.one_of(st.integers(-size, size - 1), _far)
        begins.append(draw(index))
        ends.append(draw(index))
        steps.append(draw(_steps))
        kind = draw(st.sampled_from(["none", *masks, "both"]))
        if kind == "shrink_axis_mask":
            begins[-1], steps[-1] = draw(st.integers(-size, size - 1)), abs(steps[-1] % 3) + 1
        for name in masks:
            if kind == name or (kind == "both" and name != "shrink_axis_mask"):
                masks[name] |= 1 << axis
    values = np.zeros(shape, np.int8)
    taken: list[slice | int] = []
    for axis, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        if masks["shrink_axis_mask"] >> axis & 1:
            taken.append(begin)
            continue
        first = None if masks["begin_mask"] >> axis & 1 else begin
        last = None if masks["end_mask"] >> axis & 1 else end
        taken.append(slice(first, last, step))
    kept = values[tuple(taken)].shape
    if 0 in kept:
        return
    source = model.input(shape, **(details := quantised_wide(draw)))
    output = model.tensor(kept, **details)
    model.outputs.append(output)
    operands = [model.constant(np.array(values, np.int32)) for values in (begins, ends, steps)]
    model.operator("STRIDED_SLICE", [source, *operands], [output], **masks)


def add_gather(draw: st.DrawFn, model: ModelFactory) -> None:
    shape = draw(st.lists(_sizes, min_size=1, max_size=4).map(tuple))
    axis, details = draw(st.integers(0, len(shape) - 1)), quantised(draw)
    chosen = draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=9))
    positions = np.array(chosen, np.int32)
    if draw(st.booleans()):
        positions = draw(st.sampled_from([positions[0], positions[None]]))
    source = model.input(shape, **details)
    output = model.tensor((*shape[:axis], *positions.shape, *shape[axis + 1 :]), **details)
    model.outputs.append(output)
    said = axis - len(shape) * draw(st.booleans())
    operands = [source, model.constant(positions)]
    model.operator("GATHER", operands, [output], axis=said, batch_dims=0)


@pytest.mark.parametrize(
    "add", [add_slice, add_strided_slice, add_gather], ids=lambda add: add.__name__
)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add, examples=15)


def test_a_slice_that_is_not_needed_before_takes_the_place_of_its_input() -> None:
    """Long runs that overlap themselves."""
    model = ModelFactory()
    source = model.input((3, 100, 7), scale=0.5)
    known, details = source, {"scale": 0.5}
    for begin in (1, 5, 16):
        shape = model.tensors[known].shape
        first, sizes = [0, begin, 0], [shape[0], shape[1] - begin, shape[2]]
        operands = [model.constant(np.array(values, np.int32)) for values in (first, sizes)]
        output = model.tensor(tuple(sizes), **details)
        model.operator("SLICE", [known, *operands], [output])
        known = output
    model.outputs.append(known)
    check(model.build())
    assert compile_sources(model.build(), name="slices").plan.arena_bytes == 3 * 100 * 7
