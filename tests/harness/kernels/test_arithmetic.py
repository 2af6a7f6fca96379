from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.harness.kernels.cases import (
    Add,
    activations,
    check_operator,
    quantised,
    sizes,
    wild_scales,
    zero_points,
)
from tests.tflite_factory import NONE, ModelFactory


def add_add(draw: st.DrawFn, model: ModelFactory) -> None:
    shape = draw(st.lists(sizes, min_size=1, max_size=4).map(tuple))
    first = model.input(shape, **quantised(draw))
    second = first if draw(st.booleans()) else model.input(shape, **quantised(draw))
    output = model.tensor(shape, **quantised(draw))
    model.outputs.append(output)
    model.operator("ADD", [first, second], [output], activation=draw(activations))


def add_wild_add(draw: st.DrawFn, model: ModelFactory) -> None:
    first_scale, second_scale = draw(wild_scales), draw(wild_scales)
    count = draw(st.integers(1, 99))
    first = model.input((count,), scale=first_scale, zero_point=draw(zero_points))
    second = model.input((count,), scale=second_scale, zero_point=draw(zero_points))
    scale = draw(st.sampled_from([1.0, 2.0, 1 / 300, 1e3])) * max(first_scale, second_scale)
    scale = float(np.clip(scale, 1e-45, 3e38))
    output = model.tensor((count,), scale=scale, zero_point=draw(zero_points))
    model.outputs.append(output)
    model.operator("ADD", [first, second], [output], activation=NONE)


@pytest.mark.parametrize("add", [add_add, add_wild_add], ids=lambda add: add.__name__)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add)
