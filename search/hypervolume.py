"""How much of what could be wanted has a search reached? The hypervolume indicator (Zitzler and
Thiele, IEEE TEC 3(4), 1999) of its evaluations, computed by moocore (which pymoo uses, too)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import moocore
import numpy as np
from numpy.typing import NDArray

from search.fitness import Objectives


def hypervolume(found: Iterable[Objectives], reference: Mapping[str, float]) -> float:
    """The share of the box between zero and `reference` in which every point is dominated by one
    of those found: 0 (none of them lies inside) to 1 (one of them costs nothing at all). Shares
    compare only under the same reference.

    Args:
        reference: objective -> the value beyond which nothing counts, in the objective's unit;
            the bounds of a search, say. What it does not name is not looked at.

    Raises:
        ValueError: `reference` is empty, or one of its values is not positive.
    """
    names, scale = _scale(reference)
    points = np.array([each.values(names) for each in found]).reshape(-1, len(names)) / scale
    inside = points[(points < 1).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=np.ones(len(names)))) if len(inside) else 0.0


def hypervolume_history(
    found: Iterable[Objectives], reference: Mapping[str, float]
) -> NDArray[np.float64]:
    """(n,): the hypervolume of the first 1, 2, ... n found; never falls. Raises as hypervolume."""
    names, _ = _scale(reference)
    front: list[Objectives] = []
    shares: list[float] = []
    share = 0.0
    for newcomer in found:
        if not any(kept.dominates(newcomer, names) for kept in front):
            front = [kept for kept in front if not newcomer.dominates(kept, names)]
            front.append(newcomer)
            share = max(share, hypervolume(front, reference))  # sums round, by their order
        shares.append(share)
    return np.array(shares)


def _scale(reference: Mapping[str, float]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    scale = np.array([float(value) for value in reference.values()])
    if not len(scale) or not (scale > 0).all():
        raise ValueError(f"a reference needs positive values, got {dict(reference)}")
    return tuple(reference), scale
