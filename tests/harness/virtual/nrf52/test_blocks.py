"""What the nRF52840's peripherals do, seen by firmware: clocks, events, pins, timers."""

from __future__ import annotations

from collections.abc import Callable

Run = Callable[..., list[int]]

CYCLES_A_TICK = 64_000_000 / 32_768


# What it is


def test_the_factory_registers_name_the_part(run: Run) -> None:
    source = """
void main(void) {
    report(REG(0x10000010) * REG(0x10000014));
    report(REG(0x10000100));
    report(REG(0x10000108));
    report(REG(0x1000010C));
    report(REG(0x10000110));
    report(REG(0x10000130) << 8 | REG(0x10000134));
    report(REG(0xF0000FE0) & 0xFF);
    report(REG(0x10001208));
}"""
    assert run(source, 8) == [1 << 20, 0x52840, 0x2004, 256, 1024, 0x0804, 0x08, 0xFFFFFFFF]


def test_ram_shows_on_the_code_bus_too(run: Run) -> None:
    source = """
void main(void) {
    REG(0x20030000) = 0x12345678;
    report(REG(0x00830000));
    REG(0x20030004) = 0x20074770; /* bx lr; movs r0, #7: halfwords in this order */
    *(volatile uint16_t *)0x20030004 = 0x2007;
    *(volatile uint16_t *)0x20030006 = 0x4770;
    report(((uint32_t (*)(void))0x00830005)());
}"""
    assert run(source, 2) == [0x12345678, 7]


def test_priorities_have_three_bits(run: Run) -> None:
    source = """
void main(void) {
    *(volatile uint8_t *)0xE000E411 = 0xFF;
    report(REG(0xE000E410));
}"""
    assert run(source, 1) == [0xE000]


# Clocks, power


def test_oscillators_take_their_time_and_say_when_they_run(run: Run) -> None:
    source = """
void main(void) {
    report(REG(0x4000040C));
    uint32_t start = CYCCNT;
    REG(0x40000000) = 1;
    while (!REG(0x40000100)) {
    }
    report(since(start) / 64);
    report(REG(0x4000040C));
    REG(0x40000518) = 1;
    start = CYCCNT;
    REG(0x40000008) = 1;
    report(REG(0x40000418));
    while (!REG(0x40000104)) {
    }
    report(since(start) / 64000);
    report(REG(0x40000418));
    REG(0x4000000C) = 1;
    report(REG(0x40000418));
}"""
    before, high_us, after, starting, low_ms, running, stopped = run(source, 7)
    assert (before, after) == (0x10000, 0x10001)
    assert high_us in range(316, 318)  # 60 us, and 16 debouncing steps of 16 us
    assert (starting, running, stopped) == (0x10000, 0x10001, 0)
    assert low_ms == 250


def test_the_crystal_takes_over_from_a_running_oscillator(run: Run) -> None:
    source = """
void main(void) {
    low_clock_start();
    REG(0x40000104) = 0;
    uint32_t rc = REG(0x40000418), start = CYCCNT;
    REG(0x40000518) = 1;
    REG(0x40000008) = 1;
    uint32_t starting = REG(0x40000418);
    while (!REG(0x40000104)) {
    }
    report(since(start) / 64000);
    report(rc);
    report(starting);
    report(REG(0x40000418));
}"""
    assert run(source, 4) == [250, 0x10000, 0x10000, 0x10001]


def test_reset_reasons_collect_until_they_are_cleared(run: Run) -> None:
    source = """
void main(void) {
    uint32_t reasons = REG(0x40000400);
    if (!(reasons & 4)) {
        REG(0x4000051C) = 0xA5;
        REG(0x40000578) = 1;
        REG(0xE000ED0C) = 0x05FA0004;
        for (;;) {
        }
    }
    report(reasons);
    report(REG(0x4000051C));
    report(REG(0x40000578));
    REG(0x40000400) = 1;
    report(REG(0x40000400));
    REG(0x40000400) = 4;
    report(REG(0x40000400));
}"""
    assert run(source, 5) == [4, 0xA5, 0, 4, 0]


