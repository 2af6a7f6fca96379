"""What must activation functions look like?"""

from __future__ import annotations

import math

from harness.tflite.graph import (
    Options,
    Softmax,
)
from harness.tflite.operators.node import (
    Check,
    Node,
    describe_quantisation,
)

_MOST_CLASSES = 511  # from 512 on, TFLite's softmax shifts an int32 by 32


def _relu(node: Node) -> Options:
    node.take(1, 1)
    source, output = node.operand(0), node.output
    node.int8(source, output)
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


def _softmax(node: Node) -> Options:
    node.take(1, 1)
    source, output = node.operand(0), node.output
    node.int8(source, output)
    node.shaped(*source.shape)
    if not source.shape:
        raise node.malformed("softmax of a scalar", "rank >= 1", 0)
    if (output.q.scale, output.q.zero_point) != (1 / 256, -128):
        raise node.unsupported(
            "output quantisation is not softmax's",
            "convert the model again",
            "scale 0.00390625, zero point -128",
            describe_quantisation(output),
        )
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


CHECKS: dict[str, Check] = {
    "RELU": _relu,
    "RELU6": _relu,
    "SOFTMAX": _softmax,
}
