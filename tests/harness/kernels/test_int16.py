"""Operators on int16 activations: "16x8" models of TFLite's converter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.harness.kernels.cases import (
    Add,
    activations,
    channels,
    check_operator,
    quantised,
    scales,
    seeds,
    sizes,
)
from tests.harness.kernels.windows import Windows, add_convolution, add_pooling, draw_windows
from tests.tflite_factory import NONE, SAME, TYPES, ModelFactory

_shapes = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)
_windows = st.tuples(st.integers(1, 4), st.integers(1, 4))


def int16(scale: float) -> dict[str, Any]:
    return {"dtype": "int16", "scale": scale}


def filters(
    draw: st.DrawFn,
    model: ModelFactory,
    shape: tuple[int, ...],
    axis: int,
    source_scale: float,
    *,
    wide_only: bool = False,
) -> tuple[list[int], float, dict[str, Any]]:
    """(weights, mostly with a bias; an output scale from fine to coarse; options)"""
    rng = np.random.default_rng(draw(seeds))
    count, depth = shape[axis], int(np.prod(shape)) // shape[axis]
    base = draw(st.floats(2.0**-13, 1.0, width=32))
    weight_scales = base * (rng.uniform(0.1, 1.0, count) if draw(st.booleans()) else np.ones(1))
    if len(weight_scales) > 1 and draw(st.sampled_from([0, 0, 1])):
        weight_scales[rng.integers(count)] = 1e-30  # pruned: its multiplier is 0
    values = rng.integers(-128, 128, shape, dtype=np.int8)
    if draw(st.sampled_from([0, 0, 1])):
        values[...] = rng.choice(np.array([-128, 127], np.int8), shape)
    operands = [model.constant(values, scale=weight_scales.tolist(), axis=axis)]
    dtype = draw(st.sampled_from([None, "int64", "int64", "int32"]))
    options: dict[str, Any] = {}
    if wide_only and dtype == "int32":
        dtype = "int64"
    if dtype is None:
        if not wide_only and draw(st.booleans()):
            options["bias_type"] = TYPES["int32"]
    else:
        wide = [2**40, 2**46 - 1] if dtype == "int64" else []
        most = draw(st.sampled_from([1, 1000, 10**7, 2**31 - 1, *wide]))
        bias = rng.integers(-most, most, count, dtype=dtype)
        bias_scales = source_scale * weight_scales
        operands.append(model.constant(bias, scale=bias_scales.tolist()))
    # The accumulator's usual size, times or divided by what shifts left or all the way out.
    usual = source_scale * base * 60 * depth**0.5
    return operands, float(np.float32(usual * 10 ** draw(st.floats(-2.5, 5.0)))), options


def add_conv_2d(draw: st.DrawFn, model: ModelFactory) -> None:
    windows = draw_windows(draw, kernel=_windows)
    depth, count = draw(channels), draw(channels)
    if draw(st.booleans()):
        windows = replace(windows, kernel=(1, 1), stride=(1, 1))
        depth = draw(st.sampled_from([depth, 4, 8, 512]))
    if windows.output is None:
        return
    scale = draw(scales)
    source = model.input((1, *windows.size, depth), **int16(scale))
    operands, out, options = filters(draw, model, (count, *windows.kernel, depth), 0, scale)
    options["activation"] = draw(activations)
    add_convolution(model, "CONV_2D", windows, [source, *operands], count, int16(out), **options)


def add_depthwise_conv_2d(draw: st.DrawFn, model: ModelFactory) -> None:
    step = draw(st.integers(1, 3))
    windows = draw_windows(draw, kernel=_windows, stride=st.just((step, step)))
    depth, multiplier = draw(channels), draw(st.sampled_from([1, 1, 2, 3]))
    if draw(st.integers(0, 9)) == 0:  # more products than an int32 holds
        windows, multiplier = Windows((23, 23), (23, 23), (step, step), padding=SAME), 1
    if windows.output is None:
        return
    scale, count = draw(scales), depth * multiplier
    source = model.input((1, *windows.size, depth), **int16(scale))
    operands, out, _ = filters(draw, model, (1, *windows.kernel, count), 3, scale, wide_only=True)
    add_convolution(
        model,
        "DEPTHWISE_CONV_2D",
        windows,
        [source, *operands],
        count,
        int16(out),
        multiplier=multiplier,
        activation=draw(activations),
    )


def add_fully_connected(draw: st.DrawFn, model: ModelFactory) -> None:
    rows = draw(st.integers(1, 4))
    depth = draw(st.one_of(st.integers(1, 70), st.sampled_from([508, 509, 512, 1024, 1100])))
    count, scale = draw(st.integers(1, 9)), draw(scales)
    source = model.input((rows, depth), **int16(scale))
    operands, out, options = filters(draw, model, (count, depth), 0, scale)
    output = model.tensor((rows, count), **int16(out))
    model.outputs.append(output)
    model.operator(
        "FULLY_CONNECTED", [source, *operands], [output], activation=draw(activations), **options
    )


def add_conversion(draw: st.DrawFn, model: ModelFactory) -> None:
    shape, scale = (1, draw(st.integers(1, 100))), draw(scales)
    gain = draw(st.sampled_from([1.0, 256.0, 1 / 256, 0.3, 1e-6, 1e4]))
    to_int8 = {**quantised(draw), "scale": float(np.float32(scale * gain))}
    ends: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"dtype": "float32"}, int16(scale)),
        (int16(scale), {"dtype": "float32"}),
        (int16(scale), to_int8),
        (to_int8, int16(scale)),
        (int16(scale), int16(to_int8["scale"])),
    ]
    source, output = draw(st.sampled_from(ends))
    model.outputs.append(model.tensor(shape, **output))
    op = "DEQUANTIZE" if output == {"dtype": "float32"} else "QUANTIZE"
    model.operator(op, [model.input(shape, **source)], [model.outputs[-1]])


def add_add(draw: st.DrawFn, model: ModelFactory) -> None:
    shape, first, second = draw(_shapes), draw(scales), draw(scales)
    operands = [model.input(shape, **int16(first)), model.input(shape, **int16(second))]
    gain = draw(st.sampled_from([1e-3, 0.3, 1.0, 2.0, 1e4]))
    output = model.tensor(shape, **int16(max(first, second) * gain))
    model.outputs.append(output)
    model.operator("ADD", operands, [output], activation=draw(activations))


def add_pool_2d(draw: st.DrawFn, model: ModelFactory) -> None:
    add_pooling(draw, model, _windows, int16(draw(scales)))


def add_sum(draw: st.DrawFn, model: ModelFactory) -> None:
    shape, scale = (1, draw(sizes), draw(sizes), draw(channels)), draw(scales)
    source = model.input(shape, **int16(scale))
    keep = draw(st.booleans())
    output = model.tensor(
        (1, 1, 1, shape[3]) if keep else (1, shape[3]),
        **int16(scale * draw(st.sampled_from([1.0, 0.1, 1e-4, 30.0]))),
    )
    model.outputs.append(output)
    axes = model.constant(np.array([1, 2], np.int32))
    op = draw(st.sampled_from(["MEAN", "MEAN", "SUM"]))
    model.operator(op, [source, axes], [output], keep_dims=keep)


def add_activation(draw: st.DrawFn, model: ModelFactory) -> None:
    shape, scale = draw(_shapes), draw(scales)
    op = draw(st.sampled_from(["RELU", "RELU6"]))
    gain = draw(st.sampled_from([1.0, 0.01, 3.0, 1e6])) if op == "RELU" else 1.0
    source = model.input(shape, **int16(scale))
    model.outputs.append(model.tensor(shape, **int16(float(np.float32(scale * gain)))))
    model.operator(op, [source], [model.outputs[-1]])


def add_softmax(draw: st.DrawFn, model: ModelFactory) -> None:
    shape = (draw(st.integers(1, 4)), draw(st.one_of(st.integers(1, 12), st.just(1000))))
    scale = 2.0 ** draw(st.floats(-20.0, 0.0, width=32))
    source = model.input(shape, **int16(scale))
    output = model.tensor(shape, **int16(1 / 32768))
    model.outputs.append(output)
    beta = draw(st.sampled_from([1.0, 1.0, 0.3, 2.0]))
    model.operator("SOFTMAX", [source], [output], beta=beta)


def add_pad(draw: st.DrawFn, model: ModelFactory) -> None:
    shape, details = draw(_shapes), int16(draw(scales))
    paddings = np.random.default_rng(draw(seeds)).integers(0, 4, (len(shape), 2), dtype=np.int32)
    padded = tuple(int(size) for size in np.array(shape) + paddings.sum(axis=1))
    source, output = model.input(shape, **details), model.tensor(padded, **details)
    model.outputs.append(output)
    model.operator("PAD", [source, model.constant(paddings)], [output])


def add_movement(draw: st.DrawFn, model: ModelFactory) -> None:
    shape, details = (2, draw(sizes), 2 * draw(sizes)), int16(draw(scales))
    operands = [model.input(shape, **details) for _ in range(2)]
    axis = draw(st.integers(0, 2))

    def result(*sizes: int) -> int:
        model.outputs.append(model.tensor(sizes, **details))
        return model.outputs[-1]

    def half() -> int:
        return result(*shape[:2], shape[2] // 2)

    along = model.constant(np.array(2, np.int32))
    case = draw(st.integers(0, 3))
    if case == 0:
        joined = tuple(size * (1 + (at == axis)) for at, size in enumerate(shape))
        model.operator("CONCATENATION", operands, [result(*joined)], axis=axis, activation=NONE)
    elif case == 1:
        model.operator("SPLIT", [along, operands[0]], [half(), half()], count=2)
    elif case == 2:
        packed = result(*shape[:axis], 2, *shape[axis:])
        model.operator("PACK", operands, [packed], axis=axis, count=2)
    else:
        model.operator("RESHAPE", operands[:1], [result(int(np.prod(shape)))])


@pytest.mark.parametrize(
    "add",
    [
        add_conv_2d,
        add_depthwise_conv_2d,
        add_fully_connected,
        add_conversion,
        add_add,
        add_pool_2d,
        add_sum,
        add_activation,
        add_softmax,
        add_pad,
        add_movement,
    ],
    ids=lambda add: add.__name__,
)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add)
