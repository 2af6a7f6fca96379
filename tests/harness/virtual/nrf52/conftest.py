"""An nRF52840 DK, and firmware for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.board import load_board
from harness.virtual import VirtualBoard
from tests.harness.virtual.firmware import HANDLERS, NRF52_CONSOLE, compile_firmware, run_firmware

Run = Callable[..., list[int]]

LOW_CLOCK = r"""
static void low_clock_start(void) {
    REG(0x40000518) = 0; /* the RC oscillator */
    REG(0x40000008) = 1;
    while (!REG(0x40000104)) {
    }
}
"""


@pytest.fixture(scope="module")
def unit() -> Iterator[VirtualBoard]:
    with VirtualBoard(load_board("nrf52840dk")) as board:
        yield board


@pytest.fixture
def run(unit: VirtualBoard, firmware_folder: Path) -> Run:
    def run_source(source: str, words: int, *, send: bytes = b"") -> list[int]:
        elf = compile_firmware(
            HANDLERS + LOW_CLOCK + source,
            firmware_folder,
            flash="0x00000000",
            console=NRF52_CONSOLE,
        )
        return run_firmware(unit, elf, words, send=send)

    return run_source
