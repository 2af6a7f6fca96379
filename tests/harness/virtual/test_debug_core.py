"""What a probe sees of the core: halting, stepping, breakpoints, watchpoints, vector catch, reset
(DDI 0403, C1), driven register by register as pyOCD does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.virtual.debugger import (
    AIRCR,
    BY_BKPT,
    BY_HALT,
    BY_VECTOR,
    BY_WATCH,
    CPUID,
    CYCCNT,
    DEBUGEN,
    DEMCR,
    DHCSR,
    DWT_COMP,
    FP_COMP,
    FP_CTRL,
    FPSCR,
    HALTED,
    ICSR,
    KEY,
    LOCKUP,
    MASKS,
    MSP,
    PSP,
    PSR,
    REGRDY,
    RESET,
    RETIRED,
    S0,
    SLEEP,
    TRCENA,
    Debugger,
)
from tests.harness.virtual.firmware import compile_firmware, symbols

Start = Callable[[str], tuple[Debugger, dict[str, int]]]
SPIN = "void main(void) { for (;;) { } }"


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


def run_to(debugger: Debugger, address: int) -> None:
    """With a breakpoint that is gone afterwards."""
    debugger.set_breakpoint(address, 5)
    debugger.resume()
    assert debugger.wait_halted() == BY_BKPT
    assert debugger.pc == address
    debugger.write(FP_COMP + 20, 0)


# ---- the bus ----


def test_a_probe_reads_what_the_core_is(start: Start) -> None:
    debugger, _ = start(SPIN)
    assert debugger.read(CPUID) == 0x410FC241
    assert debugger.read(0xE000EF40) == 0x10110021  # MVFR0: single precision
    assert debugger.read(0xE000ED6C) == 0x01111131  # ID_ISAR3: SIMD
    assert debugger.read(0xE000ED90) == 0  # MPU_TYPE: none
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
        run_to(debugger, names["main"] & ~1)
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
    time.sleep(0.01)
    debugger.halt()
    status, cycles, value = debugger.read(DHCSR), debugger.core.cycles, debugger.read(names["n"])
    assert status & (HALTED | REGRDY) == HALTED | REGRDY
    assert debugger.wait_halted() == BY_HALT
    time.sleep(0.01)
    assert (debugger.core.cycles, debugger.read(names["n"])) == (cycles, value)
    assert debugger.core.state == "halted"
    debugger.resume()
    time.sleep(0.01)
    debugger.halt()
    assert debugger.read(names["n"]) > value


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
    run_to(debugger, names["here"] & ~1)
    assert debugger.register(MASKS) == 0x03000001
    assert debugger.register(PSP) == debugger.register(13) == names["stack"] + 256
    assert debugger.register(MSP) > 0x2003F000


# ---- stepping ----

STEPS = [
    ("adds r0, #1", 2),
    ("add.w r0, r0, #1", 4),
    ("ldr r1, [r4]", 2),
    ("str.w r1, [r4, #4]", 4),
    ("ldrd r1, r2, [r4]", 4),
    ("stmia r4, {r1, r2, r3}", 4),
    ("push {r0-r3}", 2),
    ("add sp, #16", 2),
    ("udiv r1, r2, r3", 4),
    ("nop", 2),
    ("nop.w", 4),
    ("dsb", 4),
    ("mrs r0, primask", 4),
    ("cpsie i", 2),
    ("wfi", 2),
    ("wfe", 2),
    ("sev", 2),
    ("vmov.f32 s0, #1.0", 4),
    ("vdiv.f32 s1, s0, s0", 4),
    ("vldr s2, [r4]", 4),
    ("cmp r0, #0", 2),
    ("cbz r5, 1f; nop; 1:", 4),
    ("cbnz r5, 1f; nop; 1:", 2),
    ("b 1f; nop; 1:", 4),
    ("b.w 1f; nop; 1:", 6),
    ("adr r0, 1f+1; bx r0; .balign 4; 1:", None),
    ("tbb [pc, r5]; .byte 2; .byte 2; nop; 1:", None),
]


def test_a_step_executes_exactly_one_instruction_of_every_kind(start: Start) -> None:
    code = "\\n".join(
        f".global step{i}; step{i}: {text}".replace("; ", "\\n")
        for i, (text, _) in enumerate(STEPS)
    )
    source = f"""
