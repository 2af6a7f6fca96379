"""What must reductions look like?"""

from __future__ import annotations

import math

from harness.axes import merge_reduced
from harness.tflite.graph import (
    Axis,
    Options,
    Reduction,
)
from harness.tflite.operators.node import (
    Check,
    Node,
    describe_quantisation,
)

_MOST_GROUPS = 5  # of axes kept and reduced by turns, a kept one first and last


def _sum(node: Node) -> Options:
    node.take(2, 2)
    source, output = node.operand(0), node.output
    check = node.int8 if node.op in ("REDUCE_MAX", "REDUCE_MIN") else node.int8_or_int16
    check(source, output)
    values = node.constant(node.operand(1), "axes", "int32")
    rank = len(source.shape)
    axes = tuple(sorted({node.axis(int(axis), rank) for axis in values.ravel()}))
    if len(merge_reduced(source.shape, axes)) > _MOST_GROUPS:
        raise node.unsupported(
            "reduces axes in three places",
            "reduce in two steps",
            "one or two runs of axes side by side",
            axes,
        )
    kept = math.prod(size for axis, size in enumerate(source.shape) if axis not in axes)
    node.sums_of_int16(source.elements // kept)
    if output.elements != kept:
        raise node.malformed("output size contradicts the axes", kept, output.elements)
    return Reduction(axes)


def _extreme(node: Node) -> Options:
    options = _sum(node)
    source, output = node.operand(0), node.output
    if (source.q.scale, source.q.zero_point) != (output.q.scale, output.q.zero_point):
        raise node.unsupported(
            f"{node.op} changes the quantisation",
            "convert the model again",
            describe_quantisation(source),
            describe_quantisation(output),
        )
    return options


def _arg_max(node: Node) -> Options:
    node.take(2, 2)
    source, output = node.operand(0), node.output
    node.int8(source)
    axis = node.axis(node.scalar(1, "axes"), len(source.shape))
    if output.dtype != "int32":
        raise node.unsupported(
            f"finds places as {output.dtype}",
            "export it with output_type=int32",
            "int32",
            output.dtype,
        )
    node.shaped(*source.shape[:axis], *source.shape[axis + 1 :])
    return Axis(axis)


CHECKS: dict[str, Check] = {
    "ARG_MAX": _arg_max,
    "ARG_MIN": _arg_max,
    "MEAN": _sum,
    "REDUCE_MAX": _extreme,
    "REDUCE_MIN": _extreme,
    "SUM": _sum,
}
