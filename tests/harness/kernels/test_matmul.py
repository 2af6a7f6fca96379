from __future__ import annotations

import pytest
from hypothesis import strategies as st

from tests.harness.kernels.cases import (
    Add,
    activations,
    check_operator,
    filters,
    quantised,
    zero_points,
)
from tests.tflite_factory import ModelFactory


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


@pytest.mark.parametrize("add", [add_fully_connected], ids=lambda add: add.__name__)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add)
