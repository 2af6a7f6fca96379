"""What C do activation functions become?"""

from __future__ import annotations

import numpy as np

from harness.codegen import fixedpoint
from harness.codegen.arithmetic import (
    INT8_MIN,
    activation_range,
    quantise_multiplier,
    quantise_multiplier_16,
    sigmoid_parameters,
    single,
    softmax_parameters,
)
from harness.codegen.fixedpoint import INT8_VALUES
from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.lookup import write_lookup
from harness.codegen.operators.requantization import write_rescaling
from harness.tflite import Activation, LeakyRelu, Softmax


def _abs(code: Code) -> None:
    source, q = code.input(0), code.output.q
    pair = quantise_multiplier(single(np.divide, source.q.scale, q.scale), where=code.where)
    distance = abs(INT8_VALUES - source.q.zero_point)
    write_lookup(code, source, fixedpoint.requantise(distance, 0, pair, q.zero_point))


def _hard_swish(code: Code) -> None:
    source, q = code.input(0), code.output.q
    fine = single(np.divide, source.q.scale, 128.0)
    reluish, output = (
        quantise_multiplier_16(single(np.divide, fine, scale), where=code.where)
        for scale in (3.0 / 32768.0, q.scale)
    )
    x = INT8_VALUES - source.q.zero_point
    write_lookup(code, source, fixedpoint.hard_swish(x, reluish, output, q.zero_point))


def _leaky_relu(code: Code) -> None:
    options, source, q = code.operator.options, code.input(0), code.output.q
    assert isinstance(options, LeakyRelu)
    identity, alpha = (
        quantise_multiplier(single(np.divide, scale, q.scale), where=code.where)
        for scale in (source.q.scale, single(np.multiply, source.q.scale, options.alpha))
    )
    x = INT8_VALUES - source.q.zero_point
    write_lookup(code, source, fixedpoint.leaky_relu(x, identity, alpha, q.zero_point))


def _relu(code: Code) -> None:
    source, output = code.input(0), code.output
    # TFLite divides these two scales in single precision.
    ratio = single(np.divide, source.q.scale, output.q.scale)
    write_rescaling(code, ratio, max(INT8_MIN, output.q.zero_point))


def _relu6(code: Code) -> None:
    source, output = code.input(0), code.output
    low, high = activation_range(Activation.RELU6, source.q, where=code.where)
    code.call("clamp_s8", output.elements, low, high, code.address(source), code.address(output))


def _logistic(code: Code) -> None:
    source = code.input(0)
    parameters = sigmoid_parameters(source.q.scale)
    x = INT8_VALUES - source.q.zero_point
    write_lookup(code, source, fixedpoint.logistic(x, *parameters))


def _tanh(code: Code) -> None:
    source = code.input(0)
    parameters = sigmoid_parameters(source.q.scale)
    x = INT8_VALUES - source.q.zero_point
    write_lookup(code, source, fixedpoint.tanh(x, *parameters))


def _softmax(code: Code) -> None:
    options, source = code.operator.options, code.input(0)
    assert isinstance(options, Softmax)
    multiplier, shift, lowest = softmax_parameters(options.beta, source.q.scale)
    table = code.struct(
        "softmax_t",
        rows=source.elements // source.shape[-1],
        depth=source.shape[-1],
        multiplier=multiplier,
        shift=shift,
        lowest_difference=lowest,
    )
    code.call("softmax_s8", table, code.address(source), code.address(code.output))


WRITERS: dict[str, Writer] = {
    "ABS": _abs,
    "HARD_SWISH": _hard_swish,
    "LEAKY_RELU": _leaky_relu,
    "LOGISTIC": _logistic,
    "RELU": _relu,
    "RELU6": _relu6,
    "SOFTMAX": _softmax,
    "TANH": _tanh,
}
