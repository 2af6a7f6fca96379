"""Where does a run's wall time go? A stopwatch for one candidate, and what a run's candidates add
up to. Wall times are told to people; nothing may be decided by them, or a run would not repeat.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.measurement import Measurement
from search.evaluation import TRAINED, Outcome

# What a worker does. The first two are what a search is for, the others are the price of it.
TRAINING = "training"
MEASURING = "measuring"  # a network on the board, or the error of its int8 model
EXPORTING = "exporting"  # to an int8 .tflite
COMPILING = "compiling"  # that file to firmware

_DIGITS = 3  # of seconds in the journal


class Stopwatch:
    """Of one candidate in one worker. spent: seconds by tier; activities: the same seconds by what
    was done in them. Every lap begins where the one before it ended."""

    def __init__(self) -> None:
        self._tiers: defaultdict[str, float] = defaultdict(float)
        self._activities: defaultdict[str, float] = defaultdict(float)
        self._since = time.monotonic()

    def lap(self, tier: str, activity: str) -> None:
        """All of the time since the last lap was this."""
        self._add(tier, {activity: self._elapsed()})

    def lap_measurement(self, tier: str, measured: Measurement) -> None:
        """The time since the last lap went into this measurement: building its firmware first."""
        elapsed = self._elapsed()
        compiling = min(measured.build_s, elapsed)
        self._add(tier, {COMPILING: compiling, MEASURING: elapsed - compiling})

    @property
    def spent(self) -> dict[str, float]:
        return _rounded(self._tiers)

    @property
    def activities(self) -> dict[str, float]:
        return _rounded(self._activities)

    def _elapsed(self) -> float:
        now = time.monotonic()
        elapsed, self._since = now - self._since, now
        return elapsed

    def _add(self, tier: str, seconds: Mapping[str, float]) -> None:
        _add(self._tiers, {tier: sum(seconds.values())})
        _add(self._activities, seconds)


@dataclass(frozen=True)
class WallTime:
    """workers_s: wall time of all workers together. activities: seconds of it by what was done.
    tiers: the same by tier. candidates: past the analytic tier."""

    workers_s: float
    activities: dict[str, float]
    tiers: dict[str, float]
    candidates: int

    @classmethod
    def of(cls, outcomes: Iterable[Outcome], *, workers_s: float) -> WallTime:
        """outcomes: those that workers produced in so many seconds, all workers' added up."""
        activities: defaultdict[str, float] = defaultdict(float)
        tiers: defaultdict[str, float] = defaultdict(float)
        candidates = 0
        for outcome in outcomes:
            candidates += getattr(outcome, "tier", TRAINED) != "analytic"
            _add(activities, outcome.activities)
            _add(tiers, outcome.spent)
        return cls(workers_s, dict(activities), dict(tiers), candidates)

    @classmethod
    def of_finalists(cls, finalists: Iterable[Outcome]) -> WallTime | None:
        """Of the workers while they were at it: when they waited is not recorded. None where
        nothing is known."""
        known = [outcome for outcome in finalists if outcome.activities]
        seconds = sum(sum(outcome.activities.values()) for outcome in known)
        return cls.of(known, workers_s=seconds) if seconds else None

    @property
    def useful_share(self) -> float | None:
        """Of the workers' wall time, the share in which networks were trained or measured."""
        if self.workers_s <= 0:
            return None
        useful = self.activities.get(TRAINING, 0.0) + self.activities.get(MEASURING, 0.0)
        return useful / self.workers_s

    @property
    def overhead_s(self) -> float | None:
        """Seconds of work for one candidate, training apart."""
        if not self.candidates:
            return None
        work = sum(self.activities.values()) - self.activities.get(TRAINING, 0.0)
        return work / self.candidates

    @property
    def sentence(self) -> str:
        """For the end of a run; "" where nothing is known."""
        if self.useful_share is None or self.overhead_s is None:
            return ""
        parts = sorted(self.activities.items(), key=lambda item: -item[1])
        shares = ", ".join(f"{name} {seconds / self.workers_s:.1%}" for name, seconds in parts)
        return (
            f"{self.useful_share:.1%} of the workers' wall time went into training and measuring "
            f"({shares}); a candidate cost {self.overhead_s:.2f} s beside its training."
        )


def _add(sums: defaultdict[str, float], seconds: Mapping[str, float]) -> None:
    for name, value in seconds.items():
        sums[name] += value


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in seconds.items()}
