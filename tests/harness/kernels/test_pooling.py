from __future__ import annotations

import pytest
from hypothesis import strategies as st

from tests.harness.kernels.cases import (
    Add,
    activations,
    channels,
    check_operator,
    output_size,
    quantised,
    sizes,
)
from tests.tflite_factory import SAME, VALID, ModelFactory


def add_pool_2d(draw: st.DrawFn, model: ModelFactory) -> None:
    padding, height, width = draw(st.sampled_from([SAME, VALID])), draw(sizes), draw(sizes)
    window = draw(st.tuples(sizes, sizes))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    found = output_size(model, (height, width), window, stride, (1, 1), padding)
    if found is None:
        return
    depth, details = draw(channels), quantised(draw)
    source = model.input((1, height, width, depth), **details)
    output = model.tensor((1, *found, depth), **details)
    model.outputs.append(output)
    model.operator(
        draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"])),
        [source],
        [output],
        padding=padding,
        stride_h=stride[0],
        stride_w=stride[1],
        filter_h=window[0],
        filter_w=window[1],
        activation=draw(activations),
    )


@pytest.mark.parametrize("add", [add_pool_2d], ids=lambda add: add.__name__)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add)
