"""How fast did a run find what it found? The hypervolume of its trained networks, against the
candidates asked for and against wall time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.config import Bounds
from search.fitness import FRONT, Objectives, broken_by
from search.hypervolume import hypervolume_history
from search.report.candidate import Candidate


@dataclass(frozen=True)
class Growth:
    """Steps of (candidates asked for, or seconds into the run; share reached with them), one for
    each trained network, shares never falling. by_time is empty where no times were recorded.
    reference: the corner of the box that the shares are of, see search.hypervolume."""

    reference: dict[str, float]
    by_candidate: tuple[tuple[int, float], ...]
    by_time: tuple[tuple[float, float], ...]

    @property
    def share(self) -> float:
        """Reached in the end; 0 where nothing was trained."""
        return self.by_candidate[-1][1] if self.by_candidate else 0.0

    @property
    def box(self) -> str:
        """The reference in words."""
        return ", ".join(f"{name} {value:,g}" for name, value in self.reference.items())

    def describe(self) -> str:
        if not self.by_candidate:
            return f"Hypervolume: no network was trained (box below {self.box})."
        text = f"Hypervolume: {self.share:.4f} of the box below {self.box}"
        if not self.share:
            return f"{text}; no network lies inside it."
        early = next(step for step in self.by_candidate if step[1] >= 0.9 * self.share)
        text += f"; nine tenths of that after {early[0]:,} candidates"
        if self.by_time:
            seconds = next(at for at, share in self.by_time if share >= 0.9 * self.share)
            text += f", {seconds:,.0f} s"
        return f"{text}."


def growth_of(candidates: Sequence[Candidate], bounds: Bounds) -> Growth:
    """The hypervolume under the run's bounds on what is had on the board, so that runs with equal
    bounds compare; an error without a bound counts up to 1. Networks that break a hard bound are
    left out, because they are not what was wanted."""
    reference = {
        name: float(bound)
        for name in FRONT
        if (bound := getattr(bounds, name) or (1.0 if name == "val_error" else None)) is not None
    }
    found = [
        (candidate, Objectives.of(trained))
        for candidate in candidates
        if (trained := candidate.trained) and broken_by(bounds, trained.measured) is None
    ]
    shares = hypervolume_history([objectives for _, objectives in found], reference)
    asked = [candidate.index + 1 for candidate, _ in found]
    timed = [(c.at_s, objectives) for c, objectives in found if c.at_s is not None]
    if len(timed) < len(found):
        timed = []  # part of a history would tell the wrong one
    timed.sort(key=lambda pair: pair[0])
    in_time = hypervolume_history([objectives for _, objectives in timed], reference)
    return Growth(
        reference,
        tuple(zip(asked, shares.tolist(), strict=True)),
        tuple(zip((at_s for at_s, _ in timed), in_time.tolist(), strict=True)),
    )
