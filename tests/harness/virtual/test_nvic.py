"""Interrupts as an NVIC delivers them: who goes first, what chaining saves, when FP registers are
stacked, what wakes a sleeping core (DDI 0403, B1.5 and B3.4; DDI 0439, 3.8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.virtual.debugger import BY_BKPT, DHCSR, Debugger
from tests.harness.virtual.firmware import INTERRUPTS, compile_firmware, symbols

Run = Callable[..., list[int]]


@pytest.fixture(scope="module")
def debugger() -> Iterator[Debugger]:
    with Debugger() as debugger:
        yield debugger


def run_until_done(debugger: Debugger, names: dict[str, int]) -> None:
    debugger.set_breakpoint(names["done"] & ~1)
    debugger.resume()
    assert debugger.wait_halted() == BY_BKPT
    assert debugger.pc == names["done"] & ~1


# ---- order ----

ORDER = (
    INTERRUPTS
    + """
volatile uint32_t priorities[8], pended, grouping, count, order[8];
static void note(void) {
    uint32_t number;
    __asm volatile("mrs %0, ipsr" : "=r"(number));
    order[count++] = number - 16;
}
extern uint32_t ready[], done[];
void main(void) {
    use_table();
    __asm volatile(".global ready\\n ready: nop" ::: "memory");
    __asm volatile("cpsid i");
    REG(0xE000ED0C) = 0x05FA0000 | grouping << 8;
    for (int i = 0; i < 8; i++)
        use(16 + i, note, priorities[i]);
    ISPR = pended;
    __asm volatile("cpsie i\\n isb\\n nop" ::: "memory");
    __asm volatile(".global done\\n done: b .");
}"""
)


@pytest.fixture(scope="module")
def ordering(firmware_folder: Path) -> Iterator[tuple[Debugger, dict[str, int]]]:
    elf = compile_firmware(ORDER, firmware_folder)
    names = symbols(elf)
    with Debugger() as debugger:
        debugger.start_halted(elf)
        debugger.set_breakpoint(names["ready"] & ~1)
        debugger.resume()
        assert debugger.wait_halted() == BY_BKPT
        debugger.write(0xE0002008, 0)
        yield debugger, names


@settings(max_examples=40, deadline=None)
@given(
    priorities=st.lists(st.integers(0, 255), min_size=8, max_size=8),
    pended=st.integers(0, 255),
    grouping=st.integers(0, 7),
)
def test_what_is_pending_goes_by_group_then_subpriority_then_number(
    ordering: tuple[Debugger, dict[str, int]], priorities: list[int], pended: int, grouping: int
) -> None:
    debugger, names = ordering
    for i, priority in enumerate(priorities):
        debugger.write(names["priorities"] + 4 * i, priority)
    debugger.write(names["pended"], pended)
    debugger.write(names["grouping"], grouping)
    debugger.write(names["count"], 0)
    debugger.set_register(15, names["ready"] & ~1)
    run_until_done(debugger, names)
    asked = [i for i in range(8) if pended >> i & 1]
    count = debugger.read(names["count"])
    assert count == len(asked)
    expected = sorted(asked, key=lambda i: (priorities[i] & 0xF0, i))
    assert (debugger.words(names["order"], 8))[:count] == expected


@pytest.mark.parametrize(("grouping", "preempts"), [(3, True), (5, False)])
def test_a_subpriority_preempts_nobody(run: Run, grouping: int, preempts: bool) -> None:
    source = f"""
static volatile uint32_t order[4], count;
static void urgent(void) {{ order[count++] = 1; }}
static void slow(void) {{
    order[count++] = 2;
    ISPR = 2;
    settle();
    order[count++] = 3;
}}
void main(void) {{
    use_table();
    REG(0xE000ED0C) = 0x05FA0000 | {grouping} << 8;
    use(16, slow, 0x50);
    use(17, urgent, 0x40); /* same group at PRIGROUP 5 */
    ISPR = 1;
    settle();
    for (int i = 0; i < 3; i++)
        report(order[i]);
}}"""
    assert run(INTERRUPTS + source, 3) == ([2, 1, 3] if preempts else [2, 3, 1])


@pytest.mark.parametrize(("board", "kept"), [("nucleo_f412zg", 0xF0), ("nrf52840dk", 0xE0)])
def test_a_priority_has_the_bits_that_the_chip_has(
    firmware_folder: Path, board: str, kept: int
) -> None:
    with Debugger(board) as debugger:
        debugger.core.reset()
        debugger.write(DHCSR, 0xA05F0003)
        debugger.write(0xE000E400, 0xFFFFFFFF)
        assert debugger.read(0xE000E400) == kept * 0x01010101
        debugger.write(0xE000ED23, 0xFF, 1)
        assert debugger.read(0xE000ED23, 1) == kept


def test_a_non_maskable_interrupt_is_masked_by_nothing(run: Run) -> None:
    source = """
