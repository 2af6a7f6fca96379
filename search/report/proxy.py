"""How far would MACs alone have misjudged? Everything a run has measured, against the best that
one constant of cycles per MAC can do. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from harness.measurement import Measurement
from search.evaluation import Evaluation, Outcome

FEWEST = 5  # networks; below, a rank correlation says nothing
BAND = 2.0  # networks whose MACs differ by at most this factor count as "equal" to the eye


@dataclass(frozen=True)
class MacsProxy:
    """cycles_per_mac: the constant with the least mean absolute percentage error. mape and worst:
    mean and largest |k * MACs / clock - latency| / latency. rank_correlation: Spearman, over all
    `count` networks; band_*: over the fullest band of MACs within a factor BAND (None: too few).
    """

    count: int
    cycles_per_mac: float
    mape: float
    worst: float
    rank_correlation: float
    band_count: int
    band_rank_correlation: float | None
    label: str

    @property
    def sentence(self) -> str:
        """One sentence for people."""
        text = (
            f"MACs alone would have misjudged latency by {self.mape:.0%} on average and "
            f"{self.worst:.0%} at worst, even with the best single constant "
            f"({self.cycles_per_mac:.2f} cycles per MAC) for the {self.count} networks measured "
            f"in this run; their rank correlation with latency is {self.rank_correlation:.2f}"
        )
        if self.band_rank_correlation is not None:
            text += (
                f", and {self.band_rank_correlation:.2f} among the {self.band_count} networks "
                f"whose MACs lie within a factor of {BAND:g}"
            )
        return text + "."


def measured(outcomes: Sequence[Outcome]) -> list[Measurement]:
    """One Measurement a network: of its final model where there is one, else of the untrained."""
    found = [o.measured if isinstance(o, Evaluation) else o.untrained for o in outcomes]
    return [measurement for measurement in found if measurement is not None]


def judge_macs(outcomes: Sequence[Outcome]) -> MacsProxy | None:
    """None with fewer than FEWEST measured networks of more than 0 MACs, or when all of them have
    equal MACs or equal latencies.

    Raises:
        NotComparableError: they were measured under different conditions.
    """
    found = [m for m in measured(outcomes) if m.macs > 0]
    for measurement in found[1:]:
        found[0].comparable_with(measurement)
    if len(found) < FEWEST:
        return None
    macs = np.array([m.macs for m in found], float)
    cycles = np.array([m.cycles.median for m in found])
    correlation = _rank_correlation(macs, cycles)
    if correlation is None:
        return None
    constant = best_constant(macs, cycles)
    errors = np.abs(constant * macs - cycles) / cycles
    band = fullest_band(macs)
    return MacsProxy(
        count=len(found),
        cycles_per_mac=constant,
        mape=float(errors.mean()),
        worst=float(errors.max()),
        rank_correlation=correlation,
        band_count=int(band.sum()),
        band_rank_correlation=(
            _rank_correlation(macs[band], cycles[band]) if band.sum() >= FEWEST else None
        ),
        label=found[0].label,
    )


def best_constant(macs: np.ndarray, cycles: np.ndarray) -> float:
    """k that minimises mean |k * macs - cycles| / cycles: the median of cycles / macs, weighted by
    macs / cycles (the sum is convex and piecewise linear in k)."""
    ratios = cycles / macs
    order = np.argsort(ratios)
    weights = np.cumsum(1 / ratios[order])
    return float(ratios[order][np.searchsorted(weights, weights[-1] / 2)])


def fullest_band(macs: np.ndarray) -> np.ndarray:
    """Mask (n,) of the interval [m, BAND * m] that holds most of `macs`; the lowest of equals."""
    bands = [(macs >= low) & (macs <= BAND * low) for low in np.unique(macs)]
    return max(bands, key=lambda band: int(band.sum()))


def _rank_correlation(macs: np.ndarray, cycles: np.ndarray) -> float | None:
    if len(np.unique(macs)) < 2 or len(np.unique(cycles)) < 2:
        return None
    return float(spearmanr(macs, cycles).statistic)
