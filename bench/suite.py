"""How long do the tests take, and how much of the code do they run? Set-up excluded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.board import ROOT

COMMAND = [
    "pytest",
    "--numprocesses=2",
    "--dist=loadfile",
    "--cov",
    "--cov-report=json:{report}",
    "--quiet",
]
DEADLINE_S = 3600


def run() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        command = [word.format(report=report) for word in COMMAND]
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", *command],
            check=True,
            timeout=DEADLINE_S,
            cwd=ROOT,
            stdout=sys.stderr,
            env={**os.environ, "COVERAGE_FILE": str(Path(folder) / "coverage")},
        )
        minutes = (time.perf_counter() - start) / 60
        totals = json.loads(report.read_text())["totals"]
    return {
        "bound": {"minutes": 12, "lines_percent_at_least": 90},
        "minutes": round(minutes, 2),
        "lines_percent": round(totals["percent_covered"], 2),
        "lines": totals["num_statements"],
    }
