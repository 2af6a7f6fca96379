"""Where does a network come from? The chain of parents that a journal names, and what changed from
one to the next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.report.candidate import Candidate
from search.report.difference import differences


@dataclass(frozen=True)
class Step:
    """changes: what makes this candidate differ from the one before it; empty for the first."""

    candidate: Candidate
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Ancestry:
    """steps: from the oldest ancestor that is in the journal to the network itself. lost_parent:
    archid of the oldest one's parent, where that is not in the journal."""

    steps: tuple[Step, ...]
    lost_parent: str | None = None

    @property
    def archid(self) -> str:
        return self.steps[-1].candidate.archid

    def describe(self) -> str:
        oldest = self.steps[0].candidate
        if self.lost_parent is not None:
            return f"The parent of {oldest.archid}, {self.lost_parent}, is not in the journal."
        count = len(self.steps) - 1
        if not count:
            return "Drawn at random; the journal names no parent of it."
        steps = "step" if count == 1 else "steps"
        return f"{count} {steps} from {oldest.archid}, which names no parent: drawn at random."


def trace(candidates: Sequence[Candidate], archid: str) -> Ancestry:
    """The ancestry of a candidate. A parent is asked for before its child, so that no journal,
    however damaged, leads in a circle.

    Raises:
        ValueError: no candidate has this archid.
    """
    by_archid = {candidate.archid: candidate for candidate in reversed(candidates)}
    if archid not in by_archid:
        raise ValueError(f"no candidate has the archid {archid}")
    chain = [by_archid[archid]]
    lost = None
    while (parent := chain[-1].outcome.parent) is not None:
        older = by_archid.get(parent)
        if older is None or older.index >= chain[-1].index:
            lost = parent
            break
        chain.append(older)
    chain.reverse()
    steps = [Step(chain[0], ())]
    for before, after in zip(chain, chain[1:], strict=False):
        changes = differences(before.outcome.genotype, after.outcome.genotype)
        old, new = before.outcome.sparsity, after.outcome.sparsity
        if old != new:
            changes.append(f"sparsity: {old:.2f} -> {new:.2f}")
        steps.append(Step(after, tuple(changes)))
    return Ancestry(tuple(steps), lost)
