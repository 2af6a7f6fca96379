"""What a probe sees of a core: the bus, halting, core registers (DDI 0403, C1.2 to C1.6)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.virtual.debugger import (
    BY_BKPT,
    BY_HALT,
    CPUID,
    DEBUGEN,
    DHCSR,
    FPSCR,
    HALTED,
    LOCKUP,
    MASKS,
    MSP,
    PSP,
    PSR,
    REGRDY,
    RETIRED,
    S0,
    SLEEP,
    Debugger,
)
from tests.harness.virtual.firmware import compile_firmware

Start = Callable[[str], tuple[Debugger, dict[str, int]]]
SPIN = "void main(void) { for (;;) { } }"


# ---- the bus ----


def test_a_probe_reads_what_the_core_is(start: Start) -> None:
    debugger, _ = start(SPIN)
    assert debugger.read(CPUID) == 0x410FC241
    assert debugger.read(0xE000EF40) == 0x10110021  # MVFR0: single precision
    assert debugger.read(0xE000ED6C) == 0x01111131  # ID_ISAR3: SIMD
    assert debugger.read(0xE000ED90) == 0x800  # MPU_TYPE: eight regions
    assert debugger.read(0xE000ED78) == 0  # CLIDR: no caches


@pytest.mark.parametrize(
    ("base", "peripheral", "component"),
    [
        (0xE000E000, 0x4000BB00C, 0xB105E00D),
        (0xE0001000, 0x4003BB002, 0xB105E00D),
        (0xE0002000, 0x4002BB003, 0xB105E00D),
        (0xE0000000, 0x4003BB001, 0xB105E00D),
        (0xE0040000, 0x4000BB9A1, 0xB105900D),
        (0xE00FF000, 0x4000BB4C4, 0xB105100D),
    ],
)
def test_every_block_of_the_rom_table_has_the_identity_of_a_cortex_m4(
    start: Start, base: int, peripheral: int, component: int
) -> None:
    debugger, _ = start(SPIN)
    words = debugger.words(base + 0xFD0, 12)
    pidr = sum(word << 32 + 8 * i for i, word in enumerate(words[:4]))
    pidr |= sum(word << 8 * i for i, word in enumerate(words[4:8]))
    assert pidr == peripheral
    assert sum(word << 8 * i for i, word in enumerate(words[8:])) == component
    table = debugger.words(0xE00FF000, 7)
    present = {0xE00FF000 + (entry & ~0xFFF) & 0xFFFFFFFF for entry in table if entry & 1}
    assert base in present | {0xE00FF000}
    assert table[-1] == 0


@pytest.mark.parametrize("access", [1, 2, 4])
def test_memory_is_read_and_written_in_bytes_halfwords_and_words(
    start: Start, access: int
) -> None:
    debugger, _ = start(SPIN)
    data = bytes(range(0x30, 0x40))
    assert debugger.core.debug_write(0x20001000, data, access)
    assert debugger.core.debug_read(0x20001000, 16, access) == data
    assert debugger.core.read(0x20001000, 16) == data


@pytest.mark.parametrize(
    ("address", "size", "access"),
    [(0x20000001, 4, 4), (0x20000002, 4, 4), (0x60000000, 4, 4), (0x20000000, 3, 2), (0, 4, 8)],
)
def test_an_access_that_the_bus_refuses_is_told(
    start: Start, address: int, size: int, access: int
) -> None:
    debugger, _ = start(SPIN)
    assert debugger.core.debug_read(address, size, access) is None
    assert not debugger.core.debug_write(address, bytes(size), access)


def test_a_running_core_is_looked_at_without_its_noticing(start: Start) -> None:
    source = """
volatile uint32_t count, checksum;
extern uint32_t done[];
void main(void) {
    for (; count < 2000; count++)
        for (uint32_t i = 0; i < 1000; i++)
            checksum = checksum * 31 + i;
    __asm volatile(".global done\\n done: b .");
}"""
    cycles = []
    for reads in (0, 500):
        debugger, names = start(source)
        debugger.run_to(names["main"] & ~1)
        first = debugger.core.cycles
        debugger.set_breakpoint(names["done"] & ~1)
        debugger.resume()
        seen = [debugger.read(names["count"]) for _ in range(reads)]
        assert seen == sorted(seen)
        assert debugger.wait_halted() == BY_BKPT
        cycles.append(debugger.core.cycles - first)
    assert cycles[0] == cycles[1]


# ---- halting ----


def test_a_halted_core_stands_still_and_goes_on_where_it_was(start: Start) -> None:
    debugger, names = start("volatile uint32_t n; void main(void) { for (;;) n++; }")
    debugger.resume()
    debugger.wait_for_change(names["n"])
    debugger.halt()
    status, cycles, value = debugger.read(DHCSR), debugger.core.cycles, debugger.read(names["n"])
    assert status & (HALTED | REGRDY) == HALTED | REGRDY
    assert debugger.wait_halted() == BY_HALT
    time.sleep(0.01)
    assert (debugger.core.cycles, debugger.read(names["n"])) == (cycles, value)
    assert debugger.core.state == "halted"
    debugger.resume()
    debugger.wait_for_change(names["n"])


def test_a_write_without_the_key_changes_nothing(start: Start) -> None:
    debugger, _ = start(SPIN)
    debugger.write(DHCSR, DEBUGEN)
    assert debugger.halted


def test_the_core_is_told_apart_running_sleeping_and_locked_up(start: Start) -> None:
    source = """