static uint32_t area[64];
__attribute__((naked, noinline)) static void work(uint32_t *area) {{
    __asm volatile("push {{r4-r7, lr}}\\n mov r4, r0\\n movs r3, #3\\n movs r5, #0\\n{code}\\n"
                   ".global behind\\n behind: pop {{r4-r7, pc}}");
}}
void main(void) {{ work(area); }}"""
    debugger, names = start(source)
    run_to(debugger, names["step0"] & ~1)
    for i, (text, size) in enumerate(STEPS):
        at = names[f"step{i}"] & ~1
        assert debugger.pc == at, text
        before, cycles = debugger.core.instructions, debugger.core.cycles
        debugger.step()
        assert debugger.wait_halted() == BY_HALT, text
        assert debugger.core.instructions == before + 1, text
        assert 1 <= debugger.core.cycles - cycles <= 20, text
        assert size is None or debugger.pc == at + size, text
        end = names[f"step{i + 1}" if i + 1 < len(STEPS) else "behind"] & ~1
        for _ in range(2):  # what the text has besides its first instruction
            if debugger.pc != end:
                debugger.step()
                debugger.wait_halted()
    assert debugger.pc == names["behind"] & ~1


def test_an_it_block_is_stepped_instruction_by_instruction(start: Start) -> None:
    source = """
extern uint32_t it[];
void main(void) {
    __asm volatile("movs r0, #0\\n movs r1, #0\\n movs r2, #0\\n cmp r0, #0\\n .global it\\n"
                   "it: itete eq\\n moveq r0, #1\\n movne r1, #1\\n addeq.w r2, r2, #1\\n"
                   "movne r2, #9\\n nop\\n b ." ::: "r0", "r1", "r2", "cc");
}"""
    debugger, names = start(source)
    at = names["it"] & ~1
    run_to(debugger, at)
    states = []
    for _ in range(6):
        debugger.step()
        psr = debugger.register(PSR)
        states.append((debugger.pc - at, psr >> 8 & 0xFC | psr >> 25 & 3))
    # The condition stays EQ or turns NE in bit 4, the mask shifts out (A7.3.3).
    assert states == [(2, 0x0B), (4, 0x16), (6, 0x0C), (10, 0x18), (12, 0), (14, 0)]
    assert [debugger.register(n) for n in (0, 1, 2)] == [1, 0, 1]


def test_stepping_a_whole_program_does_what_running_it_does(start: Start) -> None:
    source = """
extern uint32_t done[];
volatile uint32_t result[3];
__attribute__((noinline)) static uint32_t gcd(uint32_t a, uint32_t b) {
    while (a != b)
        if (a > b) a -= b; else b -= a;
    return a;
}
void main(void) {
    float sum = 0;
    for (uint32_t i = 1; i < 6; i++) {
        result[0] += gcd(i * 6, 9);
        sum += 1.0f / i;
    }
    result[1] = (uint32_t)(sum * 1000);
    __asm volatile(".global done\\n done: b .");
}"""
    outcomes = []
    for stepping in (False, True):
        debugger, names = start(source)
        run_to(debugger, names["main"] & ~1)
        first = debugger.core.instructions
        if stepping:
            while debugger.pc != names["done"] & ~1:
                debugger.step()
                assert debugger.core.instructions - first < 2000
        else:
            run_to(debugger, names["done"] & ~1)
        registers = [debugger.register(n) for n in (*range(17), *range(S0, S0 + 32))]
        outcomes.append(
            (debugger.core.instructions - first, debugger.words(names["result"], 3), registers)
        )
    assert outcomes[0] == outcomes[1]


def test_a_step_into_an_exception_ends_at_its_handler(start: Start) -> None:
    source = """
void svc(void) { __asm volatile("nop"); }
extern uint32_t call[];
void main(void) { __asm volatile(".global call\\n call: svc #0\\n nop"); }"""
    debugger, names = start(source)
    run_to(debugger, names["call"] & ~1)
    debugger.step()
    assert debugger.pc == names["svc"] & ~1
    assert debugger.register(PSR) & 0x1FF == 11
    for _ in range(2):
        debugger.step()
    assert debugger.pc == (names["call"] & ~1) + 2


@pytest.mark.parametrize("masked", [True, False])
def test_a_step_takes_a_pending_interrupt_unless_they_are_masked(
    start: Start, masked: bool
) -> None:
    source = """
