from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from harness.codegen.fixedpoint import sigmoid_knots
from tests.harness.kernels.cases import (
    Add,
    activations,
    check_operator,
    quantised,
    scales,
    seeds,
    zero_points,
)
from tests.tflite_factory import TANH, ModelFactory


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


def add_lstm(draw: st.DrawFn, model: ModelFactory) -> None:
    """Gates from idle to saturated, cells of every power of two that a converter could choose."""
    rng = np.random.default_rng(draw(seeds))
    batch, steps = draw(st.integers(1, 2)), draw(st.integers(1, 4))
    depth, units = draw(st.integers(1, 9)), draw(st.integers(1, 7))
    time_major = draw(st.booleans())
    rows = (steps, batch) if time_major else (batch, steps)
    source_details, hidden_details = quantised(draw), quantised(draw)
    hidden_details["scale"] = draw(st.sampled_from([2.0**-9, 1 / 128, 0.004, 1.0]))
    source = model.input((*rows, depth), **source_details)

    def weights(count: int, scale: float) -> int:
        spread = draw(st.sampled_from([0.1, 1.0, 1.0, 10.0])) / (scale * 127 * 127 * count**0.5)
        values = rng.integers(-128, 128, (units, count), dtype=np.int8)
        return model.constant(values, scale=spread)

    most = draw(st.sampled_from([1, 1000, 1 << 30]))
    operands = [-1] * 24
    operands[0] = source
    for i in range(4):
        operands[1 + i] = weights(depth, source_details["scale"])
        operands[5 + i] = weights(units, hidden_details["scale"])
        operands[12 + i] = model.constant(rng.integers(-most, most, units, dtype=np.int32))
    operands[18] = model.tensor((batch, units), is_variable=True, **hidden_details)
    operands[19] = model.tensor(
        (batch, units),
        dtype="int16",
        scale=2.0 ** draw(st.one_of(st.integers(-15, -9), st.integers(-40, 2))),
        zero_point=0,
        is_variable=True,
    )
    output = model.tensor((*rows, units), **hidden_details)
    model.outputs.append(output)
    model.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        operands,
        [output],
        activation=TANH,
        cell_clip=draw(st.sampled_from([0.0, 0.0, 0.5, 10.0])),
        time_major=time_major,
    )


@pytest.mark.parametrize("add", [add_svdf, add_lstm], ids=lambda add: add.__name__)
def test_operator_is_bit_exact_with_the_reference_from_inference_to_inference(add: Add) -> None:
    check_operator(add)


def test_knots_of_the_sigmoid_lie_on_it_and_reach_its_limit() -> None:
    knots = sigmoid_knots().astype(int)
    exact = (1 << 16) / (1 + np.exp(-np.arange(256) / 24))
    assert knots[0] == 1 << 15 and knots[-1] == (1 << 16) - 1
    assert (np.diff(knots) >= 0).all()
    assert abs(knots - exact).max() < 1.2
