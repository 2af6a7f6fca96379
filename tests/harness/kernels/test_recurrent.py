from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.harness.kernels.cases import (
    Add,
    activations,
    check_operator,
    quantised,
    scales,
    seeds,
    zero_points,
)
from tests.tflite_factory import ModelFactory


def add_svdf(draw: st.DrawFn, model: ModelFactory) -> None:
    """State of both types, which features and outputs overflow from never to mostly."""
    rng = np.random.default_rng(draw(seeds))
    batch, depth = draw(st.integers(1, 2)), draw(st.integers(1, 12))
    memory, rank, units = draw(st.integers(1, 9)), draw(st.integers(1, 3)), draw(st.integers(1, 7))
    wide = draw(st.booleans())
    low, kind = (-(1 << 15), np.int16) if wide else (-128, np.int8)
    source_details = quantised(draw)
    feature_scale, time_scale = draw(scales), draw(scales)
    gain = draw(st.sampled_from([1e-3, 1.0, 1.0, 1e3]))
    state_scale = source_details["scale"] * feature_scale * 127 * 20 / -low * gain
    time_scale = min(time_scale, 60 / state_scale)  # float32 holds their product within 1e-5
    product = state_scale * time_scale
    spread = product * -low * 20 * draw(st.sampled_from([1e-3, 1.0, 1.0, 1e3]))
    source = model.input((batch, depth), **source_details)
    operands = [
        model.constant(
            rng.integers(-128, 128, (units * rank, depth), dtype=np.int8), scale=feature_scale
        ),
        model.constant(
            rng.integers(low, -low, (units * rank, memory), dtype=kind), scale=time_scale
        ),
        model.constant(rng.integers(-(1 << 20), 1 << 20, units, dtype=np.int32), scale=product),
        model.tensor(
            (batch, units * rank * memory),
            dtype=np.dtype(kind).name,
            scale=state_scale,
            zero_point=draw(st.one_of(st.just(0), zero_points)),
            is_variable=True,
        ),
    ]
    output = model.tensor((batch, units), scale=spread, zero_point=draw(zero_points))
    model.outputs.append(output)
    model.operator("SVDF", [source, *operands], [output], rank=rank, activation=draw(activations))


@pytest.mark.parametrize("add", [add_svdf], ids=lambda add: add.__name__)
def test_operator_is_bit_exact_with_the_reference_from_inference_to_inference(add: Add) -> None:
    check_operator(add)
