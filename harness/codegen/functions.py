"""Which function of int8 values is an operator that works element by element? The one that TFLite
Micro's kernel computes, for whoever writes its tables or reasons about its values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.codegen import fixedpoint
from harness.codegen.arithmetic import (
    INT8_MIN,
    activation_range,
    add_multipliers,
    quantise_multiplier,
    quantise_multiplier_16,
    sigmoid_parameters,
    single,
)
from harness.codegen.fixedpoint import Pair
from harness.codegen.tables import Array
from harness.tflite import Activation, Graph, LeakyRelu, Operator, Quantisation

Function = Callable[[Array], Array]  # values, int64 -> results, int8
Function2 = Callable[[Array, Array], Array]  # values of both inputs -> before the clamp, int64


def function_of(graph: Graph, operator: Operator) -> Function | None:
    """Of an operator from int8 to int8; None for one that is no such function.

    Raises:
        UnsupportedModelError: a scale that no multiplier expresses.
    """
    find = _FUNCTIONS.get(operator.op)
    ends = operator.inputs[0], operator.outputs[0]
    if find is None or any(graph.tensor(index).dtype != "int8" for index in ends):
        return None
    return find(graph, operator)


@dataclass(frozen=True)
class Addition:
    """A Function2: ADD, or with sign -1 SUB. `pairs` rescale both inputs and their sum;
    zero_points are theirs."""

    pairs: tuple[Pair, Pair, Pair]
    sign: int
    zero_points: tuple[int, int, int]

    def __call__(self, a: Array, b: Array) -> Array:
        first, second, output = self.zero_points
        return fixedpoint.add(a - first, b - second, self.pairs, self.sign, output)


def sum_of(graph: Graph, operator: Operator) -> Addition:
    """ADD and SUB."""
    indices = (*operator.inputs, *operator.outputs)
    first, second, output = (graph.tensor(index).q for index in indices)
    sign = -1 if operator.op == "SUB" else 1
    one, other, both = add_multipliers(first, second, output, 20, where=_where(operator))
    zero_points = first.zero_point, second.zero_point, output.zero_point
    return Addition((one, other, both), sign, zero_points)


def product_of(graph: Graph, operator: Operator) -> tuple[Pair, Function2]:
    """The rescaling of the product, and the function: MUL."""
    indices = (*operator.inputs, *operator.outputs)
    first, second, output = (graph.tensor(index).q for index in indices)
    real = first.scale * second.scale / output.scale
    pair = quantise_multiplier(real, where=_where(operator))

    def mul(a: Array, b: Array) -> Array:
        x, y = a - first.zero_point, b - second.zero_point
        return fixedpoint.multiply(x, y, pair, output.zero_point)

    return pair, mul


def rescaling_of(graph: Graph, operator: Operator) -> tuple[Pair, int]:
    """The ratio of scales, and the least result: RELU and QUANTIZE."""
    source, output = _ends(graph, operator)
    if operator.op == "QUANTIZE":
        ratio, low = source.scale / output.scale, INT8_MIN
    else:  # TFLite divides these two scales in single precision.
        ratio = single(np.divide, source.scale, output.scale)
        low = max(INT8_MIN, output.zero_point)
    return quantise_multiplier(ratio, where=_where(operator)), low


def _where(operator: Operator) -> str:
    return f"operator {operator.index} ({operator.op})"


def _ends(graph: Graph, operator: Operator) -> tuple[Quantisation, Quantisation]:
    return graph.tensor(operator.inputs[0]).q, graph.tensor(operator.outputs[0]).q


def _abs(graph: Graph, operator: Operator) -> Function:
    q, output = _ends(graph, operator)
    pair = quantise_multiplier(single(np.divide, q.scale, output.scale), where=_where(operator))
    return lambda x: fixedpoint.requantise(abs(x - q.zero_point), 0, pair, output.zero_point)


def _hard_swish(graph: Graph, operator: Operator) -> Function:
    q, output = _ends(graph, operator)
    fine = single(np.divide, q.scale, 128.0)
    gate, result = (
        quantise_multiplier_16(single(np.divide, fine, scale), where=_where(operator))
        for scale in (3.0 / 32768.0, output.scale)
    )
    return lambda x: fixedpoint.hard_swish(x - q.zero_point, gate, result, output.zero_point)


def _leaky_relu(graph: Graph, operator: Operator) -> Function:
    options, (q, output) = operator.options, _ends(graph, operator)
    assert isinstance(options, LeakyRelu)
    identity, alpha = (
        quantise_multiplier(single(np.divide, scale, output.scale), where=_where(operator))
        for scale in (q.scale, single(np.multiply, q.scale, options.alpha))
    )
    return lambda x: fixedpoint.leaky_relu(x - q.zero_point, identity, alpha, output.zero_point)


def _logistic(graph: Graph, operator: Operator) -> Function:
    q, _ = _ends(graph, operator)
    parameters = sigmoid_parameters(q.scale)
    return lambda x: fixedpoint.logistic(x - q.zero_point, *parameters)


def _tanh(graph: Graph, operator: Operator) -> Function:
    q, _ = _ends(graph, operator)
    parameters = sigmoid_parameters(q.scale)
    return lambda x: fixedpoint.tanh(x - q.zero_point, *parameters)


def _relu6(graph: Graph, operator: Operator) -> Function:
    q, _ = _ends(graph, operator)
    low, high = activation_range(Activation.RELU6, q, where=_where(operator))
    return lambda x: fixedpoint.saturate(x, low=low, high=high)


def _rescaling(graph: Graph, operator: Operator) -> Function:
    q, output = _ends(graph, operator)
    pair, low = rescaling_of(graph, operator)
    return lambda x: fixedpoint.requantise(x, q.zero_point, pair, output.zero_point, low=low)


_FUNCTIONS: dict[str, Callable[[Graph, Operator], Function]] = {
    "ABS": _abs,
    "HARD_SWISH": _hard_swish,
    "LEAKY_RELU": _leaky_relu,
    "LOGISTIC": _logistic,
    "QUANTIZE": _rescaling,
    "RELU": _rescaling,
    "RELU6": _relu6,
    "TANH": _tanh,
}
