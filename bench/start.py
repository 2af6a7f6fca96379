"""How long until the command line answers? Whole processes, warm file cache."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

HILNAS = Path(sys.executable).with_name("hilnas")
BARE = [sys.executable, "-c", "pass"]
RUNS = 15


def run() -> dict[str, object]:
    """Seconds of `hilnas --help` and, beside it, of a Python that does nothing: the limit."""
    help_s, bare_s = [], []
    for _ in range(RUNS + 1):  # the two in turn, so that a slow moment of the machine hits both
        help_s.append(_seconds([str(HILNAS), "--help"]))
        bare_s.append(_seconds(BARE))
    return {
        "bound": {"help_s": 0.4},
        "help_s": _summary(help_s[1:]),
        "bare_python_s": _summary(bare_s[1:]),
    }


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return time.perf_counter() - start


def _summary(values: list[float]) -> dict[str, float]:
    return {
        "median": round(median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
        "runs": len(values),
    }
