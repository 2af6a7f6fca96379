"""How long does the main job take, and what does it find? A whole `hilnas search`; its picture
becomes the README's."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.board import ROOT
from search.evaluation import Evaluation
from search.front import measurements_of
from search.report.run_folder import Run, read_run

HILNAS = Path(sys.executable).with_name("hilnas")
CONFIG = ROOT / "examples" / "fashion_mnist.toml"
PICTURE = ROOT / "docs" / "images" / "front.png"
DEADLINE_S = 3600


def run() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder) / "run"
        start = time.perf_counter()
        subprocess.run(
            [str(HILNAS), "search", str(CONFIG), "--out", str(run_dir)],
            check=True,
            timeout=DEADLINE_S,
            stdout=sys.stderr,
        )
        seconds = time.perf_counter() - start
        shutil.copyfile(run_dir / PICTURE.name, PICTURE)
        return {
            "bound": {"minutes": 10, "measured_at_least": 40, "trained_at_least": 12},
            "minutes": round(seconds / 60, 2),
            **_describe(read_run(run_dir)),
        }


def _describe(found: Run) -> dict[str, object]:
    trained = [o for o in found.outcomes if isinstance(o, Evaluation)]
    return {
        "candidates": len(found.outcomes),
        "measured": len(measurements_of(found.outcomes)),
        "trained": len(trained),
        "label": trained[0].measured.label if trained else "",
        "front": [
            {
                "archid": e.archid,
                "test_accuracy": round(1 - found.tested[e.archid].test_error, 4),
                "latency_us": e.measured.latency_us.median,
                "sram_bytes": e.measured.sram.total_bytes,
                "flash_bytes": e.measured.flash.total_bytes,
                "macs": e.measured.macs,
            }
            for e in found.front
        ],
        "macs_as_proxy": found.proxies[0].describe() if found.proxies else None,
    }
