"""What came of one candidate? Immutable values, and their JSON for the journal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from harness.measurement import Measurement


@dataclass(frozen=True)
class Cost:
    """Analytic proxies, from the lowered operators alone.

    macs: multiply-accumulates of one inference. model_size_bytes: int8 weights and int32 biases.
    peak_memory_bytes: largest working set of int8 tensors, operators in the order of
    the lowering walk. memory_floor_bytes: largest working set of one operator, which no order of
    operators can go below.
    """

    macs: int
    model_size_bytes: int
    peak_memory_bytes: int
    memory_floor_bytes: int = 0


@dataclass(frozen=True)
class Rejected:
    """A candidate that was not trained, or failed. `tier` says who rejected it: "analytic" (cost
    breaks a bound), "measured" (the untrained export breaks a bound on the board) or "failed"."""

    archid: str
    genotype: dict[str, Any]
    cost: Cost
    tier: str
    reason: str
    untrained: Measurement | None = None


@dataclass(frozen=True)
class Evaluation:
    """A trained candidate, with predictions and measurements side by side.

    float_val_error: the torch network on the validation split; val_error: its int8 model on the
    same split (both 0..1). untrained: measured before training; measured: the final int8 model.
    model: path of the .tflite, relative to the run folder.
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


Outcome = Evaluation | Rejected


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """A JSON-ready dict with a "kind" key."""
    kind = "evaluation" if isinstance(outcome, Evaluation) else "rejected"
    return {"kind": kind, **asdict(outcome)}


def outcome_from_json(table: dict[str, Any]) -> Outcome:
    """The inverse of outcome_to_json. Raises KeyError, TypeError or ValueError on other input."""
    table = dict(table)
    kind = table.pop("kind")
    table["cost"] = Cost(**table["cost"])
    for key in ("untrained", "measured"):
        if table.get(key) is not None:
            table[key] = Measurement.from_json(table[key])
    if kind == "evaluation":
        return Evaluation(**table)
    if kind == "rejected":
        return Rejected(**table)
    raise ValueError(f"unknown outcome kind {kind!r}")
