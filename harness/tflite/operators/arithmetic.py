"""What must arithmetic of two tensors look like?"""

from __future__ import annotations

from harness.broadcast import result_shape
from harness.tflite.graph import (
    Arithmetic,
    Options,
)
from harness.tflite.operators.node import (
    Check,
    Node,
    describe_quantisation,
)


def _add(node: Node) -> Options:
    _pair(node, int16=node.op == "ADD")
    scales = [node.operand(0).q.scale, node.operand(1).q.scale]
    bits = 15 if node.output.dtype == "int16" else 20  # as many more as the reference adds with
    ratio = 2.0 * max(scales) / (float(1 << bits) * node.output.q.scale)
    if ratio >= 1.0:
        raise node.unsupported(
            "output scale is too small for its inputs",
            "convert the model again with a representative dataset",
            f"> {max(scales) / (1 << (bits - 1)):g}",
            f"{node.output.q.scale:g}",
        )
    return Arithmetic(node.activation())


def _mul(node: Node) -> Options:
    _pair(node)
    return Arithmetic(node.activation())


def _extremum(node: Node) -> Options:
    _pair(node)
    first, second = node.operand(0), node.operand(1)
    for other in (second, node.output):
        if (first.q.scale, first.q.zero_point) != (other.q.scale, other.q.zero_point):
            raise node.unsupported(
                "compares different quantisations",
                "convert the model again",
                describe_quantisation(first),
                describe_quantisation(other),
            )
    return None


def _prelu(node: Node) -> Options:
    _pair(node)
    return None


def _pair(node: Node, *, int16: bool = False) -> None:
    """Two int8 inputs whose shapes fit each other, and the output that they make; or, where the
    operator has a kernel for them, two of int16 and one shape."""
    node.take(2, 2)
    first, second = node.operand(0), node.operand(1)
    check = node.int8_or_int16 if int16 else node.int8
    check(first, second, node.output)
    if node.output.dtype == "int16" and first.shape != second.shape:
        raise node.unsupported(
            "adds different shapes of int16",
            "make both inputs equal in shape",
            first.shape,
            second.shape,
        )
    shape = result_shape(first.shape, second.shape)
    if shape is None:
        raise node.malformed(
            "inputs do not fit each other", f"{first.shape} or sizes of 1", second.shape
        )
    node.shaped(*shape)


CHECKS: dict[str, Check] = {
    "ADD": _add,
    "MAXIMUM": _extremum,
    "MINIMUM": _extremum,
    "MUL": _mul,
    "PRELU": _prelu,
    "SUB": _add,
}
