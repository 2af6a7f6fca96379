"""Which inference engines are there, and how is one opened by its name?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.engines.aot import AOT
from harness.engines.engine import Built, Engine
from harness.engines.tflm.engine import open_tflm
from harness.errors import UsageError

__all__ = ["AOT", "ENGINES", "Built", "Engine", "open_engine"]

ENGINES: dict[str, Callable[[Path | None], Engine]] = {
    "aot": lambda tflm_dir: AOT,
    "tflm": open_tflm,
}


def open_engine(name: str, *, tflm_dir: Path | None = None) -> Engine:
    """The engine called `name`, ready to build. `tflm_dir`: where tflm's library lies; None: where
    HILNAS_TFLM_DIR says.

    Raises:
        UsageError: no such engine, or a folder with several libraries.
        ToolchainError: no library, or no compiler for C++.
    """
    if name not in ENGINES:
        raise UsageError(
            f"there is no engine {name!r}",
            expected=" or ".join(ENGINES),
            hint=f"use --engine {next(iter(ENGINES))}",
        )
    return ENGINES[name](tflm_dir)
