"""Which tables does TensorFlow Lite's softmax of int16 look its functions up in? 512 samples over
the range of an int16 and one more to interpolate towards, each less half of the interpolation's
error between it and the next. Every model has the same: inputs are brought to their scale.

Sources: LUTPopulateInt16 in tensorflow/lite/kernels/internal/common.h, softmax_common.cc.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.codegen.tables import Array

_STEPS = 512
_LOW, _HIGH = -(1 << 15), (1 << 15) - 1
_RANGE = _HIGH - _LOW


def softmax_ratio(beta: float, scale: float) -> float:
    """What differences are multiplied with, so that -65535 stands for -10."""
    return scale * float(np.float32(beta)) / (10.0 / 65535.0)


def _round(x: Array) -> Array:
    """Halves away from zero, in single precision."""
    rounded: Array = np.copysign(np.floor(np.abs(x.astype(np.float64)) + 0.5), x)
    return rounded.astype(np.float32)


def _samples(
    function: Callable[[Array], Array], input_scale: np.float32, input_zero_point: int
) -> Array:
    """int16 samples of `function` at output scale 2 / 65535, in float32 as TFLite makes them."""
    output_scale = np.float32(2) / np.float32(_RANGE)
    first, last = (input_scale * np.float32(end - input_zero_point) for end in (_LOW, _HIGH))
    least, most = (output_scale * np.float32(end) for end in (_LOW, _HIGH))
    step = (last - first) / np.float32(_STEPS)
    inverse = np.float32(_RANGE + 1) / (most - least)
    at = np.arange(_STEPS).astype(np.float32)
    here = function(first + at * step)
    between = function(first + at * step + step / np.float32(2))
    there = function(first + (at + np.float32(1)) * step)
    sample = _round(here * inverse)
    interpolated = _round((there * inverse + sample) / np.float32(2))
    error = _round((interpolated - _round(between * inverse)) / np.float32(2))
    end = _round(function(np.array([last], np.float32)) * inverse)
    table: Array = np.clip(np.concatenate([sample - error, end]), _LOW, _HIGH).astype(np.int16)
    return table


def _exponential(x: Array) -> Array:
    """Rounded once to single precision, as C's expf nearly always is."""
    return np.exp(x.astype(np.float64)).astype(np.float32)


def _reciprocal(x: Array) -> Array:
    """1 / (1 + x)"""
    quotient: Array = np.float32(1) / (np.float32(1) + x)
    return quotient


EXPONENTIALS = _samples(_exponential, np.float32(10) / np.float32(_RANGE), _HIGH)  # of -10 .. 0
RECIPROCALS = _samples(_reciprocal, np.float32(1) / np.float32(_RANGE), _LOW)  # of 0 .. 1