def test_ram_sections_are_powered_by_sets(run: Run) -> None:
    source = """
void main(void) {
    report(REG(0x40000900));
    REG(0x40000908) = 1;
    report(REG(0x40000900));
    REG(0x40000904) = 3 << 16;
    report(REG(0x40000900));
}"""
    assert run(source, 3) == [0xFFFF, 0xFFFE, 0x3FFFE]


# Events, interrupts, PPI


def test_an_enabled_event_interrupts_until_it_is_cleared(run: Run) -> None:
    source = """
static volatile uint32_t calls;
static void handler(void) {
    calls++;
    if (calls == 3)
        REG(0x40014108) = 0;
    (void)REG(0x40014108);
}
void main(void) {
    on_interrupt(20, handler);
    REG(0x40014008) = 1;
    report(calls);
    report(REG(0x40014108));
    REG(0x40014304) = 1 << 2;
    __asm volatile("dsb\\n isb");
    report(calls);
    report(REG(0x40014304));
    REG(0x40014308) = 1 << 2;
    report(REG(0x40014300));
}"""
    assert run(source, 5) == [0, 1, 3, 4, 0]


def test_a_channel_connects_an_event_with_tasks(run: Run) -> None:
    source = """
void main(void) {
    REG(0x4001F510) = 0x40014100; /* EGU0 TRIGGERED[0] */
    REG(0x4001F514) = 0x40015004; /* EGU1 TRIGGER[1] */
    REG(0x4001F910) = 0x40016008; /* and EGU2 TRIGGER[2] */
    REG(0x40014000) = 1;
    report(REG(0x40015104));
    REG(0x4001F800) = 1;
    REG(0x4001F000) = 1; /* enables the channels of group 0 */
    report(REG(0x4001F500));
    REG(0x40014000) = 1;
    report(REG(0x40015104));
    report(REG(0x40016108));
    REG(0x4001F508) = 1;
    report(REG(0x4001F504));
}"""
    assert run(source, 5) == [0, 1, 1, 1, 0]


def test_channels_in_a_circle_end(run: Run) -> None:
    source = """
void main(void) {
    REG(0x4001F510) = 0x40014100;
    REG(0x4001F514) = 0x40014000;
    REG(0x4001F504) = 1;
    REG(0x40014000) = 1;
    report(REG(0x40014100));
}"""
    assert run(source, 1) == [1]


def test_circles_that_branch_at_every_turn_end(run: Run) -> None:
    source = """
void main(void) {
    for (int i = 0; i < 20; i++) {
        REG(0x4001F510 + 8 * i) = 0x40014100;
        REG(0x4001F514 + 8 * i) = REG(0x4001F910 + 4 * i) = 0x40014000;
    }
    REG(0x4001F504) = 0xFFFFF;
    REG(0x40014000) = 1;
    report(REG(0x40014100));
}"""
    assert run(source, 1) == [1]


# Pins


def test_both_ports_drive_and_pull_their_pins(run: Run) -> None:
    source = """
void main(void) {
    REG(0x50000734) = 1; /* P0.13: output, input connected */
    REG(0x50000508) = 1 << 13;
    report(REG(0x50000510));
    report(REG(0x50000514));
    REG(0x5000050C) = 1 << 13;
    report(REG(0x50000510));
    REG(0x5000072C) = 3 << 2; /* P0.11, a button: pulled up */
    report(REG(0x50000510));
    REG(0x50000A04) = 1; /* P1.01 */
    REG(0x50000804) = 2;
    report(REG(0x50000810));
    REG(0x50000818) = 4;
    report(REG(0x50000814));
    report(REG(0x50000A08));
}"""
    assert run(source, 7) == [1 << 13, 1 << 13, 0, 1 << 11, 2, 6, 3]


