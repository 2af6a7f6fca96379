"""Which int8 do TensorFlow Lite's quantised functions give for each of the 256 int8 values? Their
own fixed-point arithmetic on whole arrays, rounding for rounding. A Qm.n has m integer and n
fractional bits and a sign.

Sources: gemmlowp fixedpoint/fixedpoint.h; hard_swish.h, leaky_relu.h, requantize.h and
integer_ops/{logistic,tanh}.h in tensorflow/lite/kernels/internal/reference.
"""

from __future__ import annotations

import numpy as np

from harness.codegen.tables import Array

Pair = tuple[int, int]  # multiplier and shift
INT8_VALUES = np.arange(-128, 128, dtype=np.int64)
_INT32_MAX = (1 << 31) - 1


def saturate(x: Array, *, low: int = -128, high: int = 127) -> Array:
    """One byte each, an unsigned one if `high` needs it."""
    clamped: Array = np.clip(x, low, high).astype(np.int8 if high < 128 else np.uint8)
    return clamped


def rescale_values(x: Array, multiplier: int | Array, shift: int | Array) -> Array:
    """x * 2^shift * multiplier / 2^31 as the kernels round it: a shift to the left wraps in 32
    bits and comes before the multiplication, one to the right comes after it."""
    left, right = np.maximum(shift, 0), np.maximum(np.negative(shift), 0)
    return _divide_by_power(_multiply(_wrap(x << left, 32), multiplier), right)


def requantise(
    x: Array,
    input_zero_point: int,
    pair: Pair,
    zero_point: int,
    *,
    low: int = -128,
    high: int = 127,
) -> Array:
    """QUANTIZE and RELU to one byte; `pair` stands for the ratio of scales."""
    scaled = rescale_values(x - input_zero_point, *pair) + zero_point
    return saturate(_wrap(scaled, 32), low=low, high=high)


def add(a: Array, b: Array, pairs: tuple[Pair, Pair, Pair], sign: int, zero_point: int) -> Array:
    """ADD (sign 1) and SUB (sign -1) of values less their zero points, before the clamp; `pairs`
    are the rescalings of a, of b and of their sum."""
    lifted = rescale_values(a << 20, *pairs[0]) + sign * rescale_values(b << 20, *pairs[1])
    return _wrap(rescale_values(lifted, *pairs[2]) + zero_point, 32)


def multiply(a: Array, b: Array, pair: Pair, zero_point: int) -> Array:
    """MUL of values less their zero points, before the clamp."""
    return _wrap(rescale_values(a * b, *pair) + zero_point, 32)


def prelu(a: Array, b: Array, identity: Pair, alpha: Pair, zero_point: int) -> Array:
    """PRELU of values less their zero points; b are the slopes."""
    scaled = np.where(a >= 0, rescale_values(a, *identity), rescale_values(a * b, *alpha))
    return saturate(_wrap(scaled + zero_point, 32))


def logistic(x: Array, multiplier: int, shift: int, radius: int) -> Array:
    """int8 of scale 1/256 and zero point -128; x is the value less its zero point."""
    q4 = np.where(abs(x) < radius, rescale_values(x, multiplier, shift), 0)
    tail = _multiply_by_power(_reciprocal_of_one_plus(_exp(-abs(q4), 4)), 1)
    y = np.where(q4 > 0, tail, np.where(q4 < 0, _INT32_MAX - tail, 1 << 30))
    return _beyond(x, radius, _divide_by_power(y, 23) - 128)


def sigmoid_knots() -> Array:
    """sigmoid(i / 24) as uint16 of scale 2^-16, i = 0 .. 255, from which sigmoid and tanh of int16
    are interpolated. Chords of a concave function lie below it, by up to h^2 / 8 times its
    curvature: each knot is raised by half of that, which halves the largest error."""
    step = 1 / 24
    y = 1 / (1 + np.exp(-step * np.arange(256)))
    curvature = y * (1 - y) * (1 - 2 * y)
    knots = np.floor((y - step**2 / 16 * curvature) * (1 << 16) + 0.5)
    knots[-1] = (1 << 16) - 1
    table: Array = knots.astype(np.uint16)
    return table


def tanh(x: Array, multiplier: int, shift: int, radius: int) -> Array:
    """int8 of scale 1/128 and zero point 0; x is the value less its zero point."""
    q4 = np.where(abs(x) < radius, rescale_values(x, multiplier, shift), 0)
    # The same bits with one integer bit more are twice the number: exp(-2 |x|).
    reciprocal = _reciprocal_of_one_plus(_exp(-abs(q4), 5))
    y = np.sign(q4) * _multiply_by_power(reciprocal - (1 << 29), 2)
    return _beyond(x, radius, _divide_by_power(y, 24))


