"""How long from a `.tflite` to a verified Measurement on the virtual board? Warm: the firmware
library is in the build cache and the board's process is up, as in a search."""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from bench.models import model_files
from harness.board import load_board
from harness.measure import measure
from harness.measurement import Measurement
from harness.session import Session, open_session

BOARD = "nucleo_f412zg"
NETWORKS = 20
MAX_MACS = 2_000_000
INPUT_SHAPE, CLASSES = (28, 28, 1), 10


def run() -> dict[str, object]:
    board = load_board(BOARD)
    networks = sampled_networks()
    with open_session(board, "virtual") as session:
        measure(networks[0], session, name="warm-up")
        rows = [_row(f"network {i}", model, session) for i, model in enumerate(networks)]
        models = [_row(path.stem, path.read_bytes(), session, repeats=1) for path in model_files()]
    seconds = [row["seconds"] for row in rows]
    return {
        "bound": {"median_s_up_to_2M_macs": 1.5, "each_model_s": 5.0},
        "networks": {
            "count": len(rows),
            "median_s": round(median(seconds), 3),
            "min_s": min(seconds),
            "max_s": max(seconds),
            "rows": rows,
        },
        "models": models,
    }


def sampled_networks(count: int = NETWORKS) -> list[bytes]:
    """Untrained exports of networks sampled from the µNAS space, up to MAX_MACS."""
    from search.cost import cost_of
    from search.export import export_untrained
    from search.spaces.munas.lowering import lower
    from search.spaces.munas.sampling import sample

    rng = np.random.default_rng(0)
    models: list[bytes] = []
    while len(models) < count:
        ops = lower(sample(rng), INPUT_SHAPE, CLASSES)
        cost = cost_of(ops)
        if cost.macs <= MAX_MACS and cost.peak_memory_bytes < 200_000:
            models.append(export_untrained(ops, seed=len(models)))
    return models


def _row(name: str, model: bytes, session: Session, *, repeats: int = 3) -> dict[str, object]:
    start = time.perf_counter()
    result: Measurement = measure(model, session, name=name, repeats=repeats)
    seconds = time.perf_counter() - start
    return {
        "model": name,
        "seconds": round(seconds, 3),
        "label": result.label,
        "macs": result.macs,
        "cycles": result.cycles.median,
        "sram_bytes": result.sram.total_bytes,
        "arena_bytes": result.sram.arena_bytes,
        "flash_bytes": result.flash.total_bytes,
        "runtime_overhead_bytes": result.flash.runtime_overhead_bytes,
    }
