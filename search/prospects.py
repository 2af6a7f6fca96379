"""Can the bounds be kept at all? Watches whom they turn down, and says when to doubt and when to
give up. Must not know how candidates are chosen or evaluated.
"""

from __future__ import annotations

from collections import Counter

from search.config import Bounds
from search.evaluation import FAILED, TRAINED, Outcome, Rejected
from search.fitness import nearest

# So many analytic rejections in a row say that the bounds cannot be met, ...
HOPELESS_REJECTIONS = 5000
# ... and so many rejections as measured, before anybody kept the bounds; the user is told how near
# the nearest came well before that, within a minute or so.
HOPELESS_MEASUREMENTS = 300
DOUBTFUL_MEASUREMENTS = 10

LOOSEN_BOUNDS = "loosen [bounds], or cap [space] so that smaller networks are drawn"


class Prospects:
    """Of one run. Every candidate is first `asked`, then `told`, in the order of asking."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._in_a_row = 0  # rejections by arithmetic
        self._told: Counter[str] = Counter()  # outcomes by tier
        self._rejected: list[Rejected] = []
        self._was_doubtful = False

    def asked(self, *, is_rejected: bool) -> None:
        """A candidate was chosen, and turned down by arithmetic or not."""
        self._in_a_row = self._in_a_row + 1 if is_rejected else 0

    def told(self, outcome: Outcome) -> None:
        if isinstance(outcome, Rejected):
            self._told[outcome.tier] += 1
            self._rejected.append(outcome)
        else:
            self._told[TRAINED] += 1

    @property
    def are_hopeless(self) -> bool:
        """Whether asking for more has no point."""
        measured = self._told["measured"] >= HOPELESS_MEASUREMENTS
        return self._in_a_row >= HOPELESS_REJECTIONS or (measured and self._is_nobody_inside)

    @property
    def verdict(self) -> str:
        """At the end of a run: a sentence where bounds turned candidates down and none is known to
        keep them, otherwise ""."""
        turned_down = self._told["analytic"] + self._told["measured"]
        return self._sentence() if turned_down and self._is_nobody_inside else ""

    @property
    def is_verdict_final(self) -> bool:
        """Whether no new candidate being left proves that the bounds cannot be kept: all broke
        them by arithmetic, or enough of them in a row, or as measured. That a space is used up
        proves nothing."""
        tried = self._told.total() - self._told["analytic"]
        return not tried or self.are_hopeless

    def doubt(self) -> str:
        """A sentence, once, when enough were turned down; otherwise ""."""
        enough = self._told["measured"] >= DOUBTFUL_MEASUREMENTS
        if self._was_doubtful or not enough or not self._is_nobody_inside:
            return ""
        self._was_doubtful = True
        return f"{self._sentence()}; going on"

    @property
    def _is_nobody_inside(self) -> bool:
        """Whether none of the candidates told is known to keep the bounds."""
        return not self._told.keys() - {"analytic", "measured", FAILED}

    def _sentence(self) -> str:
        """With the nearest of those measured; of all where none was."""
        measured = [outcome for outcome in self._rejected if outcome.tier == "measured"]
        text = f"none of {len(self._rejected)} candidates kept the bounds"
        if measured:
            text += f", {len(measured)} of them as measured"
        found = nearest(self._bounds, measured or self._rejected)
        if found is not None:
            outcome, broken = found
            text += f"; the nearest was {outcome.archid}: {broken}"
        return text
