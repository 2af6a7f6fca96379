"""Kernels that are written as instructions compile however an application is compiled."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.host_model import KERNELS

_CORE = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]


@pytest.mark.parametrize("level", ["-O0", "-Og", "-Os", "-O2 -fPIC"])
def test_instructions_find_their_registers(level: str, tmp_path: Path) -> None:
    sources = [str(path) for path in KERNELS.glob("*.c") if "__asm__" in path.read_text()]
    assert sources

    subprocess.run(
        ["arm-none-eabi-gcc", "-std=c11", *_CORE, *level.split(), "-Wall", "-Wextra", "-Werror"]
        + ["-c", *sources],
        check=True,
        cwd=tmp_path,
        timeout=60,
    )
