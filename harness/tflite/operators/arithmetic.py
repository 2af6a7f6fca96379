"""What must arithmetic of two tensors look like?"""

from __future__ import annotations

from harness.tflite.graph import (
    Arithmetic,
    Options,
)
from harness.tflite.operators.node import (
    Check,
    Node,
)


def _add(node: Node) -> Options:
    node.take(2, 2)
    first, second, output = node.operand(0), node.operand(1), node.output
    node.int8(first, second, output)
    if first.shape != second.shape:
        raise node.unsupported(
            "adds different shapes", "make both inputs equal in shape", first.shape, second.shape
        )
    node.shaped(*first.shape)
    ratio = 2.0 * max(first.q.scale, second.q.scale) / (float(1 << 20) * output.q.scale)
    if ratio >= 1.0:
        raise node.unsupported(
            "output scale is too small for its inputs",
            "convert the model again with a representative dataset",
            f"> {max(first.q.scale, second.q.scale) / (1 << 19):g}",
            f"{output.q.scale:g}",
        )
    return Arithmetic(node.activation())


CHECKS: dict[str, Check] = {
    "ADD": _add,
}
