"""What the STM32s' peripherals do, seen by firmware on virtual Nucleos."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

from harness.board import load_board
from harness.virtual import VirtualBoard
from tests.harness.virtual.firmware import (
    HANDLERS,
    STM32L4_CONSOLE,
    compile_firmware,
    run_firmware,
)

Run = Callable[..., list[int]]

FLASH_F4 = r"""
#define KEYR REG(0x40023C04)
#define SR REG(0x40023C0C)
#define CR REG(0x40023C10)
static void unlock(void) { KEYR = 0x45670123; KEYR = 0xCDEF89AB; }
static uint32_t wait(void) { while (SR & 1 << 16) { } return SR; }
"""

FLASH_L4 = r"""
#define KEYR REG(0x40022008)
#define SR REG(0x40022010)
#define CR REG(0x40022014)
static void unlock(void) { KEYR = 0x45670123; KEYR = 0xCDEF89AB; }
static uint32_t wait(void) { while (SR & 1 << 16) { } return SR; }
static void erase(uint32_t page) {
    CR = 2 | page << 3;
    CR |= 1 << 16;
    wait();
    CR = 0;
}
"""


ADC_F4 = r"""
#define ADC(offset) REG(0x40012000 + (offset))
static uint32_t convert(uint32_t channel) {
    ADC(0x34) = channel;
    ADC(0x08) = 1 << 30 | 1;
    while (!(ADC(0x00) & 2)) { }
    return ADC(0x4C);
}
"""

ADC_L4 = r"""
#define ADC(offset) REG(0x50040000 + (offset))
static void command(uint32_t bits) { ADC(0x08) = 1 << 28 | bits; }
static uint32_t convert(uint32_t channel) {
    ADC(0x30) = channel << 6;
    command(1 << 2);
    while (!(ADC(0x00) & 1 << 2)) { }
    return ADC(0x40);
}
"""


@pytest.fixture(scope="module")
def l4r5() -> Iterator[VirtualBoard]:
    with VirtualBoard(load_board("nucleo_l4r5zi")) as board:
        yield board


@pytest.fixture
def run_l4(l4r5: VirtualBoard, firmware_folder: Path) -> Run:
    def run_source(source: str, words: int, *, send: bytes = b"") -> list[int]:
        elf = compile_firmware(source, firmware_folder, console=STM32L4_CONSOLE)
        return run_firmware(l4r5, elf, words, send=send)

    return run_source


# ---- clocks and resets ----


def test_bytes_take_their_time_at_the_baud_rate(run: Run) -> None:
    source = """
void main(void) {
    uint32_t start = CYCCNT;
    for (int i = 0; i < 100; i++)
        put(i);
    uint32_t cycles = CYCCNT - start;
    report(cycles);
}"""
    # 10 bits of 16 cycles each, and the loop behind each TC
    assert 100 * 160 <= run(source, 26)[25] < 100 * 200


def test_reset_flags_say_why_until_they_are_removed(run: Run) -> None:
    source = """
static volatile uint32_t marker __attribute__((section(".noinit")));
void main(void) {
    uint32_t flags = REG(0x40023874) >> 24;
    REG(0x40023874) |= 1 << 24;
    report(flags);
    report(REG(0x40023874) >> 24);
    if (marker == 2)
        rest();
    if (marker == 1) { /* the watchdog, which nobody feeds */
        marker = 2;
        REG(0x40003000) = 0x5555;
        REG(0x40003008) = 1;
        REG(0x40003000) = 0xCCCC;
        for (;;) { }
    }
    marker = 1;
    REG(0xE000ED0C) = 0x05FA0004;
    for (;;) { }
}"""
    assert run(source, 6) == [0x0E, 0, 0x14, 0, 0x24, 0]


def test_the_watchdogs_time_is_that_of_the_low_speed_clock(run: Run) -> None:
    source = """
