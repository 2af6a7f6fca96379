"""Which evaluations are worth keeping, and how far would MACs have misjudged them? Pure arithmetic
on outcomes; draws and prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from harness.measurement import Measurement
from search.evaluation import Evaluation, Outcome
from search.fitness import Objectives


def pareto_front(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """The evaluations that no other dominates in val_error, median latency_us, total SRAM and
    total flash, by ascending val_error, then latency. Of equal ones all are kept."""
    scored = [(Objectives.of(evaluation), evaluation) for evaluation in evaluations]
    front = [
        (mine, evaluation)
        for mine, evaluation in scored
        if not any(other.dominates(mine) for other, _ in scored)
    ]
    front.sort(key=lambda pair: (pair[0].val_error, pair[0].latency_us, pair[1].archid))
    return [evaluation for _, evaluation in front]


def measurements_of(outcomes: Iterable[Outcome]) -> list[Measurement]:
    """One measurement of each candidate that reached a board: of the final model where it was
    trained, of the untrained export where that broke a bound."""
    found = []
    for outcome in outcomes:
        measured = outcome.measured if isinstance(outcome, Evaluation) else outcome.untrained
        if measured is not None:
            found.append(measured)
    return found


@dataclass(frozen=True)
class ProxyError:
    """How well MACs predict measured cycles.

    rank_correlation: Spearman's, None where it is undefined (fewer than two candidates, or all
    alike). mape_percent, worst_percent: mean and largest absolute percentage error of predicting
    cycles as cycles_per_mac * MACs. n: candidates. label: what the cycles are.
    """

    rank_correlation: float | None
    cycles_per_mac: float
    mape_percent: float
    worst_percent: float
    n: int
    label: str

    def describe(self) -> str:
        """One sentence for the end of a run."""
        rank = (
            "with an undefined rank correlation"
            if self.rank_correlation is None
            else f"with a rank correlation of {self.rank_correlation:.3f}"
        )
        return (
            f"MACs alone would have misjudged latency by {self.mape_percent:.0f} % on average and "
            f"{self.worst_percent:.0f} % at worst (best single constant, "
            f"{self.cycles_per_mac:.2f} cycles per MAC), {rank} over "
            f"{self.n} measured candidates ({self.label})."
        )


def proxy_error(measurements: Sequence[Measurement]) -> ProxyError:
    """MACs against measured median cycles (latency in other units: one clock).

    The constant is the one that minimises the mean absolute percentage error on these very
    candidates, so that no other constant would make MACs look better: with r_i = macs_i /
    cycles_i, sum |c r_i - 1| is least at the median of 1 / r_i weighted by r_i.

    Raises:
        ValueError: no measurement, or one without MACs or cycles.
        NotComparableError: measurements of different boards, timings or builds.
    """
    if not measurements:
        raise ValueError("no measurement to compare MACs with")
    for other in measurements[1:]:
        measurements[0].comparable_with(other)
    macs = np.array([measurement.macs for measurement in measurements], dtype=float)
    cycles = np.array([measurement.cycles.median for measurement in measurements], dtype=float)
    if macs.min() <= 0 or cycles.min() <= 0:
        raise ValueError("a measurement has no MACs or no cycles")
    constant = _weighted_median(cycles / macs, macs / cycles)
    errors = 100 * np.abs(constant * macs - cycles) / cycles
    return ProxyError(
        rank_correlation=_spearman(macs, cycles),
        cycles_per_mac=constant,
        mape_percent=float(errors.mean()),
        worst_percent=float(errors.max()),
        n=len(measurements),
        label=measurements[0].label,
    )


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulated, cumulated[-1] / 2)])


def _spearman(x: np.ndarray, y: np.ndarray) -> float | None:
    if len(np.unique(x)) < 2 or len(np.unique(y)) < 2:
        return None
    return float(stats.spearmanr(x, y).statistic)
