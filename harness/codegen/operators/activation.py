"""What C do activation functions become?"""

from __future__ import annotations

import numpy as np

from harness.codegen.arithmetic import (
    INT8_MIN,
    activation_range,
    single,
    softmax_parameters,
)
from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.requantization import write_rescaling
from harness.tflite import Activation, Softmax


def _relu(code: Code) -> None:
    source, output = code.input(0), code.output
    # TFLite divides these two scales in single precision.
    ratio = single(np.divide, source.q.scale, output.q.scale)
    write_rescaling(code, ratio, max(INT8_MIN, output.q.zero_point))


def _relu6(code: Code) -> None:
    source, output = code.input(0), code.output
    low, high = activation_range(Activation.RELU6, source.q, where=code.where)
    code.call("clamp_s8", output.elements, low, high, code.address(source), code.address(output))


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
    "RELU": _relu,
    "RELU6": _relu6,
    "SOFTMAX": _softmax,
}