def leaky_relu(x: Array, identity: Pair, alpha: Pair, zero_point: int) -> Array:
    """alpha's multiplier may be negative."""
    magnitude = rescale_values(x, abs(alpha[0]), alpha[1])
    negative = -magnitude if alpha[0] < 0 else magnitude
    return saturate(
        _wrap(np.where(x >= 0, rescale_values(x, *identity), negative) + zero_point, 32)
    )


def hard_swish(x: Array, reluish: Pair, output: Pair, zero_point: int) -> Array:
    """Both pairs hold 16-bit multipliers; output's shift is not positive."""
    fine = x << 7
    scaled = _multiply_16(fine, output[0])
    multiplier, shift = reluish
    gate = _saturate_16(fine << (shift - 1)) if shift > 0 else fine
    gate = _multiply_16(gate, multiplier)
    gate = _saturate_16(gate << 1) if shift > 0 else _divide_by_power_16(gate, -shift)
    gate = (gate + (1 << 15)) >> 1
    product = gate * scaled
    product = np.sign(product) * (abs(product) >> 15)  # towards zero
    return saturate(_divide_by_power_16(product, -output[1]) + zero_point)


def _beyond(x: Array, radius: int, inside: Array) -> Array:
    """What lies outside the range that the fixed point can hold is the function's limit."""
    return saturate(np.where(x <= -radius, -128, np.where(x >= radius, 127, inside)))


def _wrap(x: Array, bits: int) -> Array:
    half = 1 << (bits - 1)
    wrapped: Array = ((x + half) & (2 * half - 1)) - half
    return wrapped


def _multiply(a: Array, b: Array | int) -> Array:
    """round(a * b / 2^31), halves up."""
    product: Array = a * np.asarray(b)
    return (product + (1 << 30)) >> 31


def _divide_by_power(x: Array, exponent: int | Array) -> Array:
    """round(x / 2^exponent), halves away from zero."""
    mask = (1 << exponent) - 1
    return (x >> exponent) + ((x & mask) > (mask >> 1) + (x < 0))


def _multiply_by_power(x: Array, exponent: int) -> Array:
    limit = (1 << (31 - exponent)) - 1
    return np.where(x > limit, _INT32_MAX, np.where(x < -limit, -_INT32_MAX - 1, x << exponent))


def _multiply_16(a: Array, b: int) -> Array:
    return _wrap((a * b + (1 << 14)) >> 15, 16)


def _saturate_16(x: Array) -> Array:
    clamped: Array = np.clip(x, -(1 << 15), (1 << 15) - 1)
    return clamped


def _divide_by_power_16(x: Array, exponent: int) -> Array:
    """As _divide_by_power, but with a mask of 16 bits, which exponents above 15 overflow."""
    mask = (1 << exponent) - 1 if exponent < 16 else -1
    return (x >> exponent) + ((x & mask) > (mask >> 1) + (x < 0))


def _exp(a: Array, integer_bits: int) -> Array:
    """exp(a) as Q0.31 for a <= 0 with `integer_bits` integer bits: a is split into -1/4 <= r < 0
    and quarters; exp(r) by its Taylor polynomial around -1/8, the quarters by exp(-2^k)."""
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    fraction = (a & (quarter - 1)) - quarter
    x = (fraction << integer_bits) + (1 << 28)
    x2 = _multiply(x, x)
    x3 = _multiply(x2, x)
    x4 = _multiply(x2, x2)
    third, minus_eighth = 715827883, 1895147668
    tail = _divide_by_power(_multiply(_divide_by_power(x4, 2) + x3, third) + x2, 1)
    result = minus_eighth + _multiply(x + tail, minus_eighth)
    powers = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)  # k = -2 .. 4
    for k, power in enumerate(powers[: integer_bits + 2], start=-2):
        taken = (fraction - a) & (1 << (fraction_bits + k))
        result = np.where(taken != 0, _multiply(result, power), result)
    return np.where(a == 0, _INT32_MAX, result)


def _reciprocal_of_one_plus(a: Array) -> Array:
    """1 / ((1 + a) / 2) as Q2.29 for 0 <= a < 1 as Q0.31: Newton-Raphson from 48/17 - 32/17 d."""
    half = (a + _INT32_MAX + 1) >> 1
    x = 1515870810 + _multiply(half, -1010580540)
    for _ in range(3):
        x = x + _multiply_by_power(_multiply(x, (1 << 29) - _multiply(half, x)), 2)
    return x
