"""What must conversions between types and quantisations look like?"""

from __future__ import annotations

from harness.tflite.graph import (
    Options,
)
from harness.tflite.operators.node import (
    Check,
    Node,
)


def _dequantize(node: Node) -> Options:
    node.take(1, 1)
    node.int8(node.operand(0))
    if node.output.dtype != "float32":
        raise node.unsupported("dequantises to " + node.output.dtype, "use float32 outputs")
    node.shaped(*node.operand(0).shape)
    return None


def _quantize(node: Node) -> Options:
    node.take(1, 1)
    source, output = node.operand(0), node.output
    node.int8(output)
    if source.dtype != "float32":
        node.int8(source)
    node.shaped(*source.shape)
    return None


CHECKS: dict[str, Check] = {
    "DEQUANTIZE": _dequantize,
    "QUANTIZE": _quantize,
}
