"""Which inference engines are there, and how is one opened by its name?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.engines.aot import AOT
from harness.engines.engine import Built, Engine
from harness.errors import UsageError

__all__ = ["AOT", "ENGINES", "Built", "Engine", "open_engine"]

ENGINES: dict[str, Callable[[Path | None], Engine]] = {"aot": lambda tflm_dir: AOT}


def open_engine(name: str, *, tflm_dir: Path | None = None) -> Engine:
    """The engine called `name`, ready to build. `tflm_dir`: where the library is that an engine
    links, unless it says so itself; others do not ask.

    Raises:
        UsageError: no such engine.
    """
    if name not in ENGINES:
        raise UsageError(
            f"there is no engine {name!r}",
            expected=" or ".join(ENGINES),
            hint=f"use --engine {next(iter(ENGINES))}",
        )
    return ENGINES[name](tflm_dir)