static volatile uint32_t marker __attribute__((section(".noinit")));
void main(void) {
    if (REG(0x40023874) & 1 << 29) {
        report(marker);
        rest();
    }
    REG(0x40003000) = 0x5555;
    REG(0x40003008) = 99; /* 100 x 4 / 32 kHz: 12.5 ms, 200,000 cycles of HSI */
    REG(0x40003000) = 0xCCCC;
    for (;;)
        marker = CYCCNT;
}"""
    assert run(source, 1)[0] == pytest.approx(200_000, rel=0.01)


# ---- timers ----


def test_a_timer_counts_its_prescaled_clock_and_interrupts(run: Run) -> None:
    source = (
        HANDLERS
        + """
static volatile uint32_t ticks;
static void tick(void) { REG(0x40000010) = ~1u; ticks++; }
void main(void) {
    REG(0x40000028) = 15;
    REG(0x40000014) = 1;
    uint32_t start = REG(0x40000024), from = CYCCNT;
    REG(0x40000000) = 1;
    while (since(from) < 16000) { }
    uint32_t counted = REG(0x40000024) - start;
    report(counted);
    REG(0x40000000) = 0;
    REG(0x4000002C) = 999;
    REG(0x40000024) = 0;
    REG(0x40000010) = 0;
    on_interrupt(28, tick);
    REG(0x4000000C) = 1;
    REG(0x40000000) = 1;
    from = CYCCNT;
    while (ticks < 10)
        __asm volatile("wfi");
    uint32_t cycles = since(from);
    report(cycles);
}"""
    )
    counted, cycles = run(source, 2)
    assert counted == pytest.approx(1000, abs=2)
    assert cycles == pytest.approx(160_000, abs=200)


def test_a_timer_without_a_period_stands_still(run: Run) -> None:
    source = (
        HANDLERS
        + """
void main(void) {
    REG(0x4000002C) = 0; /* the reload value of TIM2 */
    REG(0x40000024) = 7;
    REG(0x40000010) = 0;
    REG(0x40000000) = 1;
    uint32_t from = CYCCNT;
    while (since(from) < 5000) { }
    report(REG(0x40000024));
    report(REG(0x40000010) & 1);
    REG(0x4000002C) = 0xFFFFFFFF;
    from = CYCCNT;
    while (since(from) < 5000) { }
    report(REG(0x40000024));
}"""
    )
    count, updated, later = run(source, 3)
    assert (count, updated) == (7, 0)
    assert later == pytest.approx(5007, abs=60)


def test_a_compare_and_one_pulse(run: Run) -> None:
    source = """
void main(void) {
    REG(0x40000C2C) = 99;
    REG(0x40000C34) = 50;
    REG(0x40000C14) = 1;
    REG(0x40000C10) = 0;
    REG(0x40000C00) = 9;
    while (!(REG(0x40000C10) & 2)) { }
    uint32_t after_compare = REG(0x40000C10);
    while (!(REG(0x40000C10) & 1)) { }
    uint32_t control = REG(0x40000C00), count = REG(0x40000C24);
    report(after_compare & 3);
    report(control);
    report(count);
}"""
    assert run(source, 3) == [2, 8, 0]


def test_a_pll_that_multiplies_by_nothing_leaves_the_clock_as_it_was(run: Run) -> None:
    source = """
void main(void) {
    REG(0x40023804) = 16;        /* N 0 */
    REG(0x40023800) |= 1 << 24;
    REG(0x40023808) = 2;
    report(1);
}"""
    assert run(source, 1) == [1]


# ---- the console by interrupt and DMA ----


@pytest.mark.parametrize("bytes_sent", [1, 200])
def test_reception_by_interrupt_loses_nothing(run: Run, bytes_sent: int) -> None:
    source = (
        HANDLERS
        + """
static volatile uint32_t count, sum, overruns;
static void received(void) {
    overruns += REG(0x40004800) >> 3 & 1;
    sum = sum * 31 + (REG(0x40004804) & 0xFF);
    count++;
}
void main(void) {
    REG(0x40004808) = 139; /* 115200 baud */
    on_interrupt(39, received);
    REG(0x4000480C) |= 1 << 5;
    while (count < COUNT)
        __asm volatile("wfi");
    REG(0x4000480C) &= ~(1u << 5);
    report(sum);
    report(overruns);
}""".replace("COUNT", str(bytes_sent))
    )
    sent = bytes(range(bytes_sent))
    expected = 0
    for byte in sent:
        expected = (expected * 31 + byte) & 0xFFFFFFFF
    assert run(source, 2, send=sent) == [expected, 0]


def test_a_handler_that_is_too_slow_overruns(run: Run) -> None:
    source = (
        HANDLERS
        + """
