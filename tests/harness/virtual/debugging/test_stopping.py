"""Breakpoints, watchpoints, vector catch, reset (DDI 0403, C1.5, C1.8 and C1.11)."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.harness.virtual.debugger import (
    AIRCR,
    BY_BKPT,
    BY_VECTOR,
    BY_WATCH,
    CYCCNT,
    DEBUGEN,
    DEMCR,
    DHCSR,
    DWT_COMP,
    FP_COMP,
    FP_CTRL,
    HALTED,
    KEY,
    PSR,
    RESET,
    TRCENA,
    Debugger,
)

Start = Callable[[str], tuple[Debugger, dict[str, int]]]
SPIN = "void main(void) { for (;;) { } }"


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
    debugger.run_to(names["main"] & ~1)
    debugger.resume()
    debugger.wait_for_change(names["calls"])
    debugger.write(names["code"], 0xBE00, 2)
    assert debugger.wait_halted() == BY_BKPT
    assert debugger.pc == names["code"]
    debugger.write(names["code"], 0x3001, 2)
    debugger.resume()
    debugger.wait_for_change(names["calls"])
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
    debugger.run_to(names["main"] & ~1)
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
    debugger.run_to(names["main"] & ~1)
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
    debugger.run_to(names["main"] & ~1)
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
    debugger.wait_for_change(names["n"])
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
    debugger.run_to(names["main"] & ~1)
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
    debugger.run_to(names["svc"] & ~1)
    assert debugger.read(0xE000ED24) >> 7 & 1
    debugger.write(AIRCR, 0x05FA0002)
    assert not debugger.read(0xE000ED24) >> 7 & 1
    assert debugger.register(PSR) & 0x1FF == 0


def test_a_reset_of_a_running_core_lets_it_run(start: Start) -> None:
    debugger, names = start("volatile uint32_t n; void main(void) { for (;;) n++; }")
    debugger.resume()
    debugger.write(AIRCR, 0x05FA0004)
    debugger.wait_for_change(names["n"])
    assert not debugger.halted


def test_the_cycle_counter_stands_still_while_the_core_is_halted(start: Start) -> None:
    debugger, names = start("void main(void) { for (;;) { } }")
    debugger.run_to(names["main"] & ~1)
    first = debugger.read(CYCCNT)
    time.sleep(0.01)
    assert debugger.read(CYCCNT) == first > 0
    debugger.resume()
    debugger.wait_for_change(CYCCNT)


def test_the_debugger_leaves_and_the_core_goes_on_as_if_it_had_not_been_there(
    start: Start,
) -> None:
    debugger, _ = start('void main(void) { __asm volatile("bkpt #0"); }')
    debugger.write(DHCSR, KEY)
    deadline = time.monotonic() + 10
    while debugger.read(0xE000ED2C) >> 31 == 0:  # HFSR.DEBUGEVT
        assert time.monotonic() < deadline
