from __future__ import annotations

import pytest
from hypothesis import strategies as st

from tests.harness.kernels.cases import Add, check_operator, quantised
from tests.harness.kernels.windows import add_pooling, areas
from tests.tflite_factory import NONE, VALID, ModelFactory


def add_pool_2d(draw: st.DrawFn, model: ModelFactory) -> None:
    add_pooling(draw, model, areas, quantised(draw))


def add_wide_windows(draw: st.DrawFn, model: ModelFactory) -> None:
    """Around 256 values, more of which an int16 cannot hold the sum of."""
    kernel = draw(st.sampled_from([(16, 16), (17, 16), (1, 256), (257, 1)]))
    depth, details = draw(st.integers(4, 9)), quantised(draw)
    source = model.input((1, *kernel, depth), **details)
    model.outputs.append(model.tensor((1, 1, 1, depth), **details))
    model.operator(
        "AVERAGE_POOL_2D",
        [source],
        model.outputs[-1:],
        padding=VALID,
        stride_h=1,
        stride_w=1,
        filter_h=kernel[0],
        filter_w=kernel[1],
        activation=NONE,
    )


@pytest.mark.parametrize("add", [add_pool_2d, add_wide_windows], ids=lambda add: add.__name__)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add)
