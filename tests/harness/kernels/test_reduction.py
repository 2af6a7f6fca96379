from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.harness.kernels.cases import (
    Add,
    check_operator,
    quantised,
    sizes,
)
from tests.tflite_factory import ModelFactory


def add_mean(draw: st.DrawFn, model: ModelFactory) -> None:
    shape = draw(st.lists(sizes, min_size=2, max_size=4).map(tuple))
    first = draw(st.integers(0, len(shape) - 1))
    last = draw(st.integers(first, len(shape) - 1))
    axes = list(range(first, last + 1))
    if draw(st.booleans()):
        axes = [axis - len(shape) for axis in axes]
    keep = draw(st.booleans())
    reduced = [1 if first <= i <= last else n for i, n in enumerate(shape)]
    kept = tuple(reduced) if keep else tuple(
        n for i, n in enumerate(shape) if not first <= i <= last
    )  # fmt: skip
    details = quantised(draw)
    source = model.input(shape, **details)
    output = model.tensor(kept, **(details if draw(st.booleans()) else quantised(draw)))
    model.outputs.append(output)
    model.operator(
        "MEAN", [source, model.constant(np.array(axes, np.int32))], [output], keep_dims=keep
    )


@pytest.mark.parametrize("add", [add_mean], ids=lambda add: add.__name__)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add)
