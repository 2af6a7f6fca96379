"""A problem of known answers over real genotypes: costs are the analytic ones, times and errors
are formulas. Latency is no function of MACs alone, and error is one of structure as well as of
size, with a little noise of its own for each archid, as training has."""

from __future__ import annotations

import hashlib
import math

from harness.measurement import Flash, Sram
from search.config import Bounds, SpaceChoice
from search.cost import cost_of, macs_of
from search.evaluation import Evaluation, Outcome, Rejected
from search.fitness import broken_by, broken_by_cost
from search.genotype import Genotype
from search.lowering import Conv2D, Dense, DepthwiseConv2D
from search.space import Space, open_space
from tests.measurements import make_measurement

PROBLEM = ((28, 28, 1), 10)
CAPS = SpaceChoice(max_blocks=3, max_layers=2, max_filters=32, max_dense_blocks=2, max_units=64)
SPACE = open_space(CAPS)
BOUNDS = Bounds(val_error=0.3, latency_us=50_000.0, sram_bytes=20_000, flash_bytes=60_000)
REFERENCE = {"val_error": 0.3, "latency_us": 50_000.0}

CYCLES_PER_MAC = {Conv2D: 3.0, DepthwiseConv2D: 9.0, Dense: 2.0}


def outcome_of(genotype: Genotype, bounds: Bounds = BOUNDS, space: Space = SPACE) -> Outcome:
    """What a candidate comes to: rejected by arithmetic or as measured, or evaluated."""
    ops = space.lower(genotype, *PROBLEM)
    cost = cost_of(ops)
    archid, table = genotype.archid, genotype.to_json()
    if reason := broken_by_cost(bounds, cost):
        return Rejected(archid, table, cost, "analytic", reason)
    cycles = sum(2000 + macs_of(op) * CYCLES_PER_MAC.get(type(op), 0.0) for op in ops)
    measured = make_measurement(
        cycles=round(cycles),
        macs=cost.macs,
        sram=Sram(cost.peak_memory_bytes, 1500, 1000, cost.peak_memory_bytes + 2500),
        flash=Flash(14_000, cost.model_size_bytes, 14_000 + cost.model_size_bytes, 9000),
    )
    if reason := broken_by(bounds, measured):
        return Rejected(archid, table, cost, "measured", reason, measured)
    convolutions = [op for op in ops if isinstance(op, Conv2D | DepthwiseConv2D)]
    plain = sum(not (op.relu and op.batch_norm) for op in convolutions) / len(convolutions)
    noise = int(hashlib.sha256(archid.encode()).hexdigest()[:4], 16) / 0xFFFF
    error = (
        0.03
        + 0.5 / (1 + math.sqrt(cost.macs / 2e4))
        + 0.2 / (1 + cost.model_size_bytes / 2e3)
        + 0.1 * plain
        + 0.02 * noise
    )
    return Evaluation(
        archid, table, cost, error, error, measured, measured, f"models/{archid}.tflite", 1.0
    )
