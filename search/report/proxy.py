"""What does a run say about MACs as a stand-in for latency? One paragraph; the arithmetic over all
networks is search.front's. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from harness.measurement import Measurement
from search.front import ProxyError, proxy_error

FEWEST = 5  # networks; of fewer, a rank correlation says nothing
BAND = 2.0  # within this factor of MACs a budget of MACs cannot choose, but latency still differs


@dataclass(frozen=True)
class MacsProxy:
    """error: over all measured networks. band_count and band_rank_correlation: Spearman's over the
    fullest band of MACs within a factor BAND; None where it is undefined or too few are in it.
    band_spread: slowest by fastest latency in that band."""

    error: ProxyError
    band_count: int
    band_rank_correlation: float | None
    band_spread: float

    @property
    def sentences(self) -> str:
        text = self.error.describe()
        if self.band_rank_correlation is not None:
            text += (
                f" Among the {self.band_count} networks whose MACs lie within a factor of "
                f"{BAND:g}, it is {self.band_rank_correlation:.2f}, and latency differs by a "
                f"factor of {self.band_spread:.1f}."
            )
        return text


def judge_macs(measurements: Sequence[Measurement]) -> MacsProxy | None:
    """None for fewer than FEWEST measurements.

    Raises:
        NotComparableError: they were made under different conditions.
    """
    if len(measurements) < FEWEST:
        return None
    macs = np.array([m.macs for m in measurements], float)
    cycles = np.array([m.cycles.median for m in measurements], float)
    error = proxy_error(measurements)
    band = fullest_band(macs)
    inside = cycles[band]
    defined = (
        len(inside) >= FEWEST and len(np.unique(inside)) > 1 and len(np.unique(macs[band])) > 1
    )
    return MacsProxy(
        error=error,
        band_count=len(inside),
        band_rank_correlation=float(spearmanr(macs[band], inside).statistic) if defined else None,
        band_spread=float(inside.max() / inside.min()),
    )


def fullest_band(macs: np.ndarray) -> np.ndarray:
    """Mask (n,) of the interval [m, BAND * m] that holds most of `macs`; the lowest of equals."""
    bands = [(macs >= low) & (macs <= BAND * low) for low in np.unique(macs)]
    return max(bands, key=lambda band: int(band.sum()))
