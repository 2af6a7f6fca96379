"""What does someone who watches a run see? Small frozen events, handed to run_search's on_event in
the parent process, in this order:

    Started                     once
    Asked                       a candidate was chosen; it has its number
    Arrived                     its outcome is there: at once for an analytic rejection, otherwise
                                as soon as a worker is done, in any order
    Told                        it was told to the algorithm and is in the journal, in the order
                                of asking
    Noticed                     something that the user should know now, at any time
    Finished                    once, also after Ctrl-C

Candidates replayed from a journal are asked and told again, with `replayed` set, before anything
new is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from search.config import Budget
from search.evaluation import Cost, Evaluation, Outcome
from search.wall_time import WallTime


@dataclass(frozen=True)
class Progress:
    """Counts so far. candidates: asked for. analytic, measured, short, failed: rejected by that
    tier. trained: evaluations. rounds_done: past the analytic tier and arrived. best_val_error: of
    the int8 models so far. left_s: estimate until the budget is used up, None while there is
    none."""

    rounds: int
    candidates: int = 0
    analytic: int = 0
    measured: int = 0
    short: int = 0
    failed: int = 0
    trained: int = 0
    best_val_error: float | None = None
    elapsed_s: float = 0.0
    left_s: float | None = None

    @property
    def rounds_done(self) -> int:
        return self.measured + self.short + self.failed + self.trained

    @property
    def rejected(self) -> int:
        return self.analytic + self.measured + self.short + self.failed

    @property
    def on_board(self) -> int:
        """Candidates that were measured: those rejected for it, and those trained."""
        return self.measured + self.short + self.trained

    def after(self, outcome: Outcome) -> Progress:
        """The counts with one more outcome."""
        if isinstance(outcome, Evaluation):
            best = outcome.val_error
            if self.best_val_error is not None:
                best = min(best, self.best_val_error)
            return replace(self, trained=self.trained + 1, best_val_error=best)
        return replace(self, **{outcome.tier: getattr(self, outcome.tier) + 1})


def time_left(budget: Budget, progress: Progress, fresh: int, elapsed_s: float) -> float | None:
    """Seconds until `budget` is used up: by rounds at the pace of the `fresh` outcomes of this
    process, or by minutes, whichever comes first. None while nothing is known."""
    limits = []
    if fresh:
        limits.append((budget.rounds - progress.rounds_done) * elapsed_s / fresh)
    if budget.minutes:
        limits.append(budget.minutes * 60 - elapsed_s)
    return max(0.0, min(limits)) if limits else None


@dataclass(frozen=True)
class Started:
    """messages: what the user should know, one sentence each (a torn line cut off, ...).
    replayed: candidates that the journal holds."""

    run_dir: Path
    replayed: int
    messages: tuple[str, ...]
    progress: Progress


@dataclass(frozen=True)
class Asked:
    index: int
    archid: str
    cost: Cost
    replayed: bool
    progress: Progress


@dataclass(frozen=True)
class Arrived:
    index: int
    outcome: Outcome
    progress: Progress


@dataclass(frozen=True)
class Told:
    index: int
    outcome: Outcome
    replayed: bool
    progress: Progress


@dataclass(frozen=True)
class Noticed:
    """message: one sentence."""

    message: str
    progress: Progress


@dataclass(frozen=True)
class Finished:
    """stopped: as in RunResult. wall: of what workers of this process did."""

    stopped: str
    progress: Progress
    wall: WallTime | None = None


Event = Started | Asked | Arrived | Told | Noticed | Finished
OnEvent = Callable[[Event], None]
