"""How good is a candidate, and does it break a bound? Named objectives, the random scalarisation
of µNAS (arXiv 2010.14246), and bounds that reject (hard) or only scale (soft). Must not know how
candidates are chosen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from harness.errors import MeasurementRefusedError
from harness.measurement import Measurement
from search.config import DEFAULT_OBJECTIVES, Bounds, Budget
from search.evaluation import Cost, Evaluation, Rejected

CAP = 10.0  # an objective counts as at most this many times its bound

# What a Pareto front of results is made of: what is had on the board, and no proxy of it.
FRONT = ("val_error", "latency_us", "sram_bytes", "flash_bytes")


@dataclass(frozen=True)
class Objectives:
    """What may be minimised. val_error: of the int8 model, 0..1; latency_us: measured median;
    sram_bytes and flash_bytes: measured totals; macs: of the model as it runs on the unit;
    energy_uj: of one inference, measured median, None without a meter."""

    val_error: float
    latency_us: float
    sram_bytes: int
    flash_bytes: int
    macs: int
    energy_uj: float | None = None

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
            None if measured.energy is None else measured.energy.uj,
        )

    def values(self, names: Sequence[str]) -> tuple[float, ...]:
        """The objectives of these names, in their order.

        Raises:
            MeasurementRefusedError: energy_uj is one of them, and was not measured.
        """
        return tuple(float(self._value(name)) for name in names)

    def _value(self, name: str) -> float:
        value: float | None = getattr(self, name)
        if value is None:
            raise _without_energy()
        return value

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
    val_error is not measured on a board and never rejects.

    Raises:
        MeasurementRefusedError: there is a bound on energy_uj, and it was not measured.
    """
    if bounds.energy_uj is not None and measurement.energy is None:
        raise _without_energy()
    return first_broken(bounds, measured_quantities(measurement))


def broken_by_cost(bounds: Bounds, cost: Cost) -> str | None:
    """The first hard bound that the analytic cost already breaks, as a sentence, or None. Weights
    alone are less than the flash an image needs, and one operator's tensors less than its SRAM,
    even where its output is laid over its input: what is rejected here would be rejected on the
    board, too. Peak memory does not reject, because an engine may need less: another order of
    operators, outputs over inputs."""
    return first_broken(bounds, _analytic(cost))


def nearest(bounds: Bounds, rejected: Iterable[Rejected]) -> tuple[Rejected, str] | None:
    """Of candidates turned down for their bounds, the one that came nearest to keeping all of
    them, and every bound that it breaks: the largest f_k / bound_k over the hard bounds is least.
    None where no numbers are known, as of a model that did not fit the board."""
    best, least = None, math.inf
    for outcome in rejected:
        quantities = _quantities(outcome)
        over = max(
            (q.value / q.bound(bounds) for q in quantities if q.is_bound(bounds)), default=0
        )
        if 1 < over < least:
            best, least = (outcome, "; ".join(_broken(bounds, quantities))), over
    return best


class Quantity(NamedTuple):
    """What a bound is held against. name: of the bound. what, unit: for people."""

    name: str
    what: str
    value: float
    unit: str

    def is_bound(self, bounds: Bounds) -> bool:
        """Whether there is a hard bound on it."""
        return getattr(bounds, self.name) is not None and self.name not in bounds.soft

    def bound(self, bounds: Bounds) -> float:
        return float(getattr(bounds, self.name))


def first_broken(bounds: Bounds, quantities: Iterable[Quantity]) -> str | None:
    """The first hard bound that a quantity breaks, as a sentence; None where all are kept."""
    return next(_broken(bounds, quantities), None)


def measured_quantities(measurement: Measurement) -> tuple[Quantity, ...]:
    """All that a measurement says of what may have a bound."""
    energy = measurement.energy
    return (
        Quantity("latency_us", "measured latency", measurement.latency_us.median, "us"),
        Quantity("sram_bytes", "measured SRAM", measurement.sram.total_bytes, "bytes"),
        Quantity("flash_bytes", "measured flash", measurement.flash.total_bytes, "bytes"),
        Quantity("macs", "MACs", measurement.macs, "MACs"),
        *([] if energy is None else [Quantity("energy_uj", "measured energy", energy.uj, "uJ")]),
    )


def _without_energy() -> MeasurementRefusedError:
    return MeasurementRefusedError(
        "a measurement holds no energy, which this search bounds or minimises",
        hint="all units of the hardware map must have an energy meter",
    )


def _analytic(cost: Cost) -> tuple[Quantity, ...]:
    return (
        Quantity("macs", "MACs", cost.macs, "MACs"),
        Quantity("flash_bytes", "model size", cost.model_size_bytes, "bytes of flash"),
        Quantity("sram_bytes", "memory of one operator", cost.memory_floor_bytes, "bytes of SRAM"),
    )


def _quantities(rejected: Rejected) -> tuple[Quantity, ...]:
    if rejected.tier == "analytic":
        return _analytic(rejected.cost)
    return measured_quantities(rejected.untrained) if rejected.untrained is not None else ()


def _broken(bounds: Bounds, quantities: Iterable[Quantity]) -> Iterator[str]:
    for quantity in quantities:
        if quantity.is_bound(bounds) and quantity.value > quantity.bound(bounds):
            bound = getattr(bounds, quantity.name)
            yield (
                f"{quantity.what} {quantity.value:,.10g} exceeds the bound of {bound:,.10g} "
                f"{quantity.unit}"
            )
