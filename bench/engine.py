"""What does the aot engine make of the MLPerf Tiny models on an L4R5, for speed and for size?
Cycles by layer against the core's limit, memory beside its lower bound, and compile times."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.models import mlperf_tiny
from harness.board import Board, load_board
from harness.compiler import compile_sources
from harness.image import build_image
from harness.measure import measure
from harness.options import CompilerOptions, Optimise
from harness.session import Session, open_session

BOARD = "nucleo_l4r5zi"
LIMIT_MAC_PER_CYCLE = 2.0  # SMLAD: two multiplications a cycle (Cortex-M4 TRM 3.3.1)
LAYERS = 50
WARM_BUILDS = 5
# Of one inference on this board: cycles, SRAM and flash without weights, in bytes.
BOUNDS = {
    "ad": {"cycles": 500_000, "sram_bytes": 3 * 1024, "runtime_overhead_bytes": 6 * 1024},
    "ic": {"cycles": 18_000_000, "sram_bytes": 52 * 1024, "runtime_overhead_bytes": 12 * 1024},
    "kws": {"cycles": 6_000_000, "sram_bytes": 20 * 1024, "runtime_overhead_bytes": 12 * 1024},
    "vww": {"cycles": 17_500_000, "sram_bytes": 60 * 1024, "runtime_overhead_bytes": 12 * 1024},
}


def run() -> dict[str, object]:
    board = load_board(BOARD)
    with open_session(board, "virtual") as session:
        models = [
            _row(name, path.read_bytes(), optimise, session)
            for name in BOUNDS
            if (path := mlperf_tiny(name)) is not None
            for optimise in Optimise
        ]
    return {
        "limit_mac_per_cycle": LIMIT_MAC_PER_CYCLE,
        "models": models,
        "compiling": compile_times(deep_network(), board),
    }


def _row(name: str, model: bytes, optimise: Optimise, session: Session) -> dict[str, object]:
    options = CompilerOptions(optimise)
    program = compile_sources(model, name=name, options=options)
    result = measure(model, session, name=name, layers=True, options=options)
    cycles = result.cycles.median
    found = {
        "cycles": cycles,
        "sram_bytes": result.sram.total_bytes,
        "runtime_overhead_bytes": result.flash.runtime_overhead_bytes,
    }
    return {
        "model": name,
        "optimise": optimise.value,
        "label": result.label,
        **found,
        "bounds": BOUNDS[name],
        "missed": [key for key, bound in BOUNDS[name].items() if found[key] > bound],
        "macs": result.macs,
        "mac_per_cycle": round(result.macs / cycles, 3),
        "arena_bytes": result.sram.arena_bytes,
        "arena_lower_bound_bytes": program.plan.lower_bound_bytes,
        "stack_bytes": result.sram.stack_bytes,
        "weights_bytes": result.flash.weights_bytes,
        "layers_sum_to": round(sum(layer.cycles for layer in result.layers) / cycles, 4),
        "layers": [
            {
                "index": layer.index,
                "op": layer.op,
                "cycles": layer.cycles,
                "macs": layer.macs,
                "mac_per_cycle": round(layer.macs / layer.cycles, 3) if layer.cycles else None,
                "moved_bytes": layer.moved_bytes,
            }
            for layer in result.layers
        ],
    }


def deep_network() -> bytes:
    """An untrained export from the µNAS space with at least LAYERS operators."""
    from search.export import export_untrained
    from search.spaces.munas.lowering import lower
    from search.spaces.munas.sampling import sample

    rng = np.random.default_rng(0)
    while True:
        ops = lower(sample(rng), (28, 28, 1), 10)
        if len(ops) >= LAYERS:
            return export_untrained(ops, seed=0)


def compile_times(model: bytes, board: Board) -> dict[str, object]:
    """Seconds from `model`'s bytes to its firmware. Cold: an empty build cache, every kernel and
    the build tree's configuration included. Warm: another model was built before."""
    seconds = []
    kept = os.environ.get("HILNAS_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HILNAS_CACHE"] = folder
        try:
            for number in range(1 + WARM_BUILDS):
                began = time.perf_counter()
                program = compile_sources(model, name="deep", symbol="model")
                sources = dict(program.sources)
                sources["model.c"] += f"/* {number} */\n"  # each is compiled anew
                build_image(sources, board, out_dir=Path(folder) / "out")
                seconds.append(round(time.perf_counter() - began, 3))
        finally:
            os.environ.pop("HILNAS_CACHE")
            if kept is not None:
                os.environ["HILNAS_CACHE"] = kept
    return {
        "operators": len(program.given.operators),
        "bound": {"cold_s": 3.0, "warm_s": 1.0},
        "cold_s": seconds[0],
        "warm_s": sorted(seconds[1:]),
        "compiler": "arm-none-eabi-gcc",
    }
