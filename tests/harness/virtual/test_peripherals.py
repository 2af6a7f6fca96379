"""What the registers answer: the core's own and those that start-up code waits for."""

from __future__ import annotations

from collections.abc import Callable

Run = Callable[..., list[int]]


def test_oscillators_and_clock_switch_are_ready_as_soon_as_enabled(run: Run) -> None:
    source = """
void main(void) {
    report(REG(0x40023800) & 0x03000002);
    REG(0x40023800) |= 1u << 24 | 1u << 16;
    report(REG(0x40023800) & 0x02020002);
    REG(0x40023808) = 2;
    report(REG(0x40023808) >> 2 & 3);
    report(REG(0x40007004) >> 14 & 1);
    REG(0x40023C00) = 0x703;
    report(REG(0x40023C00));
    REG(0x40023874) = 1;
    report(REG(0x40023874));
}"""
    assert run(source, 6) == [0x00000002, 0x02020002, 2, 1, 0x703, 0x0E000003]


def test_ports_store_set_and_show_their_pins(run: Run) -> None:
    source = """
void main(void) {
    REG(0x40020C14) = 0xF0;
    REG(0x40020C18) = 0x00300005;
    report(REG(0x40020C14));
    report(REG(0x40020C10));
    *(volatile uint16_t *)0x40020C1A = 1;
    report(REG(0x40020C14));
    REG(0x40020C00) = 0x12345678;
    report(*(volatile uint8_t *)0x40020C01);
    *(volatile uint8_t *)0x40020C02 = 0xFF;
    report(REG(0x40020C00));
}"""
    assert run(source, 5) == [0xC5, 0xC5, 0xC4, 0x56, 0x12FF5678]


def test_the_cycle_counter_can_be_stopped_set_and_switched_off(run: Run) -> None:
    source = """
void main(void) {
    REG(0xE0001000) &= ~1u;
    CYCCNT = 1000;
    report(CYCCNT);
    report(CYCCNT);
    REG(0xE0001000) |= 1;
    uint32_t first = CYCCNT;
    report(first >= 1000 && first < 1020);
    REG(0xE000EDFC) = 0;
    uint32_t frozen = CYCCNT;
    report(CYCCNT - frozen);
    REG(0xE000EDFC) = 1u << 24;
    CYCCNT = 0xFFFFFFF0;
    for (volatile int i = 0; i < 10; i++) {
    }
    report(CYCCNT < 1000);
}"""
    assert run(source, 5) == [1000, 1000, 1, 0, 1]


def test_interrupt_enables_and_pending_bits_are_sets(run: Run) -> None:
    source = """
void main(void) {
    REG(0xE000E104) = 0x82;
    REG(0xE000E184) = 0x80;
    report(REG(0xE000E104));
    report(REG(0xE000E184));
    REG(0xE000E208) = 0x10;
    report(REG(0xE000E208));
    REG(0xE000E288) = 0x10;
    report(REG(0xE000E208));
    *(volatile uint8_t *)0xE000E402 = 0xFF; /* four bits are there */
    report(REG(0xE000E400));
    report(REG(0xE000E004));
}"""
    assert run(source, 6) == [2, 2, 0x10, 0, 0x00F00000, 3]


def test_the_system_control_block_identifies_a_cortex_m4(run: Run) -> None:
    source = """
void main(void) {
    report(REG(0xE000ED00));
    report(REG(0xE000ED0C));
    REG(0xE000ED0C) = 0x05FA0300;
    report(REG(0xE000ED0C));
    REG(0xE000ED0C) = 0x00000700; /* without the key */
    report(REG(0xE000ED0C));
    report(REG(0xE000EF40));
    REG(0xE000ED08) = 0x08000000;
    report(REG(0xE000ED08));
    report(REG(0xE000E01C));
}"""
    assert run(source, 7) == [
        *(0x410FC241, 0xFA050000, 0xFA050300, 0xFA050300),
        *(0x10110021, 0x08000000, 0xC0000000),
    ]


def test_fault_status_bits_are_cleared_by_writing_ones(run: Run) -> None:
    source = """
void usage_fault(void) {
    report(CFSR);
    *(volatile uint16_t *)0xE000ED2A = 2; /* another bit of the upper half */
    report(CFSR);
    *(volatile uint16_t *)0xE000ED2A = 1;
    report(CFSR);
    report(SHCSR);
    report(ICSR & 0x1FF);
    rest();
}
void main(void) {
    SHCSR = 7 << 16;
    __asm volatile("udf #0");
}"""
    assert run(source, 5) == [1 << 16, 1 << 16, 0, 0x70008, 6]


def test_a_pending_service_call_can_be_written_to_the_handler_control_register(run: Run) -> None:
    source = """
static volatile uint32_t calls;
void svc(void) { calls++; }
void main(void) {
    SHCSR = 1 << 15;
    __asm volatile("isb\\n b 1f\\n 1: nop");
    report(calls);
    report(SHCSR);
}"""
    assert run(source, 2) == [1, 0]


def test_flash_shows_at_address_zero(run: Run) -> None:
    source = """
__attribute__((noinline, used)) uint32_t seven(void) { return 7; }
void main(void) {
    uint32_t four = 4; /* which the compiler must not recognise as no object */
    __asm volatile("" : "+r"(four));
    report(REG(0x8000004) == REG(four));
    uint32_t (*low)(void) = (uint32_t (*)(void))((uint32_t)seven - 0x08000000);
    report(low());
}"""
    assert run(source, 2) == [1, 7]


def test_memory_starts_without_zeros(run: Run) -> None:
    assert run("void main(void) { report(REG(0x20030000)); }", 1) == [0xA5C3A5C3]


def test_bytes_and_halfwords_of_core_registers_can_be_written(run: Run) -> None:
    source = """
void main(void) {
    *(volatile uint8_t *)0xE000ED22 = 0xA5;
    *(volatile uint8_t *)0xE000ED23 = 0xC7;
    report(REG(0xE000ED20));
    report(*(volatile uint8_t *)0xE000ED23);
}"""
    assert run(source, 2) == [0xC0A00000, 0xC0]


def test_the_mpu_s_registers_remember_eight_regions(run: Run) -> None:
    source = """
void main(void) {
    report(REG(0xE000ED90));
    REG(0xE000ED9C) = 0x20000000 | 1 << 4 | 5; /* RBAR chooses its region by VALID, */
    REG(0xE000EDA0) = 0xFFFFFFFF;
    REG(0xE000ED98) = 2; /* or RNR has */
    REG(0xE000EDA4) = 0x08000000; /* the first alias */
    REG(0xE000EDA8) = 0x06050027;
    REG(0xE000ED94) = 5;
    report(REG(0xE000ED9C));
    report(REG(0xE000EDA0));
    REG(0xE000ED98) = 5;
    report(REG(0xE000ED9C));
    report(REG(0xE000EDA0));
    report(REG(0xE000ED94));
}"""
    assert run(source, 6) == [0x800, 0x08000002, 0x06050027, 0x20000005, 0x173FFF3F, 5]
