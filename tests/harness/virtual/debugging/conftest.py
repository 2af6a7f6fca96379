"""A core whose debug port the tests drive register by register, as pyOCD does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.virtual.debugger import (
    Debugger,
)
from tests.harness.virtual.firmware import compile_firmware, symbols

Start = Callable[[str], tuple[Debugger, dict[str, int]]]


@pytest.fixture(scope="module")
def debugger() -> Iterator[Debugger]:
    with Debugger() as debugger:
        yield debugger


@pytest.fixture
def start(debugger: Debugger, firmware_folder: Path) -> Start:
    """start(source): the firmware, halted at its reset vector, and its symbols."""

    def start_source(source: str) -> tuple[Debugger, dict[str, int]]:
        elf = compile_firmware(source, firmware_folder)
        debugger.start_halted(elf)
        return debugger, symbols(elf)

    return start_source
