"""What did each tier cost, and whom did it turn down? Counts what the candidates say, and what
those say that were trained on after the search. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from search.evaluation import FAILED, TIERS, TRAINED, Evaluation, Outcome, Rejected
from search.finalists import FINALIST

_ORDER = (*TIERS, TRAINED)
_BOUND = re.compile(r"(?P<what>.+?) [-+.,e\d]+ exceeds the bound of (?P<bound>.+)", re.DOTALL)


@dataclass(frozen=True)
class Tier:
    """entered: candidates that met it; rejected, failed: of those, where they ended. seconds: wall
    time it took over the `timed` candidates whose journal says so; None where none does."""

    name: str
    entered: int
    rejected: int
    failed: int
    seconds: float | None
    timed: int

    @property
    def passed(self) -> int:
        return self.entered - self.rejected - self.failed


@dataclass(frozen=True)
class Reason:
    """Why `count` candidates ended in this tier ("failed" included), in words."""

    tier: str
    why: str
    count: int


def tiers_of(outcomes: Sequence[Outcome], finalists: Sequence[Outcome] = ()) -> tuple[Tier, ...]:
    """The tiers that a candidate met, in their order; those of a later version behind them. Last
    that of the finalists, where there are any."""
    walks = [(outcome, _walk(outcome)) for outcome in outcomes]
    tiers = []
    for name in _ordered({name for _, walk in walks for name in walk}):
        inside = [outcome for outcome, walk in walks if name in walk]
        ended = [outcome for outcome, walk in walks if walk[-1] == name]
        tiers.append(_tier(name, inside, ended))
    if finalists:
        tiers.append(_tier(FINALIST, finalists, finalists))
    return tuple(tiers)


def reasons_of(outcomes: Sequence[Outcome]) -> tuple[Reason, ...]:
    """Why candidates were turned down, the tiers in their order, the most frequent first."""
    counts = Counter(
        (outcome.tier, _why(outcome))
        for outcome in outcomes
        if not isinstance(outcome, Evaluation)
    )
    order = [*_ordered({tier for tier, _ in counts} - {FAILED}), FAILED]
    found = (Reason(tier, why, count) for (tier, why), count in counts.items())
    return tuple(sorted(found, key=lambda r: (order.index(r.tier), -r.count, r.why)))


def _tier(name: str, inside: Sequence[Outcome], ended: Sequence[Outcome]) -> Tier:
    """ended: those that met no tier after this one."""
    ends = Counter(_end(outcome) for outcome in ended)
    timed = [outcome.spent[name] for outcome in inside if name in outcome.spent]
    return Tier(
        name=name,
        entered=len(inside),
        rejected=ends["rejected"],
        failed=ends[FAILED],
        seconds=sum(timed) if timed else None,
        timed=len(timed),
    )


def _walk(outcome: Outcome) -> tuple[str, ...]:
    """The tiers that a candidate met. Where times do not say how far it got (an older journal, a
    worker that died), one that failed with a measurement failed in training."""
    met = {"analytic", *outcome.spent}
    if isinstance(outcome, Evaluation):
        met |= {"measured", TRAINED}
    elif outcome.tier != FAILED:
        met |= {outcome.tier, "measured"} if outcome.tier != "analytic" else set()
    elif outcome.spent.keys() <= {"analytic"}:
        met |= {"measured"} if outcome.untrained is None else {"measured", TRAINED}
    if outcome.short_error is not None:
        met.add("short")
    return _ordered(met)


def _ordered(names: set[str]) -> tuple[str, ...]:
    return (*(name for name in _ORDER if name in names), *sorted(names - {*_ORDER}))


def _end(outcome: Outcome) -> str:
    if isinstance(outcome, Evaluation):
        return "passed"
    return FAILED if outcome.tier == FAILED else "rejected"


def _why(outcome: Rejected) -> str:
    """Reasons that differ in the value found alone, or in who did better, are one."""
    if outcome.tier == "short":
        return "not among the best after short training"
    match = _BOUND.fullmatch(outcome.reason)
    return f"{match['what']} exceeds {match['bound']}" if match else outcome.reason
