"""Where are the int8 networks that benchmarks and tests run besides their own? In the folder that
HILNAS_MODELS names, else beside the repository; nothing is run where there are none."""

from __future__ import annotations

import os
from pathlib import Path

from harness.board import ROOT

MODELS = Path(os.environ.get("HILNAS_MODELS") or ROOT.parent / "shared" / "models")
NO_MODELS = "no models: set HILNAS_MODELS to a folder of int8 .tflite files"
REFERENCE_MODELS = ("ad", "ic", "kws", "vww")  # of MLPerf Tiny


def model_files() -> list[Path]:
    return sorted(MODELS.glob("*.tflite"))


def mlperf_tiny(name: str) -> Path | None:
    """One of REFERENCE_MODELS; None where it is not there."""
    path = MODELS / f"mlperf_tiny_{name}.tflite"
    return path if path.is_file() else None
