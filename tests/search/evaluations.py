"""Outcomes for tests that need them but neither train nor measure."""

from __future__ import annotations

from typing import Any

from harness.measurement import Flash, Sram
from search.cost import cost_of
from search.evaluation import Evaluation, Rejected
from search.spaces.munas.genotype import MunasGenotype
from search.spaces.munas.lowering import lower
from tests.measurements import make_measurement
from tests.search.genotypes import conv, network, series

SMALL = network(series(conv(4)))


def make_evaluation(
    genotype: MunasGenotype = SMALL,
    *,
    val_error: float = 0.2,
    cycles: int = 100_000,
    sram_bytes: int = 9_000,
    flash_bytes: int = 20_000,
    **changes: Any,
) -> Evaluation:
    """A plausible evaluation on 28x28x1 images of 10 classes; latency_us is cycles / 100."""
    cost = cost_of(lower(genotype, (28, 28, 1), 10))
    measured = make_measurement(
        cycles=cycles,
        macs=cost.macs,
        sram=Sram(sram_bytes - 1000, 400, 600, sram_bytes),
        flash=Flash(flash_bytes - 8_000, 8_000, flash_bytes, 9_000),
    )
    fields: dict[str, Any] = dict(
        archid=genotype.archid,
        genotype=genotype.to_json(),
        cost=cost,
        float_val_error=val_error,
        val_error=val_error,
        untrained=measured,
        measured=measured,
        model="models/example.tflite",
        train_seconds=1.5,
    )
    return Evaluation(**{**fields, **changes})


def make_rejected(
    genotype: MunasGenotype = SMALL, *, tier: str = "failed", **changes: Any
) -> Rejected:
    cost = cost_of(lower(genotype, (28, 28, 1), 10))
    fields: dict[str, Any] = dict(
        archid=genotype.archid,
        genotype=genotype.to_json(),
        cost=cost,
        tier=tier,
        reason="for the test",
    )
    return Rejected(**{**fields, **changes})
