"""What must operators that move values and change none look like?"""

from __future__ import annotations

import numpy as np

from harness.tflite.graph import (
    Options,
    Transpose,
)
from harness.tflite.operators.node import (
    FLOAT_HINT,
    Check,
    Node,
    describe_quantisation,
)

_MOST_TRANSPOSED = 5  # tflite-micro's kernel refuses more


def _pad(node: Node) -> Options:
    padded_v2 = node.op == "PADV2"
    node.take(3 if padded_v2 else 2, 3 if padded_v2 else 2)
    source, output = node.operand(0), node.output
    node.int8(source, output)
    rank = len(source.shape)
    if rank > 4:
        raise node.unsupported("pads more than four axes", "pad fewer axes", "<= 4", rank)
    paddings = node.constant(node.operand(1), "paddings", "int32")
    if paddings.shape != (rank, 2) or (paddings < 0).any():
        raise node.malformed(
            "paddings are impossible", f"({rank}, 2), none negative", f"{paddings.shape}"
        )
    sums = paddings.astype(np.int64).sum(axis=1)
    node.shaped(*(int(size + more) for size, more in zip(source.shape, sums, strict=True)))
    if padded_v2:
        value = node.operand(2)
        node.int8(value)
        node.constant(value, "pad values", "int8")
        if value.elements != 1:
            raise node.malformed("pad value is no scalar", 1, value.elements)
        if (value.q.scale, value.q.zero_point) != (output.q.scale, output.q.zero_point):
            raise node.unsupported(
                "pad value has its own quantisation",
                "convert the model again",
                describe_quantisation(output),
                describe_quantisation(value),
            )
    return None


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
    if source.dtype != "int8":
        raise node.unsupported("reshapes " + source.dtype, FLOAT_HINT, "int8", source.dtype)
    return None


def _transpose(node: Node) -> Options:
    node.take(2, 2)
    source = node.operand(0)
    node.int8(source, node.output)
    rank = len(source.shape)
    if rank > _MOST_TRANSPOSED:
        raise node.unsupported(
            "transposes too many axes", "reshape to fewer before", f"<= {_MOST_TRANSPOSED}", rank
        )
    values = node.constant(node.operand(1), "permutations", "int32")
    order = tuple(int(axis) for axis in values.ravel())
    if values.ndim != 1 or sorted(order) != list(range(rank)):
        raise node.malformed("is no permutation", f"of {list(range(rank))}", list(order))
    node.shaped(*(source.shape[axis] for axis in order))
    return Transpose(order)


CHECKS: dict[str, Check] = {
    "EXPAND_DIMS": _expand_dims,
    "PAD": _pad,
    "PADV2": _pad,
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "TRANSPOSE": _transpose,
}