static volatile uint32_t number, mask;
static void nmi(void) {
    __asm volatile("mrs %0, ipsr\\n mrs %1, faultmask" : "=r"(number), "=r"(mask));
}
void main(void) {
    use_table();
    table[2] = (uint32_t)nmi;
    __asm volatile("cpsid i\\n cpsid f");
    ICSR = 1u << 31;
    settle();
    report(number);
    report(mask);
    uint32_t after;
    __asm volatile("mrs %0, faultmask" : "=r"(after));
    report(after);
}"""
    assert run(INTERRUPTS + source, 3) == [2, 1, 1]


def test_a_software_trigger_pends_its_interrupt(run: Run) -> None:
    source = """
static volatile uint32_t number;
static void note(void) { __asm volatile("mrs %0, ipsr" : "=r"(number)); }
void main(void) {
    use_table();
    use(16 + 70, note, 0x10);
    REG(0xE000EF00) = 70;
    settle();
    report(number);
}"""
    assert run(INTERRUPTS + source, 1) == [86]


def test_a_breakpoint_without_a_debugger_is_the_monitors_where_it_is_enabled(run: Run) -> None:
    source = """
static volatile uint32_t number;
NAKED monitor(void) {
    __asm volatile("ldr r0, [sp, #24]\\n adds r0, #2\\n str r0, [sp, #24]\\n"
                   "ldr r1, =seen\\n ldr r1, [r1]\\n mrs r0, ipsr\\n str r0, [r1]\\n bx lr\\n"
                   ".ltorg");
}
__attribute__((used)) volatile uint32_t *const seen = &number;
void main(void) {
    use_table();
    table[12] = (uint32_t)monitor;
    REG(0xE000EDFC) |= 1 << 16;
    __asm volatile("bkpt #1");
    report(number);
    report(HFSR);
    report(REG(0xE000ED30) & 2);
}"""
    assert run(INTERRUPTS + source, 3) == [12, 0, 2]


def test_the_monitor_can_be_pended(run: Run) -> None:
    source = """
static volatile uint32_t number;
static void monitor(void) { __asm volatile("mrs %0, ipsr" : "=r"(number)); }
void main(void) {
    use_table();
    table[12] = (uint32_t)monitor;
    REG(0xE000EDFC) |= 1 << 17;
    settle();
    report(number);
    report(REG(0xE000EDFC) >> 17 & 1);
    REG(0xE000EDFC) |= 1 << 16;
    settle();
    report(number);
    report(REG(0xE000EDFC) >> 17 & 1);
}"""
    assert run(INTERRUPTS + source, 4) == [0, 1, 12, 0]


# ---- chaining ----


def test_a_chained_handler_costs_six_cycles_instead_of_leaving_and_entering(run: Run) -> None:
    source = """
NAKED empty(void) { __asm volatile("bx lr"); }
__attribute__((naked, noinline)) static uint32_t pend_and_time(uint32_t mask) {
    __asm volatile("ldr r1, =0xE0001004\\n ldr r2, =0xE000E200\\n isb\\n ldr r3, [r1]\\n"
                   "str r0, [r2]\\n isb\\n ldr r0, [r1]\\n subs r0, r3\\n bx lr\\n .ltorg");
}
void main(void) {
    use_table();
    for (int i = 0; i < 3; i++)
        use(16 + i, empty, 0x40);
    pend_and_time(7);
    for (uint32_t mask = 0; mask < 8; mask = mask * 2 + 1)
        report(pend_and_time(mask));
}"""
    none, one, two, three = run(INTERRUPTS + source, 4)
    handler = one - none - 12 - 10
    assert 1 <= handler <= 4
    assert two - one == three - two == handler + 6


def test_one_that_arrives_while_another_is_being_entered_goes_first(
    debugger: Debugger, firmware_folder: Path
) -> None:
    source = (
        INTERRUPTS
        + """
