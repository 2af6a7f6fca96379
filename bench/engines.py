"""What do the engines make of the MLPerf Tiny models, side by side from one run? The aot engine
and every TFLite Micro library that HILNAS_TFLM_DIR names, on two boards: cycles, memory and its
parts, flash besides the model, all outputs bit-exact."""

from __future__ import annotations

from bench.libraries import NO_LIBRARY, libraries
from bench.models import REFERENCE_MODELS, mlperf_tiny
from harness.board import load_board
from harness.engines import AOT, Engine
from harness.engines.tflm.engine import TflmEngine
from harness.measure import measure
from harness.session import Session, open_session

BOARDS = ("nucleo_l4r5zi", "nucleo_f412zg")


def run() -> dict[str, object]:
    found = libraries()
    if not found:
        return {"not_run": NO_LIBRARY}
    engines: list[Engine] = [AOT, *(TflmEngine(library) for library in found)]
    rows = []
    for board in BOARDS:
        with open_session(load_board(board), "virtual") as session:
            for name in REFERENCE_MODELS:
                if (path := mlperf_tiny(name)) is not None:
                    rows += [_row(name, path.read_bytes(), engine, session) for engine in engines]
    return {"rows": rows}


def _row(name: str, model: bytes, engine: Engine, session: Session) -> dict[str, object]:
    result = measure(model, session, name=name, engine=engine, layers=True)
    table = result.to_json()
    return {
        "model": name,
        "label": result.label,
        **{
            key: table[key]
            for key in ("board", "engine", "engine_version", "macs", "cycles", "latency_us")
        },
        "layers_sum_to": round(
            sum(layer.cycles for layer in result.layers) / result.cycles.median, 4
        ),
        "sram": table["sram"],
        "flash": table["flash"],
        "bit_exact": result.output.bit_exact,
        "reference": result.output.reference,
    }
