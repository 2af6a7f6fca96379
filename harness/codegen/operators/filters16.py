"""What C do convolutions and matrix products of int16 activations become? Their weights are int8,
every zero point is 0, and accumulators have 64 bits, or 32 where the biases have."""

from __future__ import annotations

import math

import numpy as np

from harness.codegen.arithmetic import INT16_LIMITS, activation_range, filter_multipliers
from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.convolution import write_convolution
from harness.codegen.tables import Array
from harness.errors import UnsupportedModelError
from harness.tflite import Conv2D, DepthwiseConv2D, FullyConnected

# The reference takes accumulators below 2^47 and shifts to the left by less than 8
# (MultiplyByQuantizedMultiplier of int64 in tensorflow/lite/kernels/internal/common.cc).
_MOST_BIAS = 1 << 46
_MOST_SHIFT = 7
_FITTING_SHIFTS = (-17, -2)  # those for which SUMS_FIT's multiplier is a positive int32


def _conv_2d(code: Code) -> None:
    weights = code.input(1).data
    assert weights is not None
    rows = weights.reshape(weights.shape[0], -1)
    write_convolution(
        code,
        "conv_2d_s16_t",
        "conv_2d_s16",
        element="int16_t",
        scratch="int16_t",
        filters=_filters(code, rows, _paired(rows)),
    )


def _depthwise_conv_2d(code: Code) -> None:
    weights = code.input(1).data
    assert weights is not None
    taps = weights.reshape(-1, weights.shape[3])
    padded = np.pad(taps, ((0, 0), (0, -taps.shape[1] % 4)))
    swapped = padded.reshape(-1, 4)[:, [0, 2, 1, 3]]
    write_convolution(
        code,
        "conv_2d_s16_t",
        "depthwise_conv_2d_s16",
        element="int16_t",
        filters=_filters(code, taps.T, swapped),
    )


def _fully_connected(code: Code) -> None:
    rows = code.input(1).data
    assert rows is not None
    source = code.input(0)
    table = code.struct(
        "fully_connected_s16_t",
        rows=source.elements // rows.shape[1],
        depth=rows.shape[1],
        filters=_filters(code, rows, _paired(rows)),
    )
    addresses = (code.address(tensor, "int16_t") for tensor in (source, code.output))
    code.call("fully_connected_s16", table, *addresses, code.scratch("int16_t"))


def _paired(rows: Array) -> Array:
    """Bytes of the filters `rows` with 2i and 2i + 1 interleaved, as filters_s16_t says."""
    padded = np.pad(rows, ((0, len(rows) % 2), (0, rows.shape[1] % 2)))
    pairs: Array = padded.reshape(len(padded) // 2, 2, -1).transpose(0, 2, 1)
    return pairs


def _filters(code: Code, rows: Array, weights: Array) -> str:
    """Initialiser of filters_s16_t for the filters `rows` [channels][depth]."""
    table = code.table("weights", weights, "int8_t")
    depth = rows.shape[1] + rows.shape[1] % 2
    out = _requantization(code, rows)
    return f"{{.weights = {table}, .depth = {depth}, .channels = {rows.shape[0]}, .out = {out}}}"


def _requantization(code: Code, rows: Array) -> str:
    """Initialiser of requantization_s16_t for the filters `rows` [channels][depth]."""
    options = code.operator.options
    assert isinstance(options, Conv2D | DepthwiseConv2D | FullyConnected)
    source, weights, output = code.input(0), code.input(1), code.output
    pairs = filter_multipliers(source.q, weights.q, output.q, where=code.where)
    low, high = activation_range(
        options.activation, output.q, where=code.where, limits=INT16_LIMITS
    )
    members: dict[str, object] = {"step": int(len(pairs) > 1), "min": low, "max": high}
    bias = _bias(code, rows)
    if not isinstance(options, DepthwiseConv2D) and options.int32_sums:
        members["sums"] = "SUMS_WRAP"
        members["bias"] = code.table("bias", bias.astype(np.int32), "int32_t")
        multipliers, shifts = zip(*pairs, strict=True)
    else:
        reduced = [min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1) for multiplier, _ in pairs]
        bias = np.where(np.resize(reduced, len(rows)) == 0, 0, bias)
        _refuse_extremes(code, bias, max(shift for _, shift in pairs))
        if _fits(rows, bias) and all(
            _FITTING_SHIFTS[0] <= shift <= _FITTING_SHIFTS[1] or multiplier == 0
            for multiplier, shift in pairs
        ):
            members["sums"] = "SUMS_FIT"
            members["bias"] = code.table("bias", bias.astype(np.int32), "int32_t")
            multipliers = tuple(
                multiplier << (17 + shift) if multiplier else 0
                for multiplier, (_, shift) in zip(reduced, pairs, strict=True)
            )
            shifts = ()
        else:
            members["sums"] = "SUMS_WIDE"
            members["wide_bias"] = code.table("bias", bias, "int64_t")
            multipliers, shifts = tuple(reduced), tuple(15 - shift for _, shift in pairs)
    members["multiplier"] = code.table("multiplier", np.array(multipliers, np.int32), "int32_t")
    if shifts:
        members["shift"] = code.table("shift", np.array(shifts, np.int8), "int8_t")
    return "{" + ", ".join(f".{key} = {value}" for key, value in members.items()) + "}"


def _bias(code: Code, rows: Array) -> Array:
    """int64, one a filter."""
    bias = code.graph.optional(code.operator, 2)
    if bias is None or bias.data is None:
        return np.zeros(len(rows), np.int64)
    wide: Array = bias.data.astype(np.int64).ravel()
    return wide


def _refuse_extremes(code: Code, bias: Array, shift: int) -> None:
    if shift > _MOST_SHIFT:
        raise UnsupportedModelError(
            "input and output scales are too far apart",
            where=code.where,
            expected=f"a ratio below 2^{_MOST_SHIFT} for int16",
            got=f"2^{shift}",
            hint="convert the model again with a representative dataset",
        )
    # abs() of the least int64 is itself.
    if bias.max() >= _MOST_BIAS or bias.min() <= -_MOST_BIAS:
        most = max(bias.tolist(), key=abs)
        raise UnsupportedModelError(
            "has a bias that overflows the accumulator",
            where=code.where,
            expected=f"below 2^{int(math.log2(_MOST_BIAS))}",
            got=most,
            hint="convert the model again with a representative dataset",
        )


def _fits(rows: Array, bias: Array) -> bool:
    """No int16 input makes a sum that leaves int32."""
    up = np.maximum(rows, 0).sum(axis=1, dtype=np.int64)
    down = np.minimum(rows, 0).sum(axis=1, dtype=np.int64)
    low, high = INT16_LIMITS
    least, most = bias + low * up + high * down, bias + high * up + low * down
    return bool(least.min() >= -(1 << 31) and most.max() < 1 << 31)


WRITERS: dict[str, Writer] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
}
