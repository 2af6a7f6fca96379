"""How good is a candidate, and does it break a bound? Named objectives, the random scalarisation
of µNAS (arXiv 2010.14246), and bounds that reject (hard) or only scale (soft). Must not know how
candidates are chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.measurement import Measurement
from search.config import DEFAULT_OBJECTIVES, Bounds, Budget
from search.evaluation import Cost, Evaluation

CAP = 10.0  # an objective counts as at most this many times its bound

# What a Pareto front of results is made of: what is had on the board, and no proxy of it.
FRONT = ("val_error", "latency_us", "sram_bytes", "flash_bytes")


@dataclass(frozen=True)
class Objectives:
    """What may be minimised. val_error: of the int8 model, 0..1; latency_us: measured median;
    sram_bytes and flash_bytes: measured totals; macs: of the model as it runs on the unit."""

    val_error: float
    latency_us: float
    sram_bytes: int
    flash_bytes: int
    macs: int

    @classmethod
    def of(cls, evaluation: Evaluation) -> Objectives:
        return cls.of_measured(evaluation.val_error, evaluation.measured)

    @classmethod
    def of_measured(cls, val_error: float, measured: Measurement) -> Objectives:
        return cls(
            val_error,
            measured.latency_us.median,
            measured.sram.total_bytes,
            measured.flash.total_bytes,
            measured.macs,
        )

    def values(self, names: Sequence[str]) -> tuple[float, ...]:
        """The objectives of these names, in their order."""
        return tuple(float(getattr(self, name)) for name in names)

    def dominates(self, other: Objectives, names: Sequence[str] = FRONT) -> bool:
        """None of the objectives named worse than the other's, and one better."""
        mine, theirs = self.values(names), other.values(names)
        return all(a <= b for a, b in zip(mine, theirs, strict=True)) and mine != theirs


def objectives_of(budget: Budget, bounds: Bounds) -> tuple[str, ...]:
    """What a search minimises: the objectives its configuration lists; otherwise those that have a
    bound, but MACs only where their bound is soft (they are a proxy of latency, and counting both
    would count time twice; a hard bound on them needs no help). Without any, val_error."""
    if budget.objectives:
        return budget.objectives
    bounded = [name for name in DEFAULT_OBJECTIVES if getattr(bounds, name) is not None]
    return (*bounded, *(("macs",) if "macs" in bounds.soft else ())) or ("val_error",)


def draw_weights(rng: np.random.Generator, names: Sequence[str]) -> dict[str, float]:
    """lambda_k ~ U(0, 1) of each objective, to be drawn afresh for each parent selection; never 0.
    Those of FRONT are always drawn, so that leaving one out does not change the others'."""
    drawn = (*FRONT, *(name for name in names if name not in FRONT))
    return dict(zip(drawn, (1.0 - rng.random(len(drawn))).tolist(), strict=True))


def fitness(
    objectives: Objectives, names: Sequence[str], bounds: Bounds, weights: Mapping[str, float]
) -> float:
    """-max_k(x_k / lambda_k) with x_k = min(f_k / bound_k, CAP), over the objectives named; higher
    is better. Without a bound an error counts as it is."""
    scores: list[float] = []
    for name, value in zip(names, objectives.values(names), strict=True):
        bound = getattr(bounds, name)
        if bound is None:  # val_error alone, as SearchConfig sees to
            return -value
        scores.append(min(value / bound, CAP) / weights[name])
    return -max(scores)


def excess(objectives: Objectives, bounds: Bounds) -> float:
    """How far the goals are missed: the sum of f_k / bound_k - 1 over the soft bounds exceeded,
    val_error's included; 0 where all are kept."""
    goals = ("val_error", *(name for name in bounds.soft if name != "val_error"))
    missed = 0.0
    for name, value in zip(goals, objectives.values(goals), strict=True):
        bound = getattr(bounds, name)
        if bound is not None:
            missed += max(value / bound - 1.0, 0.0)
    return missed


def broken_by(bounds: Bounds, measurement: Measurement) -> str | None:
    """The first hard bound that a measurement breaks, as a sentence; None where it keeps them all.
    val_error is not measured on a board and never rejects."""
    return _first_broken(
        bounds,
        ("latency_us", "measured latency", measurement.latency_us.median, "us"),
        ("sram_bytes", "measured SRAM", measurement.sram.total_bytes, "bytes"),
        ("flash_bytes", "measured flash", measurement.flash.total_bytes, "bytes"),
        ("macs", "MACs", measurement.macs, "MACs"),
    )


def broken_by_cost(bounds: Bounds, cost: Cost) -> str | None:
    """The first hard bound that the analytic cost already breaks, as a sentence, or None. Weights
    alone are less than the flash an image needs, and one operator's tensors less than its SRAM:
    what is rejected here would be rejected on the board, too. Peak memory does not reject, because
    an engine may run the operators in an order that needs less."""
    return _first_broken(
        bounds,
        ("macs", "MACs", cost.macs, "MACs"),
        ("flash_bytes", "model size", cost.model_size_bytes, "bytes of flash"),
        ("sram_bytes", "memory of one operator", cost.memory_floor_bytes, "bytes of SRAM"),
    )


def _first_broken(bounds: Bounds, *checks: tuple[str, str, float, str]) -> str | None:
    for name, what, value, unit in checks:
        bound = getattr(bounds, name)
        if bound is not None and name not in bounds.soft and value > bound:
            return f"{what} {value:,.10g} exceeds the bound of {bound:,.10g} {unit}"
    return None