void pendsv(void) { __asm volatile("nop"); }
extern uint32_t here[];
void main(void) { __asm volatile(".global here\\n here: nop\\n nop\\n b ."); }"""
    debugger, names = start(source)
    run_to(debugger, names["here"] & ~1)
    debugger.write(ICSR, 1 << 28)
    debugger.step(masked=masked)
    assert debugger.pc == (names["here"] & ~1) + 2 if masked else names["pendsv"] & ~1
    assert debugger.read(ICSR) >> 28 & 1 == masked


# ---- breakpoints ----


def test_fpb_has_six_code_and_two_literal_comparators(start: Start) -> None:
    debugger, _ = start(SPIN)
    assert debugger.read(FP_CTRL) == 0x260
    debugger.write(FP_CTRL, 1)  # without the key
    assert debugger.read(FP_CTRL) == 0x260
    debugger.write(FP_CTRL, 3)
    assert debugger.read(FP_CTRL) == 0x261


def test_every_breakpoint_stops_the_core_as_often_as_it_is_reached(start: Start) -> None:
    source = """
volatile uint32_t n;
__attribute__((noinline)) void even(void) { n += 2; }
__attribute__((noinline)) void odd(void) { n += 1; }
extern uint32_t done[];
void main(void) {
    for (uint32_t i = 0; i < 5; i++)
        if (i & 1) odd(); else even();
    __asm volatile(".global done\\n done: b .");
}"""
    debugger, names = start(source)
    points = {name: names[name] & ~1 for name in ("even", "odd", "done")}
    for k, address in enumerate(points.values()):
        debugger.set_breakpoint(address, k)
    seen = []
    while not seen or seen[-1] != points["done"]:
        debugger.write(FP_CTRL, 2)  # a debugger steps over where it is
        debugger.step()
        debugger.wait_halted()
        debugger.write(FP_CTRL, 3)
        debugger.resume()
        assert debugger.wait_halted() == BY_BKPT
        seen.append(debugger.pc)
    assert seen == [points[name] for name in ("even", "odd", "even", "odd", "even", "done")]
    assert debugger.read(names["n"]) == 8


def test_a_breakpoint_where_the_core_stands_halts_it_again(start: Start) -> None:
    debugger, names = start(SPIN)
    debugger.set_breakpoint(names["main"] & ~1)
    for _ in range(3):
        debugger.resume()
        assert debugger.wait_halted() == BY_BKPT
    debugger.write(FP_CTRL, 2)
    debugger.resume()
    assert not debugger.halted
    debugger.halt()


@pytest.mark.parametrize(("replace", "hits"), [(1, [0]), (2, [2]), (3, [0, 2])])
def test_replace_names_the_halfword(start: Start, replace: int, hits: list[int]) -> None:
    source = """
extern uint32_t here[];
void main(void) {
    __asm volatile(".balign 4\\n .global here\\n here: nop\\n nop\\n nop\\n b .");
}"""
    debugger, names = start(source)
    here = names["here"] & ~1
    debugger.write(FP_CTRL, 3)
    debugger.write(FP_COMP + 8, replace << 30 | here | 1)
    seen = []
    for _ in hits:
        debugger.resume()
        assert debugger.wait_halted() == BY_BKPT
        seen.append(debugger.pc - here)
        debugger.write(FP_CTRL, 2)
        debugger.step()
        debugger.wait_halted()
        debugger.write(FP_CTRL, 3)
    assert seen == hits


def test_a_breakpoint_instruction_halts_where_a_debugger_is(start: Start) -> None:
    source = """
extern uint32_t here[];
void main(void) { __asm volatile("movs r0, #7\\n .global here\\n here: bkpt #3\\n b ."); }"""
    debugger, names = start(source)
    debugger.resume()
    assert debugger.wait_halted() == BY_BKPT
    assert debugger.pc == names["here"] & ~1
    debugger.set_register(15, debugger.pc + 2)
    debugger.resume()
    assert not debugger.halted


def test_a_breakpoint_written_into_sram_code_is_seen_by_the_core(start: Start) -> None:
    source = """