static volatile uint32_t count, overruns;
static void received(void) {
    uint32_t from = CYCCNT;
    while (since(from) < 500) { } /* a byte takes 160 cycles */
    overruns += REG(0x40004800) >> 3 & 1;
    (void)REG(0x40004804);
    count++;
}
void main(void) {
    on_interrupt(39, received);
    REG(0x4000480C) |= 1 << 5;
    while (count < 8)
        __asm volatile("wfi");
    REG(0x4000480C) &= ~(1u << 5);
    report(overruns > 0);
}"""
    )
    assert run(source, 1, send=bytes(64)) == [1]


def test_a_stream_receives_and_another_sends(
    virtual_board: VirtualBoard, firmware_folder: Path
) -> None:
    source = (
        HANDLERS
        + """
static volatile uint8_t text[16];
static volatile uint32_t done;
static void received(void) { REG(0x40026008) = 0x3D << 6; done = 1; }
void main(void) {
    on_interrupt(12, received);
    REG(0x40004814) = 3 << 6;
    REG(0x4002602C) = 16;        /* DMA1 stream 1: USART3 into memory */
    REG(0x40026030) = 0x40004804;
    REG(0x40026034) = (uint32_t)text;
    REG(0x40026028) = 4 << 25 | 1 << 10 | 1 << 4 | 1;
    while (!done)
        __asm volatile("wfi");
    REG(0x4002605C) = 16;        /* stream 3: memory into USART3 */
    REG(0x40026060) = 0x40004804;
    REG(0x40026064) = (uint32_t)text;
    REG(0x40026058) = 4 << 25 | 1 << 10 | 1 << 6 | 1;
    while (!(REG(0x40026000) & 1 << 27)) { }
}"""
    )
    with serial.Serial(virtual_board.port, timeout=10) as line:
        virtual_board.load(compile_firmware(source, firmware_folder))
        line.write(b"sixteen letters!")
        assert line.read(16) == b"sixteen letters!"


def test_a_stream_of_a_reserved_width_moves_words(run: Run) -> None:
    source = """
static volatile uint32_t from[2], to[4];
void main(void) {
    from[0] = 0x11223344;
    from[1] = 0x55667788;
    REG(0x40026414) = 2;         /* DMA2 stream 0: from memory to memory */
    REG(0x40026418) = (uint32_t)from;
    REG(0x4002641C) = (uint32_t)to;
    REG(0x40026410) = 3 << 13 | 3 << 11 | 1 << 10 | 1 << 9 | 2 << 6 | 1;
    for (int i = 0; i < 3; i++)
        report(to[i]);
}"""
    assert run(source, 3) == [0x11223344, 0x55667788, 0]


# ---- CRC, random numbers ----


def test_the_crc_unit_of_the_f4_takes_words(run: Run) -> None:
    source = """
void main(void) {
    REG(0x40023008) = 1;
    REG(0x40023000) = 0x12345678;
    report(REG(0x40023000));
}"""
    assert run(source, 1) == [0xDF8A8A2B]


def test_the_crc_unit_of_the_l4_can_be_set_to_ethernets(run_l4: Run) -> None:
    source = """
void main(void) {
    const char *text = "123456789";
    REG(0x40023008) = 1 << 7 | 1 << 5 | 1; /* both reversed, by bytes */
    while (*text)
        *(volatile uint8_t *)0x40023000 = (uint8_t)*text++;
    report(~REG(0x40023000));
}"""
    assert run_l4(source, 1) == [zlib.crc32(b"123456789")]


def test_random_numbers_are_ready_and_repeat(run: Run) -> None:
    source = """
