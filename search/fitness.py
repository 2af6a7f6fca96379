"""How good is a candidate, and does it break a bound? Random scalarisation as in µNAS (arXiv
2010.14246): the worst normalised objective counts, each divided by a random weight, so that one
population spreads along the whole front. Must not know how candidates are chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.measurement import Measurement
from search.config import Bounds
from search.evaluation import Cost, Evaluation

CAP = 10.0  # an objective counts as at most this many times its bound


@dataclass(frozen=True)
class Objectives:
    """What is minimised. val_error: of the int8 model, 0..1; latency_us: measured median;
    sram_bytes and flash_bytes: measured totals."""

    val_error: float
    latency_us: float
    sram_bytes: int
    flash_bytes: int

    @classmethod
    def of(cls, evaluation: Evaluation) -> Objectives:
        measured = evaluation.measured
        return cls(
            evaluation.val_error,
            measured.latency_us.median,
            measured.sram.total_bytes,
            measured.flash.total_bytes,
        )

    def dominates(self, other: Objectives) -> bool:
        """No objective worse than the other's, and one better."""
        mine, theirs = vars(self).values(), vars(other).values()
        return all(a <= b for a, b in zip(mine, theirs, strict=True)) and self != other


@dataclass(frozen=True)
class Weights:
    """lambda of each objective, in (0, 1]."""

    val_error: float
    latency_us: float
    sram_bytes: float
    flash_bytes: float


def draw_weights(rng: np.random.Generator) -> Weights:
    """lambda_k ~ U(0, 1), to be drawn afresh for each parent selection; never 0."""
    return Weights(*(float(1.0 - value) for value in rng.random(4)))


def fitness(objectives: Objectives, bounds: Bounds, weights: Weights) -> float:
    """-max_k(x_k / lambda_k) with x_k = min(f_k / bound_k, CAP), over the objectives that have a
    bound; higher is better. Without any such bound, -val_error."""
    scores = [
        min(getattr(objectives, name) / bound, CAP) / weight
        for name, weight in vars(weights).items()
        if (bound := getattr(bounds, name)) is not None
    ]
    return -max(scores, default=objectives.val_error)


def broken_by(bounds: Bounds, measurement: Measurement) -> str | None:
    """The first bound that a measurement breaks, as a sentence; None where it keeps them all.
    val_error is not measured on a board and never rejects."""
    return _first_broken(
        ("measured latency", measurement.latency_us.median, bounds.latency_us, "us"),
        ("measured SRAM", measurement.sram.total_bytes, bounds.sram_bytes, "bytes"),
        ("measured flash", measurement.flash.total_bytes, bounds.flash_bytes, "bytes"),
        ("MACs", measurement.macs, bounds.macs, "MACs"),
    )


def broken_by_cost(bounds: Bounds, cost: Cost) -> str | None:
    """The first bound that the analytic cost already breaks, as a sentence, or None. Weights alone
    are less than the flash an image needs, and one operator's tensors less than its SRAM: what is
    rejected here would be rejected on the board, too. Peak memory does not reject, because an
    engine may run the operators in an order that needs less."""
    return _first_broken(
        ("MACs", cost.macs, bounds.macs, "MACs"),
        ("model size", cost.model_size_bytes, bounds.flash_bytes, "bytes of flash"),
        ("memory of one operator", cost.memory_floor_bytes, bounds.sram_bytes, "bytes of SRAM"),
    )


def _first_broken(*checks: tuple[str, float, float | None, str]) -> str | None:
    for name, value, bound, unit in checks:
        if bound is not None and value > bound:
            return f"{name} {value:,.10g} exceeds the bound of {bound:,.10g} {unit}"
    return None
