"""What must operators that move values and change none look like?"""

from __future__ import annotations

from harness.tflite.graph import (
    Options,
    Transpose,
)
from harness.tflite.operators.node import (
    FLOAT_HINT,
    Check,
    Node,
)

# tflite-micro refuses more than five; the bytes of an int16 are an axis of strided_copy_t.
_MOST_TRANSPOSED = {"int8": 5, "int16": 4}


def _expand_dims(node: Node) -> Options:
    node.take(2, 2)
    shape = node.operand(0).shape
    at = node.axis(node.scalar(1, "axes"), len(shape) + 1)
    node.shaped(*shape[:at], 1, *shape[at:])
    return _same_bytes(node)


def _squeeze(node: Node) -> Options:
    node.take(1, 1)
    shape = node.operand(0).shape
    raw = node.options()["axes"]
    ones = {axis for axis, size in enumerate(shape) if size == 1}
    chosen = (
        ones if raw is None or not len(raw) else {node.axis(int(axis), len(shape)) for axis in raw}
    )
    if not chosen <= ones:
        raise node.malformed("squeezes axes of more than one", sorted(ones), sorted(chosen))
    node.shaped(*(size for axis, size in enumerate(shape) if axis not in chosen))
    return _same_bytes(node)


def _reshape(node: Node) -> Options:
    node.take(1, 2)
    source, output = node.operand(0), node.output
    if source.dtype != output.dtype or source.elements != output.elements:
        raise node.malformed("changes type or size", (source.dtype, source.shape), output.shape)
    if len(node.inputs) == 2:
        node.constant(node.operand(1), "new shapes", "int32")
    return _same_bytes(node)


def _same_bytes(node: Node) -> Options:
    source, output = node.operand(0), node.output
    if source.dtype != output.dtype:
        raise node.malformed("changes the type", source.dtype, output.dtype)
    if source.dtype not in ("int8", "int16"):
        raise node.unsupported(
            "reshapes " + source.dtype, FLOAT_HINT, "int8 or int16", source.dtype
        )
    return None


def _transpose(node: Node) -> Options:
    node.take(2, 2)
    source = node.operand(0)
    node.int8_or_int16(source, node.output)
    rank, most = len(source.shape), _MOST_TRANSPOSED[source.dtype]
    if rank > most:
        raise node.unsupported(
            "transposes too many axes", "reshape to fewer before", f"<= {most}", rank
        )
    values = node.constant(node.operand(1), "permutations", "int32")
    order = tuple(int(axis) for axis in values.ravel())
    if values.ndim != 1 or sorted(order) != list(range(rank)):
        raise node.malformed("is no permutation", f"of {list(range(rank))}", list(order))
    node.shaped(*(source.shape[axis] for axis in order))
    return Transpose(order)


CHECKS: dict[str, Check] = {
    "EXPAND_DIMS": _expand_dims,
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "TRANSPOSE": _transpose,
}
