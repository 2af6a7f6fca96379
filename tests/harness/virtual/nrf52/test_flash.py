"""The nRF52840's non-volatile memory controller, seen by firmware and by a debugger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.virtual.debugger import Debugger
from tests.harness.virtual.firmware import NRF52_CONSOLE, compile_firmware

Run = Callable[..., list[int]]


FLASH_HELPERS = r"""
static void wait_ready(void) {
    while (!REG(0x4001E400)) {
    }
}
static void set_mode(uint32_t mode) {
    REG(0x4001E504) = mode;
    wait_ready();
}
"""


def test_flash_is_erased_by_pages_and_the_core_stands_still(run: Run) -> None:
    source = """
void main(void) {
    uint32_t start = CYCCNT;
    REG(0x4001E508) = 0; /* not enabled: this program survives it */
    report(since(start) < 100);
    set_mode(2);
    start = CYCCNT;
    REG(0x4001E508) = 0x80000;
    report(since(start) / 64000);
    REG(0x4001E508) = 0x80004; /* no page's address */
    wait_ready();
    set_mode(0);
    report(REG(0x80FFC));
}"""
    assert run(FLASH_HELPERS + source, 3) == [1, 85, 0xFFFFFFFF]


NVMC_READY, NVMC_CONFIG, NVMC_ERASEPAGE, NVMC_ERASEALL = (
    0x4001E000 + offset for offset in (0x400, 0x504, 0x508, 0x50C)
)
NVMC_ERASEUICR, NVMC_PARTIAL = 0x4001E514, 0x4001E518
READS, WRITES, ERASES = range(3)
PAGE, UICR_CUSTOMER = 0x80000, 0x10001080


@pytest.fixture(scope="module")
def halted(firmware_folder: Path) -> Iterator[Debugger]:
    elf = compile_firmware("void main(void) {}", firmware_folder, flash="0", console=NRF52_CONSOLE)
    with Debugger("nrf52840dk") as debugger:
        debugger.start_halted(elf)
        yield debugger


def test_words_are_programmed_from_one_to_zero(halted: Debugger) -> None:
    halted.write(NVMC_CONFIG, WRITES)
    for address in (PAGE, UICR_CUSTOMER):
        halted.write(address, 0xFFFF00FF)
        halted.write(address, 0x12345678)
        assert halted.read(address) == 0x12340078
    assert halted.read(NVMC_READY) == 1
    halted.write(NVMC_CONFIG, ERASES)
    halted.write(NVMC_ERASEPAGE, PAGE)
    assert (halted.read(PAGE), halted.read(UICR_CUSTOMER)) == (0xFFFFFFFF, 0x12340078)
    halted.write(NVMC_ERASEUICR, 1)
    assert halted.read(UICR_CUSTOMER) == 0xFFFFFFFF


def test_only_whole_words_are_taken_and_only_where_enabled(halted: Debugger) -> None:
    halted.write(NVMC_CONFIG, READS)
    halted.write(PAGE + 4, 0)
    assert halted.read(PAGE + 4) == 0xFFFFFFFF
    halted.write(NVMC_CONFIG, WRITES)
    assert not halted.core.debug_write(PAGE + 4, b"\0\0", 2)
    halted.write(NVMC_ERASEALL, 1)
    assert halted.read(0) != 0xFFFFFFFF
    halted.write(NVMC_CONFIG, READS)


def test_a_page_erased_in_parts_is_erased_when_they_suffice(halted: Debugger) -> None:
    halted.write(NVMC_CONFIG, WRITES)
    halted.write(PAGE + 0x1000, 0)
    halted.write(NVMC_CONFIG, ERASES)
    for _ in range(8):  # of ten milliseconds each
        halted.write(NVMC_PARTIAL, PAGE + 0x1000)
    assert halted.read(PAGE + 0x1000) == 0
    halted.write(NVMC_PARTIAL, PAGE + 0x1000)
    assert halted.read(PAGE + 0x1000) == 0xFFFFFFFF
    halted.write(NVMC_CONFIG, READS)


def test_the_instruction_cache_is_switched_on_by_the_firmware(run: Run) -> None:
    source = """
void main(void) {
    report(REG(0x4001E540));
    REG(0x4001E540) = 0x101;
    report(REG(0x4001E540));
}"""
    assert run(source, 2) == [0, 0x101]
