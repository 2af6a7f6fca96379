"""Which axes of a tensor can a kernel walk as one? Row-major sizes become fewer and longer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Strided:
    """An axis of `size` elements that lie `stride` apart."""

    size: int
    stride: int


@dataclass(frozen=True)
class Padded:
    """An axis of `size` elements with `before` more in front of them and `after` more behind."""

    size: int
    before: int
    after: int

    @property
    def total(self) -> int:
        return self.before + self.size + self.after

    @property
    def plain(self) -> bool:
        return self.total == self.size


def strides(shape: Sequence[int]) -> list[int]:
    """Elements from one index of an axis to the next, for each axis."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def merge_strided(axes: Sequence[Strided]) -> list[Strided]:
    """An axis joins the one inside it where it goes on at the same step."""
    merged: list[Strided] = []
    for axis in axes:
        if axis.size == 1:
            continue
        if merged and merged[-1].stride == axis.size * axis.stride:
            axis = Strided(merged.pop().size * axis.size, axis.stride)
        merged.append(axis)
    return merged


def pad_axes(shape: Sequence[int], paddings: Array) -> list[Padded]:
    """`paddings` are [axis][before, after], as the schema has them."""
    return [
        Padded(size, int(before), int(after))
        for size, (before, after) in zip(shape, paddings, strict=True)
    ]


def merge_padded(axes: Sequence[Padded]) -> list[Padded]:
    """An axis without padding joins the one around it, whose elements become longer."""
    merged: list[Padded] = []
    for axis in axes:
        if merged and axis.plain:
            around = merged.pop()
            axis = Padded(
                around.size * axis.size, around.before * axis.size, around.after * axis.size
            )
        merged.append(axis)
    return merged


def merge_mirrored(axes: Sequence[Padded]) -> tuple[list[Padded], int]:
    """(axes down to the last one with padding, size of what lies inside them). Elements of a
    mirrored axis change places and stay whole; axes without padding around it are one."""
    last = max((i for i, axis in enumerate(axes) if not axis.plain), default=-1)
    merged: list[Padded] = []
    for axis in axes[: last + 1]:
        if axis.plain and axis.size == 1:
            continue
        if axis.plain and merged and merged[-1].plain:
            axis = Padded(merged.pop().size * axis.size, 0, 0)
        merged.append(axis)
    return merged, math.prod(axis.size for axis in axes[last + 1 :])


def merge_reduced(shape: Sequence[int], reduced: Collection[int]) -> list[int]:
    """Sizes of alternately kept and reduced axes, a kept one first and last."""
    sizes = [(axis in reduced, size) for axis, size in enumerate(shape) if size > 1]
    merged = [1]
    for is_reduced, group in itertools.groupby(sizes, key=lambda one: one[0]):
        count = math.prod(size for _, size in group)
        if is_reduced == bool(len(merged) % 2):  # the last one is of the other kind
            merged.append(count)
        else:
            merged[-1] *= count
    return merged if len(merged) % 2 else [*merged, 1]
