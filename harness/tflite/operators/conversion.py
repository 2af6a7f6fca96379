"""What must conversions between types and quantisations look like?"""

from __future__ import annotations

from harness.tflite.graph import (
    Options,
)
from harness.tflite.operators.node import (
    Check,
    Node,
)

# What TensorFlow Lite Micro converts to what.
_DEQUANTIZED = ("int8", "int16", "uint8")
_QUANTIZED = {
    "float32": ("int8", "int16"),
    "int8": ("int8", "int16", "int32", "uint8"),
    "int16": ("int8", "int16", "int32"),
    "int32": ("int8", "int16"),
    "uint8": ("int8",),
}
_CAST_FROM = ("bool", "float32", "int8", "int16", "int32", "uint32")
_CAST_TO = ("float32", "int8", "int16", "int32", "uint32")


def _cast(node: Node) -> Options:
    _converts(node, {source: _CAST_TO for source in _CAST_FROM})
    return None


def _dequantize(node: Node) -> Options:
    _converts(node, {source: ("float32",) for source in _DEQUANTIZED})
    node.one_scale(node.operand(0))
    return None


def _quantize(node: Node) -> Options:
    _converts(node, _QUANTIZED)
    if node.operand(0).dtype != "float32":
        node.one_scale(node.operand(0))
    node.one_scale(node.output)
    return None


def _converts(node: Node, known: dict[str, tuple[str, ...]]) -> None:
    """One input, one output of its shape, and types that are `known`."""
    node.take(1, 1)
    source, output = node.operand(0), node.output
    if source.dtype not in known:
        raise node.unsupported(
            f"converts from {source.dtype}",
            "use another type at the network's borders",
            ", ".join(sorted(known)),
            source.dtype,
        )
    if output.dtype not in known[source.dtype]:
        raise node.unsupported(
            f"converts {source.dtype} to {output.dtype}",
            "use another type at the network's borders",
            ", ".join(known[source.dtype]),
            output.dtype,
        )
    node.shaped(*source.shape)


CHECKS: dict[str, Check] = {
    "CAST": _cast,
    "DEQUANTIZE": _dequantize,
    "QUANTIZE": _quantize,
}