void main(void) {
    REG(0x50060800) = 4;
    while (!(REG(0x50060804) & 1)) { }
    report(REG(0x50060808));
    report(REG(0x50060808));
}"""
    first = run(source, 2)
    assert first[0] != first[1]
    assert run(source, 2) == first


# ---- flash of the F4 ----


def test_a_plain_store_to_flash_is_a_sequence_error_and_changes_nothing(run: Run) -> None:
    source = (
        FLASH_F4 + "void main(void) { REG(0x08080000) = 0; report(SR); report(REG(0x08080000)); }"
    )
    assert run(source, 2) == [1 << 7, 0xFFFFFFFF]


def test_programming_clears_bits_and_never_sets_one(run: Run) -> None:
    source = (
        FLASH_F4
        + """
void main(void) {
    unlock();
    CR = 2 << 8 | 1;
    REG(0x08080000) = 0x12345678;
    REG(0x08080000) = 0xFFFF0000;
    wait();
    *(volatile uint16_t *)0x08080004 = 1; /* not the width that PSIZE says */
    report(SR);
    SR = 0xF0;
    CR = 1;
    *(volatile uint8_t *)0x08080009 = 0xA5;
    wait();
    CR = 0;
    report(REG(0x08080000));
    report(REG(0x08080004));
    report(REG(0x08080008));
    CR = 1u << 31;
    CR = 1;
    report(CR);
}"""
    )
    assert run(source, 5) == [1 << 6, 0x12340000, 0xFFFFFFFF, 0xFFFFA5FF, 1 << 31]


def test_a_sector_is_erased_in_its_time_and_no_other(run: Run) -> None:
    source = (
        FLASH_F4
        + """
void main(void) {
    unlock();
    CR = 2 << 8 | 1;
    REG(0x08010000) = 0; /* sector 4, 64 KiB */
    REG(0x0801FFFC) = 0;
    REG(0x08020000) = 0; /* sector 5 */
    CR = 2 << 8 | 4 << 3 | 2;
    uint32_t from = CYCCNT;
    CR |= 1 << 16;
    wait();
    uint32_t cycles = CYCCNT - from;
    report(cycles / 1000);
    report(REG(0x08010000) & REG(0x0801FFFC));
    report(REG(0x08020000));
}"""
    )
    thousands, erased, kept = run(source, 3)
    assert thousands == pytest.approx(8800, rel=0.001)  # 550 ms of HSI
    assert (erased, kept) == (0xFFFFFFFF, 0)


def test_a_wrong_key_is_a_bus_error_and_locks_until_reset(run: Run) -> None:
    source = (
        FLASH_F4
        + """
static volatile uint32_t faults;
void bus_fault(void) { faults++; }
void main(void) {
    SHCSR = 7 << 16;
    KEYR = 1;
    __asm volatile("b 1f\\n1: nop");
    unlock();
    __asm volatile("b 1f\\n1: nop");
    report(faults);
    report(CR >> 31);
}"""
    )
    faults, locked = run(source, 2)
    assert faults >= 2 and locked == 1


@pytest.mark.parametrize(
    "store",
    [
        "str r0, [r1]",
        "str r0, [r1], #4",
        "strd r0, r2, [r1]",
        "stmia r1!, {r0, r2}",
        "vmov s0, r0; vstr s0, [r1]",
        "movs r3, #0; str r0, [r1, r3, lsl #2]",
        "cmp r0, r0; it eq; streq r0, [r1]",
    ],
)
def test_every_kind_of_store_programs(run: Run, store: str) -> None:
    source = (
        FLASH_F4
        + """
void main(void) {
    unlock();
    CR = 2 << 8 | 1;
    __asm volatile("ldr r0, =0xCAFE1234; ldr r2, =0x55667788; ldr r1, =0x08080010; STORE"
                   ::: "r0", "r1", "r2", "r3", "s0", "cc", "memory");
    wait();
    report(REG(0x08080010));
    report(SR);
}""".replace("STORE", store)
    )
    assert run(source, 2) == [0xCAFE1234, 0]


# ---- flash of the L4+ ----


def test_double_words_are_programmed_whole_and_once(run_l4: Run) -> None:
    source = (
        FLASH_L4
        + """
