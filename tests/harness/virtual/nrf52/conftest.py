"""An nRF52840 DK, and firmware for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.board import load_board
from harness.virtual import VirtualBoard
from tests.harness.virtual.firmware import NRF52_CONSOLE, compile_firmware, run_firmware

Run = Callable[..., list[int]]

HELPERS = r"""
/* Vectors in RAM, so that a test can put its handler at any line. */
static void (*table[64])(void) __attribute__((aligned(256)));
static void on_interrupt(int irq, void (*handler)(void)) {
    void (**flash)(void) = (void (**)(void))0;
    __asm volatile("" : "+r"(flash)); /* which is not NULL here */
    for (int i = 0; i < 16; i++)
        table[i] = flash[i];
    table[16 + irq] = handler;
    REG(0xE000ED08) = (uint32_t)table;
    REG(0xE000E100 + 4 * (irq / 32)) = 1u << irq % 32;
}
static void low_clock_start(void) {
    REG(0x40000518) = 0; /* the RC oscillator */
    REG(0x40000008) = 1;
    while (!REG(0x40000104)) {
    }
}
static uint32_t since(uint32_t start) { return CYCCNT - start; }
"""


@pytest.fixture(scope="module")
def unit() -> Iterator[VirtualBoard]:
    with VirtualBoard(load_board("nrf52840dk")) as board:
        yield board


@pytest.fixture
def run(unit: VirtualBoard, firmware_folder: Path) -> Run:
    def run_source(source: str, words: int, *, send: bytes = b"") -> list[int]:
        elf = compile_firmware(
            HELPERS + source, firmware_folder, flash="0x00000000", console=NRF52_CONSOLE
        )
        return run_firmware(unit, elf, words, send=send)

    return run_source
