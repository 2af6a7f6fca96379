"""What came of one candidate? Immutable values, and their JSON for the journal.

What both kinds of outcome say, with defaults so that older journals stay readable:

    cost            by arithmetic, of the network that `genotype` describes, which is the one that
                    `untrained` measured
    parent          archid that the candidate is a morphism of; None where it was drawn
    sparsity        share of its channels that pruning was to remove; 0 without pruning
    short_error     of the float network on the validation split after short training, 0..1; None
                    where it had none
    spent           wall time in seconds by tier
    activities      the same seconds by what was done in them (search.wall_time)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from harness.errors import JournalError, NoUnitError, ToolchainError, UsageError
from harness.measurement import Measurement

# Who turned a candidate down, in the order in which they see it; one that gets past all of them is
# trained in full.
TIERS = ("analytic", "measured", "short")
TRAINED = "full"
FAILED = "failed"

# Errors that no candidate is to blame for: the next one would fail, too, and the run ends.
NOT_THE_CANDIDATES = (UsageError, ToolchainError, JournalError, NoUnitError)


@dataclass(frozen=True)
class Cost:
    """Analytic proxies, from the lowered operators alone.

    macs: multiply-accumulates of one inference. model_size_bytes: int8 weights and int32 biases.
    peak_memory_bytes: largest working set of int8 tensors, operators in the order of
    the lowering walk. memory_floor_bytes: what one operator's tensors take at least, which no
    order of operators and no overlap of tensors can go below.
    """

    macs: int
    model_size_bytes: int
    peak_memory_bytes: int
    memory_floor_bytes: int = 0


@dataclass(frozen=True)
class Rejected:
    """A candidate that was not trained in full, or failed. `tier` says who rejected it: "analytic"
    (cost breaks a bound, or would at the least rates measured), "measured" (the untrained export
    breaks a bound on the board), "short" (others did better after short training) or "failed"."""

    archid: str
    genotype: dict[str, Any]
    cost: Cost
    tier: str
    reason: str
    untrained: Measurement | None = None
    parent: str | None = None
    sparsity: float = 0.0
    short_error: float | None = None
    spent: dict[str, float] = field(default_factory=dict)
    activities: dict[str, float] = field(default_factory=dict)

    @property
    def untrained_cost(self) -> Cost:
        """Of the network that `untrained` measured."""
        return self.cost


@dataclass(frozen=True)
class Evaluation:
    """A trained candidate, with predictions and measurements side by side.

    float_val_error: the torch network on the validation split; val_error: its int8 model on the
    same split (both 0..1). untrained: measured before training; measured: the final int8 model.
    model: path of the .tflite, relative to the run folder. train_seconds: of the full training; of
    a finalist, of what it was trained on and fine-tuned. slimmed: the genotype that pruning ended
    in, which is the one measured; None without pruning. slimmed_cost: of that one; where early
    journals have a slimmed genotype without it, `cost` is that of the slimmed network, and that of
    the whole one is not recorded. plain_val_error: of the int8 model as it was before fine-tuning
    for int8, which was kept where this is no greater than val_error; None where nothing was
    fine-tuned.
    """

    archid: str
    genotype: dict[str, Any]
    cost: Cost
    float_val_error: float
    val_error: float
    untrained: Measurement
    measured: Measurement
    model: str
    train_seconds: float
    parent: str | None = None
    sparsity: float = 0.0
    short_error: float | None = None
    slimmed: dict[str, Any] | None = None
    slimmed_cost: Cost | None = None
    plain_val_error: float | None = None
    spent: dict[str, float] = field(default_factory=dict)
    activities: dict[str, float] = field(default_factory=dict)

    @property
    def untrained_cost(self) -> Cost | None:
        """Of the network that `untrained` measured; None where the journal does not say."""
        return None if self.slimmed is not None and self.slimmed_cost is None else self.cost

    @property
    def measured_cost(self) -> Cost:
        """Of the network that `measured` measured."""
        return self.slimmed_cost or self.cost


Outcome = Evaluation | Rejected


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """A JSON-ready dict with a "kind" key."""
    kind = "evaluation" if isinstance(outcome, Evaluation) else "rejected"
    return {"kind": kind, **asdict(outcome)}


def outcome_from_json(table: dict[str, Any]) -> Outcome:
    """The inverse of outcome_to_json. Raises KeyError, TypeError or ValueError on other input."""
    table = dict(table)
    kind = table.pop("kind")
    for key in ("cost", "slimmed_cost"):
        if key == "cost" or table.get(key) is not None:
            table[key] = Cost(**table[key])
    for key in ("untrained", "measured"):
        if table.get(key) is not None:
            table[key] = Measurement.from_json(table[key])
    if kind == "evaluation":
        return Evaluation(**table)
    if kind == "rejected":
        return Rejected(**table)
    raise ValueError(f"unknown outcome kind {kind!r}")