volatile uint32_t delay, count, links[2], numbers[2];
__attribute__((used)) void note(uint32_t link) {
    uint32_t number;
    __asm volatile("mrs %0, ipsr" : "=r"(number));
    links[count] = link;
    numbers[count++] = number;
}
NAKED log_entry(void) {
    __asm volatile("cpsid i\\n mov r0, lr\\n push {r4, lr}\\n bl note\\n cpsie i\\n isb\\n"
                   "pop {r4, pc}");
}
extern uint32_t ready[], done[];
void main(void) {
    use_table();
    use(15, log_entry, 0x10);
    use(16, log_entry, 0x80);
    __asm volatile(".global ready\\n ready: nop" ::: "memory");
    count = 0;
    REG(0xE000E014) = delay;
    REG(0xE000E018) = 0;
    __asm volatile("str %1, [%0]\\n str %3, [%2]\\n str %4, [%0, #4]\\n isb\\n"
                   :: "r"(0xE000E010), "r"(7), "r"(0xE000E200), "r"(1), "r"(0)
                   : "memory"); /* one tick, then a reload value of 0 */
    while (count < 2) {
    }
    __asm volatile(".global done\\n done: b .");
}"""
    )
    elf = compile_firmware(source, firmware_folder)
    names = symbols(elf)
    debugger.start_halted(elf)
    debugger.set_breakpoint(names["ready"] & ~1)
    debugger.resume()
    debugger.wait_halted()
    seen = []
    registers = [debugger.register(n) for n in range(15)]
    for delay in range(6, 60):
        for n, value in enumerate(registers):
            debugger.set_register(n, value)
        debugger.write(names["delay"], delay)
        debugger.set_register(15, names["ready"] & ~1)
        run_until_done(debugger, names)
        numbers, links = debugger.words(names["numbers"], 2), debugger.words(names["links"], 2)
        seen.append((*numbers, *(link & 0xF for link in links)))
    late = (15, 16, 9, 9)
    nested = {(15, 16, 1, 9), (16, 15, 9, 1), (16, 15, 9, 9)}  # before the note, after, chained
    switch = next(i for i, order in enumerate(seen) if order in nested)
    assert switch >= 10  # the twelve cycles of entry belong to the late one
    assert set(seen[:switch]) == {late}
    assert set(seen[switch:]) <= nested


# ---- level-sensitive lines, by an nRF timer whose event stays until it is cleared ----

NRF = (
    INTERRUPTS
    + """
#define TIMER(offset) REG(0x40008000 + (offset))
static void start_timer(void) {
    TIMER(0x508) = 3;        /* BITMODE: 32 bits */
    TIMER(0x510) = 0;        /* PRESCALER */
    TIMER(0x540) = 100;      /* CC[0] */
    TIMER(0x304) = 1 << 16;  /* INTENSET: COMPARE[0] */
    TIMER(0x000) = 1;        /* TASKS_START */
}
extern uint32_t done[];
"""
)


@pytest.fixture
def nrf(firmware_folder: Path) -> Iterator[Callable[[str], tuple[Debugger, dict[str, int]]]]:
    with Debugger("nrf52840dk") as debugger:

        def run_source(source: str) -> tuple[Debugger, dict[str, int]]:
            elf = compile_firmware(NRF + source, firmware_folder, flash="0x0")
            debugger.start_halted(elf)
            names = symbols(elf)
            run_until_done(debugger, names)
            return debugger, names

        yield run_source


def test_a_line_that_stays_high_interrupts_again_until_it_falls(
    nrf: Callable[[str], tuple[Debugger, dict[str, int]]],
) -> None:
    debugger, names = nrf("""
volatile uint32_t calls, calls_later;
static void handler(void) {
    if (++calls == 4)
        TIMER(0x140) = 0; /* EVENTS_COMPARE[0] */
}
void main(void) {
    use_table();
    use(16 + 8, handler, 0x40);
    start_timer();
    while (calls < 4) {
    }
    for (volatile int i = 0; i < 100; i++) {
    }
    calls_later = calls;
    __asm volatile(".global done\\n done: b .");
}""")
    assert debugger.words(names["calls"], 1) == debugger.words(names["calls_later"], 1) == [4]


def test_a_pending_bit_cannot_be_cleared_while_its_line_is_high(
    nrf: Callable[[str], tuple[Debugger, dict[str, int]]],
) -> None:
    debugger, names = nrf("""
