"""Who is worth training in full? After short training a candidate is held against those that were
short-trained before it, and goes on where it is among the best of them: successive halving with
one rung (Jamieson and Talwalkar, arXiv 1502.07943), asynchronous (Li et al., arXiv 1810.05934) and
of several objectives (Schmucker et al., arXiv 2106.12639). Must not know how anything is trained.

Whom a candidate is held against is told with its task: those known when it was asked for. So what
becomes of it follows from the seed, and not from the pace of workers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.config import Tiers
from search.evaluation import Outcome
from search.fitness import Objectives

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Peer:
    """A candidate after short training. values: of the search's objectives, less is better;
    val_error is the short one, the others were measured before training."""

    archid: str
    values: tuple[float, ...]


Rung = tuple[Peer, ...]


def peer_of(outcome: Outcome, objectives: Sequence[str]) -> Peer | None:
    """None where the candidate was not short-trained."""
    if outcome.short_error is None or outcome.untrained is None:
        return None
    values = Objectives.of_measured(outcome.short_error, outcome.untrained).values(objectives)
    return Peer(outcome.archid, values)


def left_behind(peer: Peer, rung: Rung, tiers: Tiers) -> str | None:
    """Why `peer` does not go on, as a sentence; None where it does.

    It goes on where it is among the best 1/eta of the rung and itself: those of lower
    non-dominated rank come first, and within one rank those with the larger crowding distance (Deb
    et al., IEEE TEC 6(2), 2002). Nobody is left behind as long as fewer than `minimum` are known.
    """
    if len(rung) < tiers.minimum:
        return None
    values = np.array([peer.values, *(other.values for other in rung)])  # (n, objectives)
    order = _ranking(values)
    place, places = order.index(0), math.ceil(len(order) / tiers.eta)
    if place < places:
        return None
    better = [rung[index - 1].archid[:8] for index in order[:place] if dominates(values, index, 0)]
    if better:
        against = f"{len(better)} of them dominate it, {better[-1]} among them"
    else:
        against = f"{rung[order[place - 1] - 1].archid[:8]} is the next before it"
    return f"place {place + 1} of {len(order)} after short training, and {places} go on: {against}"


def dominates(values: Array, one: int, other: int) -> bool:
    """Whether row `one` of (n, objectives) is nowhere worse than `other`, and better once."""
    return bool(np.all(values[one] <= values[other]) and np.any(values[one] < values[other]))


def _ranking(values: Array) -> list[int]:
    """Rows of (n, objectives), best first; of equals the one that stands first comes last."""
    no_worse = np.all(values[:, None] <= values[None], axis=2)  # [i, j]: i is no worse than j
    dominating = no_worse & ~no_worse.T
    left = np.ones(len(values), bool)
    order: list[int] = []
    while left.any():
        front = np.flatnonzero(left & ~np.any(dominating & left[:, None], axis=0))
        room = _crowding(values[front])
        order += [int(front[index]) for index in np.lexsort((-front, -room))]
        left[front] = False
    return order


def _crowding(values: Array) -> Array:
    """Crowding distances (n,) of one front (n, objectives); infinite at its ends."""
    count, distances = len(values), np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        ranked = column[order]
        span = ranked[-1] - ranked[0]
        if span == 0:
            continue
        distances[order[[0, -1]]] = np.inf
        if count > 2:
            distances[order[1:-1]] += (ranked[2:] - ranked[:-2]) / span
    return distances
