from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.harness.kernels.cases import (
    Add,
    check_operator,
    quantised,
)
from tests.tflite_factory import ModelFactory


def add_pad(draw: st.DrawFn, model: ModelFactory) -> None:
    outer = draw(st.lists(st.integers(1, 4), max_size=4).map(tuple))
    shape = (*outer, draw(st.integers(1, 19)))
    amounts = st.sampled_from([0, 0, 1, 3])
    paddings = np.array([[draw(amounts) for _ in "ab"] for _ in shape], np.int32)
    details = quantised(draw)
    source = model.input(shape, **details)
    padded = tuple(int(n) for n in np.array(shape) + paddings.sum(axis=1))
    output = model.tensor(padded, **details)
    operands = [source, model.constant(paddings)]
    if draw(st.booleans()):
        value = np.array([draw(st.integers(-128, 127))], np.int8)
        operands.append(model.constant(value, **details))
    model.outputs.append(output)
    model.operator("PADV2" if len(operands) == 3 else "PAD", operands, [output])


def add_mirror_pad(draw: st.DrawFn, model: ModelFactory) -> None:
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6).map(tuple))
    mode = draw(st.sampled_from([0, 1]))
    most = 1 - mode  # the reflection leaves the outermost out
    # Two axes anywhere, or three side by side.
    first, second = draw(st.integers(0, len(shape) - 1)), draw(st.integers(0, len(shape) - 1))
    chosen = draw(st.sampled_from([{first, second}, {first - 1, first, first + 1}]))
    paddings = np.array(
        [
            [draw(st.integers(0, size - most)) if axis in chosen else 0 for _ in "ab"]
            for axis, size in enumerate(shape)
        ],
        np.int32,
    )
    details = quantised(draw)
    source = model.input(shape, **details)
    padded = tuple(int(n) for n in np.array(shape) + paddings.sum(axis=1))
    if np.prod(padded) > 20_000:
        model.inputs.pop()
        return
    output = model.tensor(padded, **details)
    model.outputs.append(output)
    model.operator("MIRROR_PAD", [source, model.constant(paddings)], [output], mode=mode)


@pytest.mark.parametrize("add", [add_pad, add_mirror_pad], ids=lambda add: add.__name__)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add, examples=12)
