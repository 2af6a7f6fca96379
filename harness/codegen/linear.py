"""Which two products add up to the very int8 that the six roundings of TensorFlow Lite's addition
give? All 65536 pairs of int8 are tried here, so that the sum is exact or not used."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.codegen.fixedpoint import INT8_VALUES
from harness.codegen.functions import Addition
from harness.codegen.tables import Array

FRACTION = 20  # bits below the result
_LIMIT = 1 << 31
# By how much the factors may be larger than the real ones: ties are rounded away from zero.
_STRETCHES = (0.0, *(sign * 2.0**-e for e in range(25, 17, -1) for sign in (1, -1)))
_STEPS = (64, 16, 4, 1)
_MOST_ROUNDS = 12
_NEAR = 1 << 11  # what lies this near to a limit of its result may become the other one

_Limits = tuple[int, int]


@dataclass(frozen=True)
class Sum:
    """(offset + floor(first * a / 2^8) + floor(second * b / 2^8)) >> FRACTION"""

    first: int
    second: int
    offset: int


@functools.lru_cache(maxsize=4096)  # a model is compiled again for its profile, its deployment
def fit_sum(function: Addition, first: float, second: float, limits: _Limits) -> Sum | None:
    """`function`, about first * a + second * b + a constant, before the clamp to `limits`."""
    if not (abs(first) + abs(second) + 2) * 256 * (1 << FRACTION) < _LIMIT:  # int32 everywhere
        return None
    a, b = INT8_VALUES[:, None], INT8_VALUES[None, :]
    pairs = _Pairs(a, b, np.clip(function(a, b), *limits), limits)
    unit = float(1 << (FRACTION + 8))
    start = round(first * unit), round(second * unit)
    near = pairs.near(start)
    for factors in _candidates(near, start):
        if near.slack(factors) >= 0:
            least, most = pairs.offsets(pairs.distances(factors))
            if most >= least:
                return Sum(*factors, (least + most) // 2)
    return None


@dataclass(frozen=True)
class _Pairs:
    """a and b broadcast to the shape of `results`."""

    a: Array
    b: Array
    results: Array
    limits: _Limits

    def distances(self, factors: tuple[int, int]) -> Array:
        """From the sum without its offset up to the least that has the result."""
        linear = ((factors[0] * self.a) >> 8) + ((factors[1] * self.b) >> 8)
        distances: Array = (self.results << FRACTION) - linear
        return distances

    def offsets(self, distances: Array) -> tuple[int, int]:
        """The least and the greatest that give the results, if the least is not greater. What
        lies at a limit may lie beyond it."""
        above = distances[self.results > self.limits[0]]
        below = distances[self.results < self.limits[1]]
        least = int(above.max()) if above.size else -_LIMIT
        most = int(below.min()) + (1 << FRACTION) - 1 if below.size else _LIMIT
        return least, most

    def slack(self, factors: tuple[int, int]) -> int:
        least, most = self.offsets(self.distances(factors))
        return most - least

    def near(self, factors: tuple[int, int]) -> _Pairs:
        """Those that decide about factors near to these."""
        distances = self.distances(factors)
        least, most = self.offsets(distances)
        kept = (distances > min(least, most) - _NEAR) | (
            distances + (1 << FRACTION) < max(least, most) + _NEAR
        )
        a, b, results = np.broadcast_arrays(self.a, self.b, self.results)
        return _Pairs(a[kept], b[kept], results[kept], self.limits)


def _candidates(pairs: _Pairs, start: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Stretched factors first, then a descent from the best of them."""
    first, second = start
    tried = [(round(first * (1 + s)), round(second * (1 + s))) for s in _STRETCHES]
    yield from tried
    best = max(tried, key=pairs.slack)
    for step in _STEPS:
        for _ in range(_MOST_ROUNDS):
            around = [
                (best[0] + i * step, best[1] + j * step) for i in (-1, 0, 1) for j in (-1, 0, 1)
            ]
            better = max(around, key=pairs.slack)
            if pairs.slack(better) <= pairs.slack(best):
                break
            best = better
            yield best