static uint16_t code[4] __attribute__((aligned(4)));
volatile uint32_t calls;
void main(void) {
    code[0] = 0x3001; /* adds r0, #1 */
    code[1] = 0x4770; /* bx lr */
    __asm volatile("dsb\\n isb" ::: "memory");
    for (;;)
        calls = ((uint32_t (*)(uint32_t))((uint32_t)code | 1))(calls);
}"""
    debugger, names = start(source)
    debugger.resume()
    time.sleep(0.01)
    assert debugger.read(names["calls"]) > 0
    debugger.write(names["code"], 0xBE00, 2)
    assert debugger.wait_halted() == BY_BKPT
    assert debugger.pc == names["code"]
    debugger.write(names["code"], 0x3001, 2)
    debugger.resume()
    time.sleep(0.01)
    assert not debugger.halted


# ---- watchpoints ----

WATCHED = """
volatile uint32_t before, watched, after;
extern uint32_t store[], load[], byte[], done[];
void main(void) {
    __asm volatile("ldr r0, =watched\\n movs r1, #5\\n str r1, [r0, #4]\\n str r1, [r0, #-4]\\n"
                   "ldr r1, [r0, #4]\\n"
                   ".global store\\n str r1, [r0]\\n store: nop\\n"
                   ".global load\\n ldr r2, [r0]\\n load: nop\\n"
                   ".global byte\\n strb r2, [r0, #2]\\n byte: nop\\n"
                   ".global done\\n done: b .\\n .ltorg" ::: "r0", "r1", "r2", "memory");
}"""


@pytest.mark.parametrize(
    ("function", "stops"),
    [(5, ["load"]), (6, ["store", "byte"]), (7, ["store", "load", "byte"])],
)
def test_a_watchpoint_halts_behind_each_access_of_its_kind(
    start: Start, function: int, stops: list[str]
) -> None:
    debugger, names = start(WATCHED)
    run_to(debugger, names["main"] & ~1)
    debugger.watch(names["watched"], 2, function)
    debugger.set_breakpoint(names["done"] & ~1)
    seen = []
    while debugger.resume() or debugger.wait_halted() == BY_WATCH:
        seen.append(debugger.pc)
        assert debugger.read(DWT_COMP + 8) >> 24 & 1
        assert not debugger.read(DWT_COMP + 8) >> 24 & 1  # told once
    assert seen == [names[name] & ~1 for name in stops]
    assert debugger.pc == names["done"] & ~1


def test_a_watchpoint_of_one_byte_leaves_the_others_alone(start: Start) -> None:
    debugger, names = start(WATCHED)
    run_to(debugger, names["main"] & ~1)
    debugger.watch(names["watched"] + 1, 0, 6)
    debugger.set_breakpoint(names["done"] & ~1)
    debugger.resume()
    assert debugger.wait_halted() == BY_WATCH  # the word, not the byte behind
    assert debugger.pc == names["store"] & ~1
    debugger.resume()
    assert debugger.wait_halted() == BY_BKPT


def test_a_watched_pc_halts_behind_its_instruction(start: Start) -> None:
    debugger, names = start(WATCHED)
    debugger.watch((names["store"] & ~1) - 2, 1, 4, 3)
    debugger.resume()
    assert debugger.wait_halted() == BY_WATCH
    assert debugger.pc == names["store"] & ~1


def test_nothing_is_watched_when_trace_is_off_or_the_debugger_gone(start: Start) -> None:
    debugger, names = start(WATCHED)
    run_to(debugger, names["main"] & ~1)
    debugger.watch(names["watched"], 2, 7)
    debugger.write(DEMCR, debugger.read(DEMCR) & ~TRCENA)
    debugger.set_breakpoint(names["done"] & ~1)
    debugger.resume()
    assert debugger.wait_halted() == BY_BKPT
    debugger.write(DHCSR, KEY)
    time.sleep(0.01)
    assert debugger.read(DHCSR) & (HALTED | DEBUGEN) == 0


# ---- vector catch and reset ----


@pytest.mark.parametrize(
    ("catch", "code", "number"),
    [
        (1 << 8, "ldr r0, =0x60000000\\n ldr r0, [r0]", 5),
        (1 << 4, "ldr r0, =0x40020001\\n bx r0", 4),
        (1 << 7, "udf #0", 6),
        (1 << 6, "isb\\n movs r0, #0\\n udiv r0, r0, r0", 6),
        (1 << 5, "mcr p3, 0, r0, c0, c0, 0", 6),
        (1 << 10, "cpsid i\\n udf #0", 3),
    ],
)
def test_a_fault_that_is_caught_halts_at_its_handler(
    start: Start, catch: int, code: str, number: int
) -> None:
    source = f"""
