"""What C do activation functions become?"""

from __future__ import annotations

from harness.codegen.arithmetic import activation_range, softmax_parameters
from harness.codegen.fixedpoint import INT8_VALUES
from harness.codegen.functions import function_of
from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.lookup import write_lookup
from harness.codegen.operators.requantization import write_rescaling
from harness.tflite import Activation, Softmax


def _lookup(code: Code) -> None:
    function = function_of(code.graph, code.operator)
    assert function is not None
    write_lookup(code, code.input(0), function(INT8_VALUES))


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
    "ABS": _lookup,
    "HARD_SWISH": _lookup,
    "LEAKY_RELU": _lookup,
    "LOGISTIC": _lookup,
    "RELU": write_rescaling,
    "RELU6": _relu6,
    "SOFTMAX": _softmax,
    "TANH": _lookup,
}
