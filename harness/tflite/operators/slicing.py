"""What must operators that keep a part of a tensor look like?"""

from __future__ import annotations

import numpy as np

from harness.tflite.graph import (
    Array,
    Axis,
    Options,
    Slice,
)
from harness.tflite.operators.node import (
    Check,
    Node,
)

# tflite-micro's kernels refuse, or abort on, more axes.
_MOST_AXES = {"SLICE": 5, "STRIDED_SLICE": 4}
_LONGEST_STEP = 1 << 30  # the kernel counts beyond the end in int32


def _gather(node: Node) -> Options:
    node.take(2, 2)
    source, options = node.operand(0), node.options()
    node.int8(source, node.output)
    if options["batch_dims"]:
        raise node.unsupported(
            "gathers by batch", "gather with batch_dims=0", 0, options["batch_dims"]
        )
    axis = node.axis(int(options["axis"]), len(source.shape))
    positions = node.constant(node.operand(1), "positions", "int32")
    size = source.shape[axis]
    if ((positions < 0) | (positions >= size)).any():
        raise node.malformed(
            f"positions leave axis {axis}",
            f"0..{size - 1}",
            f"{positions.min()}..{positions.max()}",
        )
    node.shaped(*source.shape[:axis], *positions.shape, *source.shape[axis + 1 :])
    return Axis(axis)


def _slice(node: Node) -> Options:
    node.take(3, 3)
    shape = _axes(node)
    begin, sizes = (
        _vector(node, position, name, len(shape))
        for position, name in ((1, "beginnings"), (2, "sizes"))
    )
    found = []
    for axis, (size, first, count) in enumerate(zip(shape, begin, sizes, strict=True)):
        count = size - first if count == -1 else count
        if not 0 <= first < first + count <= size:
            raise node.malformed(
                f"leaves axis {axis}", f"within 0..{size}", f"{first}..{first + count}"
            )
        found.append(count)
    node.shaped(*found)
    return Slice(begin, (1,) * len(shape), tuple(found))


def _strided_slice(node: Node) -> Options:
    node.take(4, 4)
    shape = _axes(node)
    options = node.options()
    for name in ("ellipsis_mask", "new_axis_mask", "offset"):
        if options[name]:
            raise node.unsupported(
                f"uses {name.replace('_', ' ')}",
                "slice with one begin, end and stride for each axis",
                0,
                int(options[name]),
            )
    begins, ends, steps = (
        _vector(node, position, name, len(shape))
        for position, name in ((1, "beginnings"), (2, "ends"), (3, "strides"))
    )
    found, sizes, kept = [], [], []
    for axis, size in enumerate(shape):

        def masked(name: str, bit: int = 1 << axis) -> bool:
            return bool(options[name] & bit)

        step = steps[axis]
        if step == 0:
            raise node.malformed(f"stride of axis {axis} is 0", "another", 0)
        if abs(step) > _LONGEST_STEP:
            raise node.unsupported(
                f"stride of axis {axis} reaches too far",
                "use one no longer than the axis",
                f"<= {_LONGEST_STEP}",
                step,
            )
        low, high = (0, size) if step > 0 else (-1, size - 1)
        first = _clip(begins[axis], size, low, high)
        last = _clip(ends[axis], size, low, high)
        if masked("begin_mask"):
            first = 0 if step > 0 else size - 1
        if masked("end_mask"):
            last = size if step > 0 else -1
        if masked("shrink_axis_mask"):
            if step < 0 or not 0 <= first < size:
                raise node.malformed(
                    f"takes no element of axis {axis}",
                    f"an index of -{size}..{size - 1} and a stride > 0",
                    f"{begins[axis]} and {step}",
                )
            count = 1
        else:
            count = len(range(first, last, step))
            kept.append(count)
        found.append(first)
        sizes.append(count)
    node.shaped(*kept)
    return Slice(tuple(found), steps, tuple(sizes))


def _axes(node: Node) -> tuple[int, ...]:
    source = node.operand(0)
    node.int8_or_int16(source, node.output)
    rank, most = len(source.shape), _MOST_AXES[node.op]
    if not rank:
        raise node.malformed("slices a scalar", "an axis", 0)
    if rank > most:
        raise node.unsupported(
            "slices too many axes", "reshape to fewer before", f"<= {most}", rank
        )
    return source.shape


def _vector(node: Node, position: int, what: str, rank: int) -> tuple[int, ...]:
    values: Array = node.constant(node.operand(position), what, "int32")
    if values.shape != (rank,):
        raise node.malformed(f"{what} are not one for each axis", (rank,), values.shape)
    return tuple(values.astype(np.int64).tolist())


def _clip(index: int, size: int, low: int, high: int) -> int:
    """Negative indices count from the end; those outside mean the nearest inside."""
    return min(max(index + size if index < 0 else index, low), high)


CHECKS: dict[str, Check] = {
    "GATHER": _gather,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
}
