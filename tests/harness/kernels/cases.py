"""What the tests of all operators share: how operands are drawn, and what an operator must do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.options import Optimise
from tests.host_model import check
from tests.tflite_factory import NONE, RELU, RELU6, RELU_N1_TO_1, ModelFactory

Add = Callable[[st.DrawFn, ModelFactory], None]  # draws one operator into the model

sizes = st.integers(1, 9)
channels = st.integers(1, 9)
activations = st.sampled_from([NONE, RELU, RELU6, RELU_N1_TO_1])
zero_points = st.one_of(st.sampled_from([-128, 0, 127]), st.integers(-128, 127))
scales = st.floats(2.0**-13, 10.0, width=32)
# Scales that float32 can hold and no converter writes, subnormal ones among them.
wild_scales = st.sampled_from([1e-45, 1e-38, 1e-11, 2.0**-20, 1.0, 3e4, 1e11, 3e38])
seeds = st.integers(0, 2**32 - 1)


@st.composite
def batches(draw: st.DrawFn, add: Add) -> ModelFactory:
    """Several independent operators in one model: one compilation for many cases."""
    model = ModelFactory()
    for _ in range(draw(st.integers(1, 12))):
        add(draw, model)
    return model


def quantised(draw: st.DrawFn) -> dict[str, Any]:
    return {"scale": draw(scales), "zero_point": draw(zero_points)}


def quantised_wide(draw: st.DrawFn) -> dict[str, Any]:
    """int8, or int16 where all that an operator does with it is moving it."""
    if draw(st.sampled_from([0, 0, 1])):
        return {"dtype": "int16", "scale": draw(scales)}
    return quantised(draw)


def filters(
    draw: st.DrawFn, model: ModelFactory, shape: tuple[int, ...], axis: int, source_scale: float
) -> tuple[list[int], float]:
    """Weights, mostly with a bias, and an output scale from fine to coarse."""
    rng = np.random.default_rng(draw(seeds))
    count = shape[axis]
    base = draw(st.floats(2.0**-13, 1.0, width=32))
    per_channel = draw(st.booleans())
    weight_scales = base * (rng.uniform(0.1, 1.0, count) if per_channel else np.ones(1))
    values = rng.integers(-127, 128, shape, dtype=np.int8)
    operands = [model.constant(values, scale=weight_scales.tolist(), axis=axis)]
    if draw(st.booleans()):
        most = draw(st.sampled_from([1, 1000, 100_000, 2**31 - 1]))
        values = rng.integers(-most, most, count, dtype=np.int32)
        operands.append(model.constant(values, scale=(source_scale * weight_scales).tolist()))
    # The accumulator's usual size, times or divided by what shifts left or all the way out.
    spread = source_scale * base * 127 * 20 * 10 ** draw(st.floats(-5.0, 5.0))
    return operands, float(np.float32(spread))


def check_operator(add: Add, *, examples: int = 20) -> None:
    """What `add` draws answers what TensorFlow Lite Micro's reference kernels answer, in both
    variants, touching exactly the planned arena."""

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(batches(add), seeds, st.sampled_from(Optimise))
    def compare(model: ModelFactory, seed: int, optimise: Optimise) -> None:
        if model.operators:
            check(model.build(), seed, optimise)

    compare()
