from __future__ import annotations

import pytest
from hypothesis import strategies as st

from tests.harness.kernels.cases import (
    Add,
    check_operator,
    quantised,
)
from tests.tflite_factory import ModelFactory


def add_float_border(draw: st.DrawFn, model: ModelFactory) -> None:
    shape, details = (1, draw(st.integers(1, 200))), quantised(draw)
    to_int8 = draw(st.booleans())
    source = model.input(shape, **({"dtype": "float32"} if to_int8 else details))
    output = model.tensor(shape, **(details if to_int8 else {"dtype": "float32"}))
    model.outputs.append(output)
    model.operator("QUANTIZE" if to_int8 else "DEQUANTIZE", [source], [output])


@pytest.mark.parametrize("add", [add_float_border], ids=lambda add: add.__name__)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add)
