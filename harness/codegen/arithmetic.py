"""Which integers stand for a model's real scales? TensorFlow Lite's own arithmetic, float32 where
it uses float and double where it uses double, so that every table is the one its kernels would
compute.

Sources: tensorflow/lite/kernels/internal/quantization_util.cc and kernel_util.cc.
"""

from __future__ import annotations

import math

import numpy as np

from harness.errors import UnsupportedModelError
from harness.tflite import Activation, Quantisation

INT8_MIN, INT8_MAX = -128, 127
INT8_LIMITS = (INT8_MIN, INT8_MAX)
INT16_LIMITS = (-(1 << 15), (1 << 15) - 1)


def round_away(value: float) -> int:
    """Nearest integer, halves away from zero (C's round)."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def quantise_multiplier(real: float, *, where: str) -> tuple[int, int]:
    """real = multiplier * 2^(shift - 31), with 2^30 <= multiplier < 2^31, or (0, 0) below 2^-32.

    Raises:
        UnsupportedModelError: real >= 2^30, infinity among them; no shift of an int32 expresses
            it.
    """
    multiplier, shift = _normalise(real) if math.isfinite(real) else (0, 31)
    if shift < -31:
        return 0, 0
    if shift > 30:
        raise UnsupportedModelError(
            "input and output scales are too far apart",
            where=where,
            expected="a ratio below 2^30",
            got=f"{real:g}",
            hint="convert the model again with a representative dataset",
        )
    return multiplier, shift


def quantise_multiplier_16(real: float, *, where: str) -> tuple[int, int]:
    """As quantise_multiplier, with a multiplier of 16 bits: real = multiplier * 2^(shift - 15)."""
    multiplier, shift = quantise_multiplier(real, where=where)
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1), shift


def filter_multipliers(
    source: Quantisation, weights: Quantisation, output: Quantisation, *, where: str
) -> list[tuple[int, int]]:
    """(multiplier, shift) that turn the sums of a convolution or matrix product into its output:
    one, or one a channel.

    Raises:
        UnsupportedModelError: see quantise_multiplier.
    """
    reals = [source.scale * scale / output.scale for scale in weights.scales]
    return [quantise_multiplier(real, where=where) for real in reals]


def _normalise(real: float) -> tuple[int, int]:
    """real = multiplier * 2^(shift - 31), with 2^30 <= multiplier < 2^31."""
    fraction, shift = math.frexp(real)
    multiplier = round_away(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    return multiplier, shift


def single(operation: np.ufunc, a: float, b: float) -> float:
    """`operation` in float32, as where TFLite computes with float: an overflow is infinity."""
    with np.errstate(over="ignore", under="ignore"):
        return float(operation(np.float32(a), np.float32(b)))


def rescale(x: int, multiplier: int, shift: int) -> int:
    """round(round(x * 2^shift * multiplier / 2^31)) as the kernels round: the multiplication half
    up, the shift to the right half away from zero. x * 2^shift must be an int32 for shift > 0."""
    high = (x * (1 << max(shift, 0)) * multiplier + (1 << 30)) >> 31
    right = max(-shift, 0)
    magnitude = (abs(high) + (1 << right >> 1)) >> right
    return magnitude if high >= 0 else -magnitude


def activation_range(
    activation: Activation,
    output: Quantisation,
    *,
    where: str,
    limits: tuple[int, int] = INT8_LIMITS,
) -> tuple[int, int]:
    """The clamp that a fused activation means in the output's integers, which have `limits`."""

    def quantise(real: float) -> int:
        steps = single(np.divide, real, output.scale)
        if not abs(steps) < 1 << 31:
            raise UnsupportedModelError(
                f"activation {activation.name} overflows the output scale",
                where=where,
                expected="fewer than 2^31 steps of the scale",
                got=f"scale {output.scale:g}",
                hint="convert the model again with a representative dataset",
            )
        return output.zero_point + round_away(steps)

    low, high = {
        Activation.NONE: (None, None),
        Activation.RELU: (0.0, None),
        Activation.RELU6: (0.0, 6.0),
        Activation.RELU_N1_TO_1: (-1.0, 1.0),
    }[activation]
    return (
        limits[0] if low is None else max(limits[0], quantise(low)),
        limits[1] if high is None else min(limits[1], quantise(high)),
    )


def add_multipliers(
    first: Quantisation, second: Quantisation, output: Quantisation, bits: int, *, where: str
) -> list[tuple[int, int]]:
    """(multiplier, shift) of both operands of an addition and of its result; operands get `bits`
    more bits before they are brought to twice the larger scale."""
    twice = 2.0 * max(first.scale, second.scale)
    reals = (first.scale / twice, second.scale / twice, twice / ((1 << bits) * output.scale))
    return [quantise_multiplier(real, where=where) for real in reals]


def softmax_parameters(beta: float, scale: float) -> tuple[int, int, int]:
    """(multiplier, left shift, lowest difference): differences become Q5.26, and those whose
    exponential vanishes are skipped."""
    integer_bits = 5
    real = min(
        float(np.float32(beta)) * scale * float(1 << (31 - integer_bits)), float((1 << 31) - 1)
    )
    multiplier, shift = _normalise(real)
    radius = math.floor(((1 << integer_bits) - 1) * (1 << (31 - integer_bits)) / (1 << shift))
    return multiplier, shift, -radius


def sigmoid_parameters(scale: float) -> tuple[int, int, int]:
    """(multiplier, left shift, radius) of LOGISTIC and TANH: inputs become Q4.27, and those from
    the radius on are the function's limits."""
    integer_bits = 4
    multiplier, shift = _normalise(scale * float(1 << (31 - integer_bits)))
    radius = math.floor(((1 << integer_bits) - 1) * (1 << (31 - integer_bits)) / (1 << shift))
    return multiplier, shift, radius


def mean_parameters(
    input_scale: float, output_scale: float, count: int, *, where: str
) -> tuple[int, int]:
    """Multiplier and shift of the rescaling with 1 / count folded in."""
    multiplier, shift = quantise_multiplier(input_scale / output_scale, where=where)
    more = min(count.bit_length() - 1, 32, 31 + shift)  # >= 0, as shift >= -31
    return (multiplier << more) // count, shift - more