def test_pins_turn_into_events_and_tasks_into_pins(run: Run) -> None:
    source = """
void main(void) {
    REG(0x50000734) = 1;
    REG(0x40006510) = 1 | 13 << 8 | 1 << 16; /* channel 0: P0.13 rises */
    REG(0x40006514) = 1 | 13 << 8 | 2 << 16; /* channel 1: it falls */
    REG(0x50000508) = 1 << 13;
    report(REG(0x40006100) << 1 | REG(0x40006104));
    REG(0x5000050C) = 1 << 13;
    report(REG(0x40006100) << 1 | REG(0x40006104));
    REG(0x40006518) = 3 | 14 << 8 | 3 << 16; /* channel 2: task, toggles P0.14 */
    REG(0x40006008) = 1;
    report(REG(0x50000504));
    REG(0x40006008) = 1;
    report(REG(0x50000504));
    REG(0x40006038) = 1;
    report(REG(0x50000504));
    REG(0x50000740) = 2 << 16 | 1; /* P0.16 is sensed high */
    REG(0x50000508) = 1 << 16;
    report(REG(0x4000617C));
    report(REG(0x50000520));
}"""
    assert run(source, 7) == [2, 3, 1 << 14, 0, 1 << 14, 1, 1 << 16]


# Timers


def test_a_timer_counts_sixteen_megahertz_through_its_prescaler(run: Run) -> None:
    source = """
static uint32_t captured(void) {
    REG(0x40008040) = 1;
    return REG(0x40008540);
}
void main(void) {
    report(REG(0x40008510));
    REG(0x40008508) = 3;
    REG(0x40008510) = 0;
    REG(0x40008000) = 1;
    uint32_t start = CYCCNT, first = captured();
    while (since(start) < 64000) {
    }
    uint32_t took = since(start);
    report(captured() - first - took / 4);
    REG(0x40008004) = 1;
    first = captured();
    report(captured() - first);
    REG(0x4000800C) = 1;
    report(captured());
}"""
    prescaler, drift, stopped, cleared = run(source, 4)
    assert (prescaler, stopped, cleared) == (4, 0, 0)
    assert drift < 20


def test_a_compare_clears_and_stops_by_shorts_and_interrupts(run: Run) -> None:
    source = """
static volatile uint32_t calls, last;
static void handler(void) {
    REG(0x40009140) = 0;
    (void)REG(0x40009140);
    calls++;
    last = CYCCNT;
}
void main(void) {
    on_interrupt(9, handler);
    REG(0x40009508) = 0;
    REG(0x40009510) = 4; /* 1 MHz */
    REG(0x40009540) = 1000;
    REG(0x40009200) = 1; /* COMPARE[0] clears */
    REG(0x40009304) = 1 << 16;
    uint32_t start = CYCCNT;
    REG(0x40009000) = 1;
    while (calls < 5)
        __asm volatile("wfi");
    report((last - start) / 64);
    REG(0x40009200) = 1 | 1 << 8; /* and stops */
    while (calls < 6)
        __asm volatile("wfi");
    start = CYCCNT;
    while (since(start) < 640000) {
    }
    report(calls);
}"""
    microseconds, calls = run(source, 2)
    assert microseconds in range(5000, 5002)
    assert calls == 6


def test_narrow_timers_wrap(run: Run) -> None:
    source = """
void main(void) {
    REG(0x4000A508) = 1; /* 8 bits */
    REG(0x4000A510) = 0;
    REG(0x4000A544) = 10;
    REG(0x4000A000) = 1;
    uint32_t at[3];
    for (int i = 0; i < 3; i++) {
        while (!REG(0x4000A144)) {
        }
        at[i] = CYCCNT;
        REG(0x4000A144) = 0;
    }
    report(at[1] - at[0]);
    report(at[2] - at[1]);
}"""
    for cycles in run(source, 2):
        assert cycles in range(1024 - 40, 1024 + 40)  # 256 ticks of 4 cycles, as seen by polling


