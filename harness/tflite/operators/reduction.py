"""What must reductions look like?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from harness.tflite.graph import (
    Options,
    Tensor,
)
from harness.tflite.operators.node import (
    Check,
    Node,
)


def _mean(node: Node) -> Options:
    node.take(2, 2)
    source, output = node.operand(0), node.output
    node.int8(source, output)
    axes = mean_axes(source, node.constant(node.operand(1), "axes", "int32"))
    if axes is None:
        raise node.unsupported(
            "reduces axes that do not lie side by side", "average over height and width", "(1, 2)"
        )
    kept = math.prod(source.shape[: axes[0]]) * math.prod(source.shape[axes[1] :])
    if output.elements != kept:
        raise node.malformed("output size contradicts the axes", kept, output.elements)
    return None


def mean_axes(source: Tensor, axes: np.ndarray[Any, np.dtype[Any]]) -> tuple[int, int] | None:
    """Half-open range of the reduced axes, or None when they are no range."""
    rank = len(source.shape)
    chosen = sorted({int(a) + rank if a < 0 else int(a) for a in np.unique(axes)})
    if not chosen or chosen[0] < 0 or chosen[-1] >= rank:
        return None
    if chosen != list(range(chosen[0], chosen[-1] + 1)):
        return None
    return chosen[0], chosen[-1] + 1


CHECKS: dict[str, Check] = {
    "MEAN": _mean,
}