static void program(uint32_t at, uint32_t low, uint32_t high) {
    REG(at) = low;
    REG(at + 4) = high;
    wait();
}
void main(void) {
    unlock();
    erase(64);
    CR = 1;
    program(0x08040000, 0x12345678, 0x9ABCDEF0);
    report(SR);
    program(0x08040000, 0x12340000, 0x9ABCDEF0);
    report(SR);
    SR = 0xFFFF;
    REG(0x0804000C) = 1; /* the upper word first */
    report(SR);
    SR = 0xFFFF;
    *(volatile uint8_t *)0x08040010 = 1;
    report(SR);
    SR = 0xFFFF;
    program(0x08040000, 0, 0); /* zero may go over anything */
    report(SR);
    report(REG(0x08040000) | REG(0x08040004));
    CR = 0;
    REG(0x08040010) = 1;
    report(SR);
}"""
    )
    assert run_l4(source, 7) == [0, 1 << 3, 1 << 5, 1 << 6, 0, 0, 1 << 7]


def test_a_page_is_erased_in_its_time(run_l4: Run) -> None:
    source = (
        FLASH_L4
        + """
void main(void) {
    unlock();
    CR = 1;
    REG(0x08140000) = 1; /* second bank, page 64 */
    REG(0x08140004) = 2;
    wait();
    CR = 2 | 64 << 3 | 1 << 11;
    uint32_t from = CYCCNT;
    CR |= 1 << 16;
    uint32_t busy = SR >> 16 & 1;
    wait();
    uint32_t cycles = CYCCNT - from;
    report(busy);
    report(cycles);
    report(REG(0x08140000) & REG(0x08140004));
}"""
    )
    busy, cycles, erased = run_l4(source, 3)
    assert (busy, erased) == (1, 0xFFFFFFFF)  # this code runs from the other bank
    assert cycles == pytest.approx(88_080, rel=0.01)  # 22.02 ms of MSI


# ---- the L4's clock tree and memories ----


def test_the_pll_makes_a_hundred_and_twenty_megahertz(run_l4: Run) -> None:
    source = """
void main(void) {
    report(REG(0x40021000) & 0x3);
    REG(0x4002100C) = 1 << 24 | 60 << 8 | 1; /* MSI / 1 * 60 / 2 */
    REG(0x40021000) |= 1 << 24;
    report(REG(0x40021000) >> 25 & 1);
    REG(0x40022000) = 0x705;
    REG(0x40021008) = 3;
    report(REG(0x40021008) >> 2 & 3);
    REG(0x40008000) &= ~1u;
    REG(0x4000800C) = 120000000ull * 256 / 1000000;
    REG(0x40008000) |= 1;
    uint32_t from = CYCCNT;
    report(0);
    uint32_t cycles = CYCCNT - from;
    report(cycles);
}"""
    words = run_l4(source, 5)
    assert words[:4] == [3, 1, 3, 0]
    assert words[4] == pytest.approx(4 * 10 * 120, rel=0.05)


def test_the_second_sram_shows_at_both_places(run_l4: Run) -> None:
    source = """
void main(void) {
    REG(0x10000000) = 0x600DCAFE;
    report(REG(0x20030000));
    REG(0x2009FFFC) = 7;
    report(REG(0x2009FFFC));
    report(REG(0xE0042000) & 0xFFF);
    report(REG(0x1FFF75E0) & 0xFFFF);
}"""
    assert run_l4(source, 4) == [0x600DCAFE, 7, 0x470, 2048]


# ---- analogue to digital ----


def test_the_f4_converts_its_supply_and_temperature_in_its_sampling_time(run: Run) -> None:
    source = (
        HANDLERS
        + ADC_F4
        + """
