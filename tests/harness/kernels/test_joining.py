from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.harness.kernels.cases import (
    Add,
    check_operator,
    quantised,
    quantised_wide,
)
from tests.tflite_factory import NONE, ModelFactory

_shapes = st.lists(st.integers(1, 6), min_size=1, max_size=6).map(tuple)
_widths = st.one_of(st.integers(1, 9), st.sampled_from([64, 95, 96, 97, 200]))


def _axis(draw: st.DrawFn, rank: int) -> tuple[int, int]:
    """(position, how the file says it)"""
    axis = draw(st.integers(0, rank - 1))
    return axis, axis - rank * draw(st.booleans())


def _with(shape: tuple[int, ...], axis: int, *sizes: int) -> tuple[int, ...]:
    return (*shape[:axis], *sizes, *shape[axis + 1 :])


def add_concatenation(draw: st.DrawFn, model: ModelFactory) -> None:
    shape, details = draw(_shapes), quantised(draw)
    axis, said = _axis(draw, len(shape))
    sizes = draw(st.lists(_widths, min_size=1, max_size=10))
    operands = []
    for size in sizes:
        if operands and draw(st.sampled_from([0, 0, 1])) and size == sizes[0]:
            operands.append(operands[0])
        elif draw(st.sampled_from([0, 0, 1])):
            values = np.random.default_rng(size).integers(
                -128, 128, _with(shape, axis, size), dtype=np.int8
            )
            operands.append(model.constant(values, **details))
        else:
            operands.append(model.input(_with(shape, axis, size), **details))
    if all(index not in model.inputs for index in operands):
        return
    output = model.tensor(_with(shape, axis, sum(sizes)), **details)
    model.outputs.append(output)
    model.operator("CONCATENATION", operands, [output], axis=said, activation=NONE)


def add_split(draw: st.DrawFn, model: ModelFactory) -> None:
    shape, details = draw(_shapes), quantised_wide(draw)
    axis, said = _axis(draw, len(shape))
    size, count = draw(_widths), draw(st.integers(1, 5))
    source = model.input(_with(shape, axis, size * count), **details)
    outputs = [model.tensor(_with(shape, axis, size), **details) for _ in range(count)]
    model.outputs.extend(outputs)
    where = np.array(said, np.int32)
    at = model.constant(where if draw(st.booleans()) else where.reshape(1))
    model.operator("SPLIT", [at, source], outputs, count=count)


def add_split_v(draw: st.DrawFn, model: ModelFactory) -> None:
    shape, details = draw(_shapes), quantised_wide(draw)
    axis, said = _axis(draw, len(shape))
    sizes = draw(st.lists(_widths, min_size=1, max_size=5))
    source = model.input(_with(shape, axis, sum(sizes)), **details)
    outputs = [model.tensor(_with(shape, axis, size), **details) for size in sizes]
    # Mostly all are outputs; the others are written and read by nobody.
    model.outputs.extend(outputs[draw(st.sampled_from([0, 0, len(sizes) - 1])) :])
    if draw(st.booleans()):
        sizes[draw(st.integers(0, len(sizes) - 1))] = -1
    operands = [source, model.constant(np.array(sizes, np.int32))]
    operands.append(model.constant(np.array(said, np.int32)))
    model.operator("SPLIT_V", operands, outputs, count=len(sizes))


def add_pack(draw: st.DrawFn, model: ModelFactory) -> None:
    shape = draw(st.one_of(st.just(()), _shapes.filter(lambda s: len(s) < 6)))
    axis, said = _axis(draw, len(shape) + 1)
    count = draw(st.integers(1, 5))
    details = quantised_wide(draw)
    operands = [model.input(shape, **details) for _ in range(count)]
    output = model.tensor((*shape[:axis], count, *shape[axis:]), **details)
    model.outputs.append(output)
    model.operator("PACK", operands, [output], axis=said, count=count)


def add_unpack(draw: st.DrawFn, model: ModelFactory) -> None:
    shape, details = draw(_shapes), quantised_wide(draw)
    axis, said = _axis(draw, len(shape))
    source = model.input(shape, **details)
    outputs = [model.tensor(_with(shape, axis), **details) for _ in range(shape[axis])]
    model.outputs.extend(outputs)
    model.operator("UNPACK", [source], outputs, axis=said, count=shape[axis])


@pytest.mark.parametrize(
    "add",
    [add_concatenation, add_split, add_split_v, add_pack, add_unpack],
    ids=lambda add: add.__name__,
)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add, examples=8)
