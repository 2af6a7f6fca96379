from __future__ import annotations

import pytest
from hypothesis import strategies as st

from tests.harness.kernels.cases import (
    Add,
    check_operator,
    quantised,
    scales,
    zero_points,
)
from tests.tflite_factory import ModelFactory


def add_softmax(draw: st.DrawFn, model: ModelFactory) -> None:
    rows, depth = draw(st.integers(1, 3)), draw(st.integers(1, 30))
    source = model.input((rows, depth), scale=draw(scales), zero_point=draw(zero_points))
    output = model.tensor((rows, depth), scale=1 / 256, zero_point=-128)
    model.outputs.append(output)
    beta = draw(st.sampled_from([1.0, 0.1, 0.3, 7.5]))
    model.operator("SOFTMAX", [source], [output], beta=beta)


def add_elementwise(draw: st.DrawFn, model: ModelFactory) -> None:
    op = draw(st.sampled_from(["RELU", "RELU6", "QUANTIZE"]))
    shape, details = (1, draw(st.integers(1, 200))), quantised(draw)
    source = model.input(shape, **details)
    output = model.tensor(shape, **(details if op == "RELU6" else quantised(draw)))
    model.outputs.append(output)
    model.operator(op, [source], [output])


@pytest.mark.parametrize("add", [add_softmax, add_elementwise], ids=lambda add: add.__name__)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add)
