"""How do the elements of two tensors meet? Shapes are aligned at their last axis, and an axis of
size 1 is repeated (TensorFlow Lite broadcasts as numpy does)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Axis:
    """`size` steps; what each operand moves by at a step, 0 where it is repeated."""

    size: int
    first: int
    second: int


def result_shape(first: Shape, second: Shape) -> Shape | None:
    """None where the shapes do not fit each other."""
    try:
        return np.broadcast_shapes(first, second)
    except ValueError:
        return None


def merge_axes(first: Shape, second: Shape) -> tuple[Axis, ...]:
    """The fewest axes, outermost first, that walk the result of both from end to end."""
    rank = max(len(first), len(second))
    padded = [(1,) * (rank - len(shape)) + shape for shape in (first, second)]
    merged: list[Axis] = []
    sizes = [1, 1]  # of one step along the axis, in elements of each operand
    for lengths in zip(*(shape[::-1] for shape in padded), strict=True):
        size = max(lengths)
        if size > 1:
            steps = [0 if length == 1 else one for length, one in zip(lengths, sizes, strict=True)]
            last = merged[-1] if merged else None
            if last and all(
                step == inner * last.size
                for step, inner in zip(steps, (last.first, last.second), strict=True)
            ):
                merged[-1] = Axis(last.size * size, last.first, last.second)
            else:
                merged.append(Axis(size, *steps))
        sizes = [one * length for one, length in zip(sizes, lengths, strict=True)]
    return tuple(reversed(merged)) or (Axis(1, 1, 1),)