def test_a_counter_counts_tasks_that_channels_trigger(run: Run) -> None:
    source = """
void main(void) {
    REG(0x4001A504) = 2; /* TIMER3, low power counter */
    REG(0x4001A508) = 3;
    REG(0x4001A540) = 3;
    REG(0x4001A000) = 1;
    REG(0x4001F510) = 0x40014100;
    REG(0x4001F514) = 0x4001A008;
    REG(0x4001F504) = 1;
    for (int i = 0; i < 3; i++) {
        report(REG(0x4001A140));
        REG(0x40014000) = 1;
    }
    report(REG(0x4001A140));
    REG(0x4001A044) = 1;
    report(REG(0x4001A544));
}"""
    assert run(source, 5) == [0, 0, 0, 1, 3]


def test_the_real_time_counter_interrupts_at_its_compare(run: Run) -> None:
    source = """
static volatile uint32_t at;
static void handler(void) {
    at = CYCCNT;
    REG(0x40011140) = 0;
    (void)REG(0x40011140);
}
void main(void) {
    low_clock_start();
    on_interrupt(17, handler);
    REG(0x40011540) = 100;
    REG(0x40011304) = 1 << 16;
    REG(0x40011008) = 1;
    REG(0x40011000) = 1;
    uint32_t start = CYCCNT;
    while (!at)
        __asm volatile("wfi");
    report(REG(0x40011504));
    report(at - start);
}"""
    counter, cycles = run(source, 2)
    assert counter == 100
    assert 99 * CYCLES_A_TICK <= cycles <= 101 * CYCLES_A_TICK


def test_the_real_time_counter_overflows_and_ticks_through_its_prescaler(run: Run) -> None:
    source = """
void main(void) {
    low_clock_start();
    REG(0x40024508) = 9;
    REG(0x40024344) = 3; /* TICK and OVRFLW */
    report(REG(0x40024340));
    REG(0x4002400C) = 1;
    REG(0x40024000) = 1;
    uint32_t start = CYCCNT, near = REG(0x40024504);
    while (!REG(0x40024104)) {
    }
    start = since(start);
    report(near);
    report(start);
    report(REG(0x40024504));
    report(REG(0x40024100));
    REG(0x40024508) = 0;
    report(REG(0x40024508));
    REG(0x40024348) = 3;
    report(REG(0x40024340));
}"""
    enabled, near, cycles, wrapped, ticked, prescaler, disabled = run(source, 7)
    assert (enabled, near, wrapped, ticked, prescaler, disabled) == (3, 0xFFFFF0, 0, 1, 9, 0)
    assert 159 * CYCLES_A_TICK <= cycles <= 160 * CYCLES_A_TICK + 64


def test_the_real_time_counter_stands_without_its_clock(run: Run) -> None:
    source = """
void main(void) {
    REG(0x4000B000) = 1;
    uint32_t start = CYCCNT;
    while (since(start) < 64000) {
    }
    report(REG(0x4000B504));
    low_clock_start();
    start = CYCCNT;
    while (since(start) < 64000) {
    }
    report(REG(0x4000B504) > 30);
}"""
    assert run(source, 2) == [0, 1]


def test_the_watchdog_resets_unless_every_request_comes(run: Run) -> None:
    source = """
void main(void) {
    if (REG(0x40000400) & 2) {
        report(2);
        report(REG(0x40010400));
        rest();
    }
    REG(0x40010504) = 3276; /* 0.1 s */
    REG(0x40010508) = 3;
    REG(0x40010000) = 1;
    for (int i = 0; i < 5; i++) {
        uint32_t start = CYCCNT;
        while (since(start) < 64000000 / 12) {
        }
        REG(0x40010600) = 0x6E524635;
        report(REG(0x40010404));
        REG(0x40010604) = 0x6E524635;
    }
    report(0x100 | REG(0x40010404));
    for (;;)
        REG(0x40010600) = 0x6E524635;
}"""
    assert run(source, 8) == [2, 2, 2, 2, 2, 0x103, 2, 0]


