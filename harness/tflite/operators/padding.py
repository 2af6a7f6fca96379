"""What must operators that frame a tensor look like?"""

from __future__ import annotations

import enum

import numpy as np

from harness.axes import merge_mirrored, pad_axes
from harness.tflite.graph import (
    Array,
    MirrorPad,
    Options,
    Tensor,
)
from harness.tflite.operators.node import (
    Check,
    Node,
    describe_quantisation,
)

_MOST_AXES = 5  # tflite-micro's kernel refuses more
_MOST_MIRRORED = 4  # axes of mirror_pad_t


class _Mirror(enum.Enum):
    """Whether the outermost element is repeated."""

    REFLECT = 0
    SYMMETRIC = 1


def _pad(node: Node) -> Options:
    padded_v2 = node.op == "PADV2"
    node.take(3 if padded_v2 else 2, 3 if padded_v2 else 2)
    source, output = node.operand(0), node.output
    node.int8_or_int16(source, output)
    if len(source.shape) > _MOST_AXES:
        raise node.unsupported(
            "pads too many axes", "reshape to fewer before", f"<= {_MOST_AXES}", len(source.shape)
        )
    _paddings(node, source)
    if padded_v2:
        value = node.operand(2)
        node.int8(source, value)
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


def _mirror_pad(node: Node) -> Options:
    node.take(2, 2)
    source = node.operand(0)
    node.int8(source, node.output)
    try:
        mode = _Mirror(node.options()["mode"])
    except ValueError:
        raise node.malformed("unknown mode", "0 or 1", node.options()["mode"]) from None
    skipped = 1 if mode is _Mirror.REFLECT else 0
    axes = pad_axes(source.shape, _paddings(node, source))
    for number, axis in enumerate(axes):
        if max(axis.before, axis.after) > axis.size - skipped:
            raise node.malformed(
                f"mirrors more of axis {number} than there is",
                f"<= {axis.size - skipped}",
                max(axis.before, axis.after),
            )
    mirrored, _ = merge_mirrored(axes)
    if len(mirrored) > _MOST_MIRRORED:
        raise node.unsupported(
            "mirrors too many axes",
            "mirror fewer axes, or in two steps",
            f"<= {_MOST_MIRRORED}",
            len(mirrored),
        )
    return MirrorPad(skipped)


def _paddings(node: Node, source: Tensor) -> Array:
    """[axis][before, after]"""
    paddings = node.constant(node.operand(1), "paddings", "int32")
    rank = len(source.shape)
    if paddings.shape != (rank, 2) or (paddings < 0).any():
        raise node.malformed(
            "paddings are impossible", f"({rank}, 2), none negative", f"{paddings.shape}"
        )
    sums = paddings.astype(np.int64).sum(axis=1)
    node.shaped(*(int(size + more) for size, more in zip(source.shape, sums, strict=True)))
    return paddings


CHECKS: dict[str, Check] = {
    "MIRROR_PAD": _mirror_pad,
    "PAD": _pad,
    "PADV2": _pad,
}