void hard_fault(void) { REG(0x60000000); }
void svc(void) { REG(0x60000000); }
void main(void) { __asm volatile("wfi\\n svc #0"); }"""
    debugger, _ = start(source)
    debugger.resume()
    deadline = time.monotonic() + 10
    while not debugger.read(DHCSR) & SLEEP:
        assert time.monotonic() < deadline
    debugger.halt()  # wakes it
    assert debugger.read(DHCSR) & (SLEEP | HALTED) == HALTED
    debugger.resume()
    while not debugger.read(DHCSR) & LOCKUP:
        assert time.monotonic() < deadline
    debugger.halt()
    assert debugger.read(DHCSR) & (LOCKUP | HALTED) == HALTED


def test_a_core_that_waits_for_its_line_can_be_halted(start: Start) -> None:
    debugger, names = start("void main(void) { get(); }")
    debugger.resume()
    deadline = time.monotonic() + 10
    while debugger.core.state != "waiting for serial":
        assert time.monotonic() < deadline
    assert not debugger.halted
    debugger.halt()
    assert debugger.halted
    assert names["get"] & ~1 <= debugger.pc < (names["get"] & ~1) + 16


def test_instructions_retired_are_told_once(start: Start) -> None:
    debugger, _ = start(SPIN)
    debugger.read(DHCSR)
    assert not debugger.read(DHCSR) & RETIRED
    debugger.step()
    assert debugger.read(DHCSR) & RETIRED
    assert not debugger.read(DHCSR) & RETIRED


# ---- core registers ----

REGISTERS = [*range(13), 14, *range(S0, S0 + 32)]


@settings(max_examples=30, deadline=None)
@given(
    number=st.sampled_from(REGISTERS),
    value=st.integers(0, 0xFFFFFFFF),
    other=st.sampled_from(REGISTERS),
)
def test_a_register_keeps_what_is_written_and_no_other_changes(
    halted: Debugger, number: int, value: int, other: int
) -> None:
    before = halted.register(other)
    halted.set_register(number, value)
    assert halted.register(number) == value
    assert other == number or halted.register(other) == before


@pytest.fixture(scope="module")
def halted(firmware_folder: Path) -> Iterator[Debugger]:
    with Debugger() as debugger:
        debugger.start_halted(compile_firmware(SPIN, firmware_folder))
        yield debugger


def test_special_registers_keep_what_their_bits_can_hold(halted: Debugger) -> None:
    halted.set_register(MSP, 0x20001237)
    halted.set_register(PSP, 0x20002344)
    assert (halted.register(MSP), halted.register(PSP)) == (0x20001234, 0x20002344)
    assert halted.register(13) == 0x20001234
    halted.set_register(MASKS, 0x02 << 24 | 1 << 16 | 0xFF << 8 | 1)  # SPSEL
    assert halted.register(MASKS) == 0x02 << 24 | 1 << 16 | 0xF0 << 8 | 1
    assert halted.register(13) == 0x20002344
    halted.set_register(13, 0x20003000)
    assert (halted.register(MSP), halted.register(PSP)) == (0x20001234, 0x20003000)
    halted.set_register(MASKS, 0)
    halted.set_register(PSR, 0xF9000000)
    assert halted.register(PSR) == 0xF9000000
    halted.set_register(FPSCR, 0xF0C00000)
    assert halted.register(FPSCR) == 0xF0C00000


def test_registers_of_unprivileged_code_are_seen_as_they_are(start: Start) -> None:
    source = """
extern uint32_t here[];
static uint32_t stack[64];
void main(void) {
    __asm volatile("msr psp, %0\\n movs r0, #1\\n msr primask, r0\\n movs r0, #3\\n"
                   "msr control, r0\\n isb\\n .global here\\n here: b ."
                   :: "r"(stack + 64) : "r0");
}"""
    debugger, names = start(source)
    debugger.run_to(names["here"] & ~1)
    assert debugger.register(MASKS) == 0x03000001
    assert debugger.register(PSP) == debugger.register(13) == names["stack"] + 256
    assert debugger.register(MSP) > 0x2003F000
