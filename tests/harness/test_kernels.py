"""Every operator, over generated shapes and quantisations, answers what TensorFlow Lite Micro's
reference kernels answer, in both variants, touching exactly the planned arena."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.host_model import check
from tests.tflite_factory import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, ModelFactory

Array = np.ndarray[Any, np.dtype[Any]]

sizes = st.integers(1, 9)
channels = st.integers(1, 9)
activations = st.sampled_from([NONE, RELU, RELU6, RELU_N1_TO_1])
zero_points = st.one_of(st.sampled_from([-128, 0, 127]), st.integers(-128, 127))
scales = st.floats(2.0**-13, 10.0, width=32)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def batches(draw: st.DrawFn, add: Callable[[st.DrawFn, ModelFactory], None]) -> ModelFactory:
    """Several independent operators in one model: one compilation for many cases."""
    model = ModelFactory()
    for _ in range(draw(st.integers(1, 12))):
        add(draw, model)
    return model


def quantised(draw: st.DrawFn) -> dict[str, Any]:
    return {"scale": draw(scales), "zero_point": draw(zero_points)}


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


def add_conv_2d(draw: st.DrawFn, model: ModelFactory) -> None:
    padding, height, width = draw(st.sampled_from([SAME, VALID])), draw(sizes), draw(sizes)
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 3)]))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    if draw(st.booleans()):
        kernel, stride = (1, 1), (1, 1)
    depth, filters_count = draw(channels), draw(channels)
    source_details = quantised(draw)
    output_size = _output_size(model, (height, width), kernel, stride, dilation, padding)
    if output_size is None:
        return
    source = model.input((1, height, width, depth), **source_details)
    operands, scale = filters(
        draw, model, (filters_count, *kernel, depth), 0, source_details["scale"]
    )
    output = model.tensor(
        (1, *output_size, filters_count), scale=scale, zero_point=draw(zero_points)
    )
    model.outputs.append(output)
    model.operator(
        "CONV_2D",
        [source, *operands],
        [output],
        padding=padding,
        stride_h=stride[0],
        stride_w=stride[1],
        dilation_h=dilation[0],
        dilation_w=dilation[1],
        activation=draw(activations),
    )


def add_depthwise_conv_2d(draw: st.DrawFn, model: ModelFactory) -> None:
    padding, height, width = draw(st.sampled_from([SAME, VALID])), draw(sizes), draw(sizes)
    kernel = draw(st.one_of(st.just((3, 3)), st.tuples(st.integers(1, 6), st.integers(1, 6))))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 3)]))
    step = draw(st.integers(1, 3))  # the interpreter wants equal strides
    depth, multiplier = draw(channels), draw(st.sampled_from([1, 1, 2, 3]))
    source_details = quantised(draw)
    output_size = _output_size(model, (height, width), kernel, (step, step), dilation, padding)
    if output_size is None:
        return
    source = model.input((1, height, width, depth), **source_details)
    operands, scale = filters(
        draw, model, (1, *kernel, depth * multiplier), 3, source_details["scale"]
    )
    output = model.tensor(
        (1, *output_size, depth * multiplier), scale=scale, zero_point=draw(zero_points)
    )
    model.outputs.append(output)
    model.operator(
        "DEPTHWISE_CONV_2D",
        [source, *operands],
        [output],
        padding=padding,
        stride_h=step,
        stride_w=step,
        dilation_h=dilation[0],
        dilation_w=dilation[1],
        multiplier=multiplier,
        activation=draw(activations),
    )


def add_fully_connected(draw: st.DrawFn, model: ModelFactory) -> None:
    rows, depth = draw(st.integers(1, 3)), draw(st.integers(1, 40))
    count = draw(st.integers(1, 11))
    source_details = quantised(draw)
    source = model.input((rows, depth), **source_details)
    operands, scale = filters(draw, model, (count, depth), 0, source_details["scale"])
    output = model.tensor((rows, count), scale=scale, zero_point=draw(zero_points))
    model.outputs.append(output)
    model.operator("FULLY_CONNECTED", [source, *operands], [output], activation=draw(activations))


# Scales that float32 can hold and no converter writes, subnormal ones among them.
wild_scales = st.sampled_from([1e-45, 1e-38, 1e-11, 2.0**-20, 1.0, 3e4, 1e11, 3e38])


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


def add_add(draw: st.DrawFn, model: ModelFactory) -> None:
    shape = draw(st.lists(sizes, min_size=1, max_size=4).map(tuple))
    first = model.input(shape, **quantised(draw))
    second = first if draw(st.booleans()) else model.input(shape, **quantised(draw))
    output = model.tensor(shape, **quantised(draw))
    model.outputs.append(output)
    model.operator("ADD", [first, second], [output], activation=draw(activations))


def add_pool_2d(draw: st.DrawFn, model: ModelFactory) -> None:
    padding, height, width = draw(st.sampled_from([SAME, VALID])), draw(sizes), draw(sizes)
    window = draw(st.tuples(sizes, sizes))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    output_size = _output_size(model, (height, width), window, stride, (1, 1), padding)
    if output_size is None:
        return
    depth, details = draw(channels), quantised(draw)
    source = model.input((1, height, width, depth), **details)
    output = model.tensor((1, *output_size, depth), **details)
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


def add_pad(draw: st.DrawFn, model: ModelFactory) -> None:
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple))
    paddings = np.array([[draw(st.integers(0, 3)) for _ in "ab"] for _ in shape], np.int32)
    details = quantised(draw)
    source = model.input(shape, **details)
    padded = tuple(int(n) for n in np.array(shape) + paddings.sum(axis=1))
    output = model.tensor(padded, **details)
    operands = [source, model.constant(paddings)]
    if draw(st.booleans()):
        value = np.array([draw(st.integers(-128, 127))], np.int8)
        operands.append(model.constant(value, **details))
    model.outputs.append(output)
    model.operator("PADV2" if len(operands) == 3 else "PAD", operands, [output])


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


def add_reshape(draw: st.DrawFn, model: ModelFactory) -> None:
    height, width, details = draw(sizes), draw(sizes), quantised(draw)
    source = model.input((1, height, width), **details)
    output = model.tensor((height * width,), **details)
    model.outputs.append(output)
    shape = model.constant(np.array([height * width], np.int32))
    model.operator("RESHAPE", [source, shape] if draw(st.booleans()) else [source], [output])


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


def add_float_border(draw: st.DrawFn, model: ModelFactory) -> None:
    shape, details = (1, draw(st.integers(1, 200))), quantised(draw)
    to_int8 = draw(st.booleans())
    source = model.input(shape, **({"dtype": "float32"} if to_int8 else details))
    output = model.tensor(shape, **(details if to_int8 else {"dtype": "float32"}))
    model.outputs.append(output)
    model.operator("QUANTIZE" if to_int8 else "DEQUANTIZE", [source], [output])


def _output_size(
    model: ModelFactory,
    source: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: int,
) -> tuple[int, int] | None:
    """None where nothing fits and the model has something else in it already."""
    found = []
    for size, window, step, spread in zip(source, kernel, stride, dilation, strict=True):
        reach = (window - 1) * spread + 1
        found.append(-(-size // step) if padding == SAME else (size - reach) // step + 1)
    return (found[0], found[1]) if min(found) > 0 else None


@pytest.mark.parametrize(
    "add",
    [
        add_conv_2d,
        add_depthwise_conv_2d,
        add_fully_connected,
        add_add,
        add_wild_add,
        add_pool_2d,
        add_pad,
        add_mean,
        add_reshape,
        add_softmax,
        add_elementwise,
        add_float_border,
    ],
    ids=lambda add: add.__name__.removeprefix("add_"),
)
def test_operator_is_bit_exact_with_the_reference(
    add: Callable[[st.DrawFn, ModelFactory], None],
) -> None:
    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(batches(add), seeds)
    def compare(model: ModelFactory, seed: int) -> None:
        if model.operators:
            check(model.build(), seed)

    compare()