volatile uint32_t seen[3];
void main(void) {
    start_timer();
    while (!(ISPR & 1 << 8)) {
    }
    ICPR = 1 << 8;
    seen[0] = ISPR >> 8 & 1;
    TIMER(0x140) = 0;
    settle();
    seen[1] = ISPR >> 8 & 1; /* latched */
    ICPR = 1 << 8;
    seen[2] = ISPR >> 8 & 1;
    __asm volatile(".global done\\n done: b .");
}""")
    assert debugger.words(names["seen"], 3) == [1, 1, 0]


# ---- sleeping ----


def test_a_core_that_sleeps_on_exit_runs_handlers_only(run: Run) -> None:
    source = """
static volatile uint32_t ticks, thread;
void systick(void) {
    if (++ticks == 3)
        SCR &= ~2u;
}
void main(void) {
    REG(0xE000E014) = 4999;
    REG(0xE000E018) = 0;
    REG(0xE000E010) = 7;
    SCR |= 2;
    __asm volatile("wfi");
    thread = ticks;
    report(thread);
}"""
    assert run(INTERRUPTS + source, 1) == [3]


def test_an_event_is_kept_for_one_wait(run: Run) -> None:
    source = """
static volatile uint32_t ticks;
void systick(void) { ticks++; }
static uint32_t cycles_of_wait(void) {
    uint32_t start = CYCCNT;
    __asm volatile("wfe");
    return CYCCNT - start;
}
void main(void) {
    __asm volatile("sev");
    report(cycles_of_wait() < 50);
    REG(0xE000E014) = 49999;
    REG(0xE000E018) = 0;
    REG(0xE000E010) = 7;
    report(cycles_of_wait() > 40000);
    report(ticks);
    __asm volatile("sev\\n sev\\n sev.w");
    report(cycles_of_wait() < 50);
    report(cycles_of_wait() > 40000);
    __asm volatile("svc #0");       /* the return from a handler is an event */
    report(cycles_of_wait() < 50);
}
void svc(void) { }"""
    # The tick's own return left an event behind, which the SEV merges with.
    assert run(INTERRUPTS + source, 6) == [1, 1, 1, 1, 1, 1]


def test_a_pending_interrupt_is_an_event_only_where_that_is_wanted(run: Run) -> None:
    source = """
void main(void) {
    __asm volatile("cpsid i\\n sev\\n wfe"); /* no event left */
    SCR |= 1 << 4;                          /* SEVONPEND */
    ISPR = 1;                               /* disabled */
    uint32_t start = CYCCNT;
    __asm volatile("wfe");
    report(CYCCNT - start < 50);
    report(ISPR & 1);
    SCR &= ~(1u << 4);
    ICPR = 1;
    ISPR = 1;
    REG(0xE000E014) = 49999;
    REG(0xE000E018) = 0;
    REG(0xE000E010) = 7;
    SCR |= 1 << 4;
    __asm volatile("wfe");
    report(CYCCNT - start > 40000); /* the tick's pending was the event */
    report(ICSR >> 26 & 1);
}"""
    assert run(INTERRUPTS + source, 4) == [1, 1, 1, 1]


def test_a_masked_interrupt_wakes_a_core_without_being_taken(run: Run) -> None:
    source = """
static volatile uint32_t ticks;
void systick(void) { ticks++; }
void main(void) {
    __asm volatile("cpsid i");
    REG(0xE000E014) = 9999;
    REG(0xE000E018) = 0;
    REG(0xE000E010) = 7;
    __asm volatile("wfi");
    report(ticks);
    report(ICSR >> 26 & 1);
    __asm volatile("cpsie i\\n isb");
    report(ticks);
}"""
    assert run(INTERRUPTS + source, 3) == [0, 1, 1]


def test_systick_can_run_on_an_eighth_of_the_clock(run: Run) -> None:
    source = """
void main(void) {
    REG(0xE000E014) = 999;
    REG(0xE000E018) = 0;
    REG(0xE000E010) = 1;
    uint32_t start = CYCCNT;
    while (!(REG(0xE000E010) & 1 << 16)) {
    }
    uint32_t cycles = CYCCNT - start;
    report(cycles > 7900 && cycles < 8100);
}"""
    assert run(INTERRUPTS + source, 1) == [1]


def test_profiling_counters_read_as_zero(run: Run) -> None:
    source = """
void main(void) {
    uint32_t sum = 0;
    for (uint32_t at = 0xE0001008; at <= 0xE0001018; at += 4)
        sum |= REG(at);
    report(sum);
    report(REG(0xE0001000) >> 24);
}"""
    assert run(INTERRUPTS + source, 2) == [0, 0x40]