void main(void) {
    ADC(0x0C) = 7 << 21 | 7 << 24; /* 480 cycles for channels 17 and 18 */
    ADC(0x08) = 1;
    uint32_t dark = convert(17);
    ADC(0x304) = 1 << 23 | 3 << 16; /* TSVREFE, an eighth of the bus */
    uint32_t from = CYCCNT, reference = convert(17), cycles = since(from);
    uint32_t sensor = convert(18), pin = convert(3), read = ADC(0x00) & 2;
    ADC(0x304) |= 1 << 22; /* VBATE goes before the sensor */
    uint32_t battery = convert(18);
    ADC(0x04) = 2 << 24; /* 8 bits */
    uint32_t coarse = convert(17);
    report(dark); report(reference); report(sensor); report(pin); report(read);
    report(battery); report(coarse); report(cycles);
}"""
    )
    words = run(source, 8)
    assert words[:7] == [0, 1501, 928, 0, 0, 1023, 1501 >> 4]
    assert words[7] == pytest.approx((480 + 12) * 8, abs=60)


def test_the_f4_converts_a_sequence_that_the_dma_controller_stores(run: Run) -> None:
    source = (
        ADC_F4
        + """
static volatile uint16_t values[2];
void main(void) {
    REG(0x40026418) = 0x4001204C;
    REG(0x4002641C) = (uint32_t)values;
    REG(0x40026414) = 2;
    REG(0x40026410) = 1 << 13 | 1 << 11 | 1 << 10 | 1;
    ADC(0x304) = 1 << 23;
    ADC(0x04) = 1 << 8;
    ADC(0x2C) = 1 << 20;
    ADC(0x34) = 17 | 18 << 5;
    ADC(0x08) = 1 << 8 | 1;
    ADC(0x08) = 1 << 30 | 1 << 8 | 1;
    while (REG(0x40026414)) { }
    report(values[0]);
    report(values[1]);
}"""
    )
    assert run(source, 2) == [1501, 928]


def test_the_f4s_adc_interrupts_and_is_reset_by_the_clock_controller(run: Run) -> None:
    source = (
        HANDLERS
        + ADC_F4
        + """
static volatile uint32_t value;
static void converted(void) { value = ADC(0x4C); }
void main(void) {
    on_interrupt(18, converted);
    ADC(0x304) = 1 << 23;
    ADC(0x34) = 17;
    ADC(0x04) = 1 << 5;
    ADC(0x08) = 1;
    ADC(0x08) = 1 << 30 | 1;
    while (!value) { }
    uint32_t before = ADC(0x08);
    REG(0x40023824) = 1 << 8;
    REG(0x40023824) = 0;
    report(value); report(before); report(ADC(0x08) | ADC(0x04) | ADC(0x34) | ADC(0x304));
}"""
    )
    assert run(source, 3) == [1501, 1, 0]


def test_the_l4_wakes_its_adc_calibrates_it_and_converts(run_l4: Run) -> None:
    source = (
        HANDLERS
        + ADC_L4
        + """
void main(void) {
    report(ADC(0x08)); /* deep power-down, in which nothing begins */
    command(1u << 31 | 1 << 29);
    report(ADC(0x08) >> 31);
    ADC(0x308) = 1 << 22 | 1 << 23 | 3 << 16; /* reference, sensor, a quarter of HCLK */
    ADC(0x08) = 0;
    command(0);
    uint32_t from = CYCCNT;
    command(1u << 31);
    while (ADC(0x08) >> 31) { }
    uint32_t calibrating = since(from);
    command(1 << 2); /* not before it is enabled */
    uint32_t early = ADC(0x08) & 1 << 2;
    command(1);
    while (!(ADC(0x00) & 1)) { }
    ADC(0x14) = 7; /* 640.5 cycles for channel 0 */
    from = CYCCNT;
    uint32_t reference = convert(0), converting = since(from);
    uint32_t sensor = convert(17), flags = ADC(0x00);
    ADC(0x00) = 1 << 3;
    uint32_t cleared = ADC(0x00);
    command(1 << 1);
    uint32_t off = ADC(0x08);
    REG(0x4002102C) = 1 << 13;
    REG(0x4002102C) = 0;
    report(early); report(reference); report(sensor); report(flags); report(cleared);
    report(off); report(ADC(0x08)); report(calibrating); report(converting);
}"""
    )
    words = run_l4(source, 11)
    assert words[:9] == [1 << 29, 0, 0, 1504, 927, 0b1001, 0b0001, 1 << 28, 1 << 29]
    assert words[9] == pytest.approx(116 * 4, abs=60)
    assert words[10] == pytest.approx((640 + 13) * 4, abs=60)
