"""What must activation functions look like?"""

from __future__ import annotations

import math

import numpy as np

from harness.tflite.graph import (
    LeakyRelu,
    Options,
    Softmax,
)
from harness.tflite.operators.node import (
    Check,
    Node,
    describe_quantisation,
)

_MOST_INT16_CLASSES = 1 << 16  # their exponentials add up in an int32
_MOST_STEP = 2.5  # from there on, TFLite's int16 softmax shifts differences out of an int32
_MOST_CLASSES = 4095  # TFLite sums exponentials up to 1 as Q12.19
# Beyond these TFLite's logistic and tanh shift 64 bits to the left by less than 0 or more than 62.
_LEAST_SCALE, _SCALE_LIMIT = 2.0**-28, 2.0**35


def _unary(node: Node) -> Options:
    node.take(1, 1)
    node.int8(node.operand(0), node.output)
    node.shaped(*node.operand(0).shape)
    return None


def _relu(node: Node) -> Options:
    node.take(1, 1)
    source, output = node.operand(0), node.output
    node.int8_or_int16(source, output)
    node.shaped(*source.shape)
    if node.op == "RELU6" and (source.q.scale, source.q.zero_point) != (
        output.q.scale,
        output.q.zero_point,
    ):
        raise node.unsupported(
            "RELU6 changes the quantisation",
            "convert the model again",
            describe_quantisation(source),
            describe_quantisation(output),
        )
    return None


def _sigmoid(node: Node) -> Options:
    _unary(node)
    _fixed_output(node, *((1 / 256, -128) if node.op == "LOGISTIC" else (1 / 128, 0)))
    scale = node.operand(0).q.scale
    if not _LEAST_SCALE <= scale < _SCALE_LIMIT:
        raise node.unsupported(
            "input scale is out of range",
            "convert the model again with a representative dataset",
            f"{_LEAST_SCALE:g} <= scale < {_SCALE_LIMIT:g}",
            f"{scale:g}",
        )
    return None


def _leaky_relu(node: Node) -> Options:
    _unary(node)
    alpha = float(node.options()["alpha"])
    if not math.isfinite(alpha):
        raise node.malformed("alpha is not finite", "a number", alpha)
    return LeakyRelu(alpha)


def _hard_swish(node: Node) -> Options:
    _unary(node)
    source, output = node.operand(0), node.output
    if np.float32(source.q.scale) / np.float32(128) >= output.q.scale:
        raise node.unsupported(
            "output scale is too small for the input's",
            "convert the model again with a representative dataset",
            f"> {source.q.scale / 128:g}",
            f"{output.q.scale:g}",
        )
    return None


def _fixed_output(node: Node, scale: float, zero_point: int) -> None:
    q = node.output.q
    if (q.scale, q.zero_point) != (scale, zero_point):
        raise node.unsupported(
            f"output quantisation is not that of {node.op}",
            "convert the model again",
            f"scale {scale:.9g}, zero point {zero_point}",
            describe_quantisation(node.output),
        )


def _softmax(node: Node) -> Options:
    node.take(1, 1)
    source = node.operand(0)
    node.int8_or_int16(source, node.output)
    node.shaped(*source.shape)
    if not source.shape:
        raise node.malformed("softmax of a scalar", "rank >= 1", 0)
    if source.dtype == "int16":
        return _softmax_of_int16(node)
    _fixed_output(node, 1 / 256, -128)
    beta = float(node.options()["beta"])
    if not math.isfinite(beta) or beta * source.q.scale * (1 << 26) <= 1.0:
        raise node.unsupported(
            "beta times scale is out of range",
            "convert the model again",
            "> 2^-26",
            f"{beta * source.q.scale:g}",
        )
    if source.shape[-1] > _MOST_CLASSES:
        raise node.unsupported(
            "has too many classes", "use fewer", f"<= {_MOST_CLASSES}", source.shape[-1]
        )
    return Softmax(beta)


def _softmax_of_int16(node: Node) -> Options:
    _fixed_output(node, 1 / 32768, 0)
    source = node.operand(0)
    beta = float(node.options()["beta"])
    if not 0 < beta * source.q.scale < _MOST_STEP:
        raise node.unsupported(
            "beta times scale is out of range",
            "convert the model again",
            f"above 0, below {_MOST_STEP}",
            f"{beta * source.q.scale:g}",
        )
    if source.shape[-1] > _MOST_INT16_CLASSES:
        raise node.unsupported(
            "has too many classes", "use fewer", f"<= {_MOST_INT16_CLASSES}", source.shape[-1]
        )
    return Softmax(beta)


CHECKS: dict[str, Check] = {
    "ABS": _unary,
    "HARD_SWISH": _hard_swish,
    "LEAKY_RELU": _leaky_relu,
    "LOGISTIC": _sigmoid,
    "RELU": _relu,
    "RELU6": _relu,
    "SOFTMAX": _softmax,
    "TANH": _sigmoid,
}