void main(void) {{
    SHCSR = 7 << 16;
    CCR |= 1 << 4;
    __asm volatile("{code}\\n .ltorg");
}}"""
    debugger, names = start(source)
    debugger.write(DEMCR, debugger.read(DEMCR) & ~0x7F1 | catch)
    debugger.resume()
    assert debugger.wait_halted() == BY_VECTOR
    assert debugger.pc == names["fault"] & ~1
    assert debugger.register(PSR) & 0x1FF == number
    debugger.write(DEMCR, 0)


def test_a_reset_with_vector_catch_halts_before_the_first_instruction(start: Start) -> None:
    debugger, names = start("volatile uint32_t n; void main(void) { for (;;) n++; }")
    debugger.resume()
    time.sleep(0.01)
    debugger.halt()
    debugger.wait_halted()
    debugger.set_breakpoint(names["main"] & ~1)
    debugger.read(DHCSR)
    debugger.write(DEMCR, debugger.read(DEMCR) | 1)
    debugger.write(AIRCR, 0x05FA0004)
    status = debugger.read(DHCSR)
    assert status & (RESET | HALTED | DEBUGEN) == RESET | HALTED | DEBUGEN
    assert not debugger.read(DHCSR) & RESET
    assert debugger.wait_halted() & BY_VECTOR
    assert debugger.pc == names["reset"] & ~1
    debugger.write(DEMCR, 0)
    debugger.resume()
    assert debugger.wait_halted() == BY_BKPT  # breakpoints outlive a reset
    assert debugger.pc == names["main"] & ~1


def test_a_reset_of_the_core_alone_leaves_the_peripherals_as_they_are(start: Start) -> None:
    debugger, names = start("void main(void) { for (;;) { } }")
    run_to(debugger, names["main"] & ~1)
    uart = debugger.read(0x4000480C)
    assert uart == 0x200C
    debugger.write(0xE000ED10, 0x10)
    debugger.write(AIRCR, 0x05FA0001)
    assert debugger.halted  # as it was
    assert debugger.pc == names["reset"] & ~1
    assert (debugger.read(0x4000480C), debugger.read(0xE000ED10)) == (uart, 0)


def test_a_debugger_can_end_every_active_exception(start: Start) -> None:
    source = 'void svc(void) { for (;;) { } } void main(void) { __asm volatile("svc #0"); }'
    debugger, names = start(source)
    run_to(debugger, names["svc"] & ~1)
    assert debugger.read(0xE000ED24) >> 7 & 1
    debugger.write(AIRCR, 0x05FA0002)
    assert not debugger.read(0xE000ED24) >> 7 & 1
    assert debugger.register(PSR) & 0x1FF == 0


def test_a_reset_of_a_running_core_lets_it_run(start: Start) -> None:
    debugger, names = start("volatile uint32_t n; void main(void) { for (;;) n++; }")
    debugger.resume()
    debugger.write(AIRCR, 0x05FA0004)
    time.sleep(0.01)
    assert not debugger.halted
    assert debugger.read(names["n"]) > 0


def test_the_cycle_counter_stands_still_while_the_core_is_halted(start: Start) -> None:
    debugger, names = start("void main(void) { for (;;) { } }")
    run_to(debugger, names["main"] & ~1)
    first = debugger.read(CYCCNT)
    time.sleep(0.01)
    assert debugger.read(CYCCNT) == first > 0
    debugger.resume()
    time.sleep(0.01)
    assert debugger.read(CYCCNT) > first


def test_the_debugger_leaves_and_the_core_goes_on_as_if_it_had_not_been_there(
    start: Start,
) -> None:
    debugger, _ = start('void main(void) { __asm volatile("bkpt #0"); }')
    debugger.write(DHCSR, KEY)
    deadline = time.monotonic() + 10
    while debugger.read(0xE000ED2C) >> 31 == 0:  # HFSR.DEBUGEVT
        assert time.monotonic() < deadline