def test_the_watchdog_interrupts_before_it_resets(run: Run) -> None:
    source = """
static void handler(void) {
    REG(0x20030000) = CYCCNT;
    for (;;)
        REG(0x20030004) = CYCCNT;
}
void main(void) {
    if (REG(0x40000400) & 2) {
        report((REG(0x20030004) - REG(0x20030000)) / 64);
        rest();
    }
    on_interrupt(16, handler);
    REG(0x40010504) = 32;
    REG(0x40010304) = 1;
    REG(0x40010000) = 1;
    for (;;)
        __asm volatile("wfi");
}"""
    assert run(source, 1)[0] in range(58, 63)  # two ticks of 30.5 us


# Analogue to digital

SAADC = r"""
#define SAADC(offset) REG(0x40007000 + (offset))
static volatile int16_t samples[2];
static void start(void) {
    SAADC(0x62C) = (uint32_t)samples;
    SAADC(0x500) = 1;
    SAADC(0x000) = 1;
    while (!SAADC(0x100)) {
    }
    SAADC(0x100) = 0;
}
static void sample(void) {
    SAADC(0x004) = 1;
    while (!SAADC(0x104)) {
    }
    SAADC(0x104) = 0;
}
"""


def test_the_supply_is_sampled_into_memory_in_its_time(run: Run) -> None:
    source = (
        SAADC
        + """
void main(void) {
    SAADC(0x510) = 9; /* VDD, by a sixth of 0.6 V */
    SAADC(0x5F0) = 2;
    SAADC(0x630) = 1;
    start();
    uint32_t from = CYCCNT;
    sample();
    uint32_t cycles = since(from);
    report(cycles / 64);
    report(samples[0]);
    SAADC(0x5F0) = 0;
    start();
    sample();
    report(samples[0]);
    SAADC(0x008) = 1;
    report(SAADC(0x114));
}"""
    )
    us, *others = run(source, 4)
    assert us in range(12, 14)
    assert others == [3300 * 4096 // 3600, 3300 * 256 // 3600, 1]


def test_channels_that_are_on_are_sampled_one_behind_the_other(run: Run) -> None:
    source = (
        SAADC
        + """
void main(void) {
    SAADC(0x520) = 1; /* a pin */
    SAADC(0x550) = 9;
    SAADC(0x558) |= 1 << 12; /* the reference is a quarter of VDD */
    SAADC(0x630) = 2;
    samples[0] = 77;
    start();
    sample();
    report(samples[0]);
    report(samples[1]);
    report(SAADC(0x634));
    SAADC(0x500) = 0;
    SAADC(0x000) = 1; /* off: nothing happens */
    report(SAADC(0x100));
    SAADC(0x500) = 1;
    SAADC(0x00C) = 1;
    while (!SAADC(0x110)) {
    }
    report(SAADC(0x400));
}"""
    )
    assert run(source, 5) == [0, 1024 * 4 // 6, 2, 0, 0]


# Noise, temperature


def test_random_bytes_come_in_time_and_repeat_with_the_run(run: Run) -> None:
    source = """
void main(void) {
    REG(0x4000D504) = 1;
    REG(0x4000D000) = 1;
    uint32_t start = CYCCNT, word = 0;
    for (int i = 0; i < 4; i++) {
        while (!REG(0x4000D100)) {
        }
        REG(0x4000D100) = 0;
        word = word << 8 | REG(0x4000D508);
    }
    report(since(start) / 64);
    report(word);
    REG(0x4000D200) = 1; /* one more, then stop */
    while (!REG(0x4000D100)) {
    }
    REG(0x4000D100) = 0;
    while (since(start) < 640000) {
    }
    report(REG(0x4000D100));
}"""
    first, second = run(source, 3), run(source, 3)
    assert first == second
    assert first[0] in range(479, 482)
    assert len(set(first[1].to_bytes(4, "little"))) == 4
    assert first[2] == 0


def test_it_is_twenty_five_degrees(run: Run) -> None:
    source = """
void main(void) {
    REG(0x4000C000) = 1;
    while (!REG(0x4000C100)) {
    }
    report(REG(0x4000C508));
}"""
    assert run(source, 1) == [100]
