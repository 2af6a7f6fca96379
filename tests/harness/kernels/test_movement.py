from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.harness.kernels.cases import (
    Add,
    check_operator,
    quantised,
    quantised_wide,
    sizes,
)
from tests.host_model import check
from tests.movement_network import movement_network
from tests.tflite_factory import ModelFactory


def add_reshape(draw: st.DrawFn, model: ModelFactory) -> None:
    height, width, details = draw(sizes), draw(sizes), quantised(draw)
    source = model.input((1, height, width), **details)
    output = model.tensor((height * width,), **details)
    model.outputs.append(output)
    shape = model.constant(np.array([height * width], np.int32))
    model.operator("RESHAPE", [source, shape] if draw(st.booleans()) else [source], [output])


def add_squeeze(draw: st.DrawFn, model: ModelFactory) -> None:
    shape = draw(st.lists(st.sampled_from([1, 1, 2, 5]), min_size=1, max_size=6).map(tuple))
    details = quantised(draw)
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    chosen = sorted(draw(st.sets(st.sampled_from(ones)))) if ones else []
    gone = chosen or ones  # none said: all
    source = model.input(shape, **details)
    kept = tuple(size for axis, size in enumerate(shape) if axis not in gone)
    output = model.tensor(kept, **details)
    model.outputs.append(output)
    axes = [axis - len(shape) * draw(st.booleans()) for axis in chosen]
    model.operator("SQUEEZE", [source], [output], axes=axes)


def add_expand_dims(draw: st.DrawFn, model: ModelFactory) -> None:
    shape = draw(st.lists(sizes, min_size=0, max_size=5).map(tuple))
    axis, details = draw(st.integers(0, len(shape))), quantised(draw)
    source = model.input(shape, **details)
    output = model.tensor((*shape[:axis], 1, *shape[axis:]), **details)
    model.outputs.append(output)
    said = np.array(axis - (len(shape) + 1) * draw(st.booleans()), np.int32)
    model.operator("EXPAND_DIMS", [source, model.constant(said)], [output])


def add_transpose(draw: st.DrawFn, model: ModelFactory) -> None:
    lengths = st.one_of(st.integers(1, 5), st.sampled_from([1, 17]))
    shape = draw(st.lists(lengths, min_size=1, max_size=5).map(tuple))
    details = quantised(draw) if len(shape) == 5 else quantised_wide(draw)
    order = draw(st.permutations(range(len(shape))))
    source = model.input(shape, **details)
    output = model.tensor(tuple(shape[axis] for axis in order), **details)
    model.outputs.append(output)
    model.operator("TRANSPOSE", [source, model.constant(np.array(order, np.int32))], [output])


@pytest.mark.parametrize(
    "add",
    [add_reshape, add_squeeze, add_expand_dims, add_transpose],
    ids=lambda add: add.__name__,
)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add, examples=8)


def test_a_network_of_movements_is_bit_exact() -> None:
    check(movement_network())
