"""How far would arithmetic have misjudged what was measured? MACs for latency, model size for
flash, peak memory for SRAM: errors and ranks, over all networks and among those that the proxy can
hardly tell apart. A coefficient of determination is not given: one large network makes it look
good. Pure.

Both sides are of the same whole, untrained network. Training may leave channels that are not
computed on the unit, and pruning takes some away; the arithmetic of the genotype knows neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.measurement import Measurement
from search.evaluation import Cost, Outcome

FEWEST = 5  # networks; of fewer, a rank correlation says nothing
BAND = 2.0  # within this factor a budget of the proxy cannot choose, but what is measured differs

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Proxy:
    """`name` predicts `quantity` as constant * name ("factor") or constant + name ("offset"), with
    the constant that makes the mean absolute percentage error (MAPE) of these very networks
    least, so that no other one would make the proxy look better.

    rank_correlation: Spearman's, None where it is undefined (all networks alike). band_*: of the
    fullest band of the proxy within a factor BAND: networks in it, their rank correlation (None
    where it is undefined or they are too few), largest by smallest measured value.
    predicted, measured: (n,) in `unit`.
    """

    name: str
    quantity: str
    unit: str
    fit: str
    constant: float
    predicted: Floats
    measured: Floats
    rank_correlation: float | None
    band_count: int
    band_rank_correlation: float | None
    band_spread: float
    label: str

    @property
    def n(self) -> int:
        return len(self.measured)

    @property
    def errors_percent(self) -> Floats:
        """(n,) absolute, of what was measured."""
        return 100 * np.abs(self.predicted - self.measured) / self.measured

    @property
    def mape_percent(self) -> float:
        return float(self.errors_percent.mean())

    @property
    def worst_percent(self) -> float:
        return float(self.errors_percent.max())

    @property
    def constant_in_words(self) -> str:
        if self.fit == "factor":
            return f"{self.constant:.2f} {self.unit} per {self.name.removesuffix('s')}"
        return f"{self.constant:+,.0f} {self.unit}"

    def describe(self) -> str:
        rank = (
            "an undefined rank correlation"
            if self.rank_correlation is None
            else f"a rank correlation of {self.rank_correlation:.3f}"
        )
        text = (
            f"{self.name} alone would have misjudged {self.quantity} by "
            f"{self.mape_percent:.0f} % on average and {self.worst_percent:.0f} % at worst (best "
            f"single constant, {self.constant_in_words}), with {rank} over {self.n} measured "
            f"candidates ({self.label})."
        )
        if self.band_rank_correlation is not None:
            text += (
                f" Among the {self.band_count} networks whose {self.name} lie within a factor of "
                f"{BAND:g}, it is {self.band_rank_correlation:.2f}, and {self.quantity} differs "
                f"by a factor of {self.band_spread:.1f}."
            )
        return text


def judge_proxies(outcomes: Sequence[Outcome]) -> tuple[Proxy, ...]:
    """MACs, model size and peak memory, over all candidates whose whole network was measured and
    counted; none for fewer than FEWEST of those.

    Raises:
        NotComparableError: they were measured under different conditions.
    """
    pairs = [
        (outcome.untrained_cost, outcome.untrained)
        for outcome in outcomes
        if outcome.untrained_cost and outcome.untrained
    ]
    if len(pairs) < FEWEST:
        return ()
    costs, measurements = zip(*pairs, strict=True)
    return (
        judge_macs(costs, measurements),
        _judge(
            "model size", "flash", "bytes", "offset",
            [cost.model_size_bytes for cost in costs],
            [measurement.flash.total_bytes for measurement in measurements],
            measurements,
        ),
        _judge(
            "peak memory", "SRAM", "bytes", "offset",
            [cost.peak_memory_bytes for cost in costs],
            [measurement.sram.total_bytes for measurement in measurements],
            measurements,
        ),
    )  # fmt: skip


def judge_macs(costs: Sequence[Cost], measurements: Sequence[Measurement]) -> Proxy:
    """MACs against measured median cycles (latency in other units: one clock).

    Raises:
        ValueError: no measurement, or one without MACs or cycles.
        NotComparableError: measurements of different boards, timings or builds.
    """
    macs = [cost.macs for cost in costs]
    cycles = [measurement.cycles.median for measurement in measurements]
    return _judge("MACs", "latency", "cycles", "factor", macs, cycles, measurements)


def _judge(
    name: str,
    quantity: str,
    unit: str,
    fit: str,
    proxy: Sequence[float],
    measured: Sequence[float],
    measurements: Sequence[Measurement],
) -> Proxy:
    if not measurements:
        raise ValueError(f"no measurement to compare {name} with")
    for other in measurements[1:]:
        measurements[0].comparable_with(other)
    x, y = np.array(proxy, float), np.array(measured, float)
    if x.min() <= 0 or y.min() <= 0:
        raise ValueError(f"a network has no {name} or no {unit}")
    # sum |c x_i - y_i| / y_i is least at the median of y_i / x_i weighted by x_i / y_i, and
    # sum |c + x_i - y_i| / y_i at the median of y_i - x_i weighted by 1 / y_i.
    if fit == "factor":
        constant = weighted_median(y / x, x / y)
        predicted = constant * x
    else:
        constant = weighted_median(y - x, 1 / y)
        predicted = constant + x
    band = fullest_band(x)
    inside = y[band]
    return Proxy(
        name=name,
        quantity=quantity,
        unit=unit,
        fit=fit,
        constant=constant,
        predicted=predicted,
        measured=y,
        rank_correlation=_spearman(x, y),
        band_count=len(inside),
        band_rank_correlation=_spearman(x[band], inside) if len(inside) >= FEWEST else None,
        band_spread=float(inside.max() / inside.min()),
        label=measurements[0].label,
    )


def weighted_median(values: Floats, weights: Floats) -> float:
    """The least of `values` (n,) that half of all weight does not exceed."""
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulated, cumulated[-1] / 2)])


def fullest_band(values: Floats) -> NDArray[np.bool_]:
    """Mask (n,) of the interval [v, BAND * v] that holds most of `values`; the lowest of
    equals."""
    low = np.unique(values)
    ordered = np.sort(values)
    counts = np.searchsorted(ordered, BAND * low, "right") - np.searchsorted(ordered, low)
    best = low[int(np.argmax(counts))]
    mask: NDArray[np.bool_] = (values >= best) & (values <= BAND * best)
    return mask


def _spearman(x: Floats, y: Floats) -> float | None:
    if len(np.unique(x)) < 2 or len(np.unique(y)) < 2:
        return None
    return float(stats.spearmanr(x, y).statistic)
