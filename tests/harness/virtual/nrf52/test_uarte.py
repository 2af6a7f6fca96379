"""The nRF52840's UART and UARTE, which are one block: the console changes into the other here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Run = Callable[..., list[int]]


UARTE_HELPERS = r"""
static void start_task(uint32_t offset) {
    __asm volatile("" ::: "memory"); /* EasyDMA sees what was stored before */
    REG(0x40002000 + offset) = 1;
    __asm volatile("" ::: "memory");
}
#define EVENT(offset) REG(0x40002000 + (offset))
#define UART(offset) REG(0x40002000 + (offset))
enum { STARTRX = 0x00, STOPRX = 0x04, STARTTX = 0x08, STOPTX = 0x0C, FLUSHRX = 0x2C };
enum { RXDRDY = 0x108, ENDRX = 0x110, TXDRDY = 0x11C, ENDTX = 0x120, ERROR = 0x124 };
enum { RXTO = 0x144, RXSTARTED = 0x14C, TXSTARTED = 0x150, TXSTOPPED = 0x158 };
uint8_t buffer[64] __attribute__((aligned(4)));
static void become_uarte(void) {
    UART(0x500) = 0;
    UART(0x500) = 8;
}
static void become_uart(void) {
    UART(0x500) = 0;
    UART(0x500) = 4;
    EVENT(RXDRDY) = 0;
    start_task(STARTTX);
    start_task(STARTRX);
}
static void receive_into(uint8_t *at, uint32_t count) {
    UART(0x534) = (uint32_t)at;
    UART(0x538) = count;
}
static void wait_for(uint32_t event) {
    while (!EVENT(event)) {
    }
    EVENT(event) = 0;
}
"""


def test_bytes_take_their_time_on_the_line(run: Run) -> None:
    source = """
void main(void) {
    uint32_t start = CYCCNT;
    for (int i = 0; i < 4; i++)
        put(0);
    report((since(start) + 32) / 64);
    become_uarte();
    UART(0x524) = 0x01D60000; /* 115200 */
    UART(0x544) = (uint32_t)buffer;
    UART(0x548) = 8;
    start = CYCCNT;
    start_task(STARTTX);
    wait_for(ENDTX);
    start = since(start);
    become_uart();
    UART(0x524) = 0x10000000;
    report(start);
}"""
    zeros, four_us, first, second, cycles = run(UARTE_HELPERS + source, 5)
    assert (zeros, first, second) == (0, 0, 0)
    assert four_us in range(40, 43)
    assert cycles == pytest.approx(80 * 64_000_000 / 115_108, abs=100)


def test_a_transfer_from_memory_reports_its_steps(run: Run) -> None:
    source = """
static volatile uint32_t calls;
static void handler(void) {
    calls++;
    EVENT(ENDTX) = 0;
    (void)EVENT(ENDTX);
}
void main(void) {
    static const char text[] = "from flash";
    on_interrupt(2, handler);
    become_uarte();
    for (int i = 0; i < 8; i++)
        buffer[i] = "01234567"[i];
    UART(0x304) = 1 << 8;
    UART(0x544) = (uint32_t)buffer;
    UART(0x548) = 8;
    start_task(STARTTX);
    uint32_t started = EVENT(TXSTARTED);
    while (!calls)
        __asm volatile("wfi");
    uint32_t amount = UART(0x54C), ready = EVENT(TXDRDY);
    UART(0x544) = (uint32_t)text; /* which EasyDMA cannot reach */
    start_task(STARTTX);
    while (calls < 2) {
    }
    uint32_t none = UART(0x54C);
    start_task(STOPTX);
    uint32_t stopped = EVENT(TXSTOPPED);
    become_uart();
    report(started << 3 | ready << 2 | stopped << 1);
    report(amount << 8 | none);
}"""
    assert run(UARTE_HELPERS + source, 4) == [
        int.from_bytes(b"0123", "little"),
        int.from_bytes(b"4567", "little"),
        0b1110,
        8 << 8,
    ]


def test_a_buffer_fills_and_a_short_starts_the_next(run: Run) -> None:
    source = """
void main(void) {
    become_uarte();
    UART(0x200) = 1 << 5; /* ENDRX starts */
    receive_into(buffer, 4);
    start_task(STARTRX);
    wait_for(RXSTARTED);
    receive_into(buffer + 16, 3);
    wait_for(ENDRX);
    uint32_t first = UART(0x53C);
    wait_for(RXSTARTED);
    UART(0x200) = 1 << 6; /* and now it stops */
    wait_for(ENDRX);
    uint32_t second = UART(0x53C);
    wait_for(RXTO);
    become_uart();
    report(first << 8 | second);
    report(*(uint32_t *)buffer);
    report(*(uint32_t *)(buffer + 16));
}"""
    assert run(UARTE_HELPERS + source, 3, send=b"abcdXYZ") == [
        0x403,
        int.from_bytes(b"abcd", "little"),
        int.from_bytes(b"XYZ", "little"),
    ]


def test_reception_interrupts_a_core_that_sleeps(run: Run) -> None:
    source = """
static volatile uint32_t count;
static void handler(void) {
    EVENT(ENDRX) = 0;
    (void)EVENT(ENDRX);
    count++;
    receive_into(buffer + count, 1);
    start_task(STARTRX);
}
void main(void) {
    on_interrupt(2, handler);
    become_uarte();
    UART(0x304) = 1 << 4;
    receive_into(buffer, 1);
    start_task(STARTRX);
    while (count < 8)
        __asm volatile("wfi");
    become_uart();
    report(((uint32_t *)buffer)[0]);
    report(((uint32_t *)buffer)[1]);
}"""
    assert run(UARTE_HELPERS + source, 2, send=b"sleeping") == [
        int.from_bytes(b"slee", "little"),
        int.from_bytes(b"ping", "little"),
    ]


def test_a_stopped_receiver_keeps_what_was_on_its_way(run: Run) -> None:
    source = """
void main(void) {
    become_uarte();
    receive_into(buffer, 16);
    start_task(STARTRX);
    for (int i = 0; i < 3; i++)
        wait_for(RXDRDY);
    start_task(STOPRX); /* the fourth byte is coming in */
    wait_for(ENDRX);
    uint32_t amount = UART(0x53C);
    wait_for(RXTO);
    receive_into(buffer + 16, 5);
    start_task(FLUSHRX);
    wait_for(ENDRX);
    uint32_t flushed = UART(0x53C);
    become_uart();
    report(amount << 8 | flushed);
    report(*(uint32_t *)buffer);
    report(*(uint32_t *)(buffer + 16));
}"""
    assert run(UARTE_HELPERS + source, 3, send=b"abcd") == [
        0x301,
        int.from_bytes(b"abc", "little"),
        ord("d"),
    ]


def test_bytes_nobody_takes_overrun_the_receiver(run: Run) -> None:
    source = """
void main(void) {
    while (!EVENT(RXDRDY)) {
    }
    uint32_t start = CYCCNT;
    while (since(start) < 10000) {
    }
    uint32_t errors = UART(0x480) << 1 | EVENT(ERROR);
    UART(0x480) = 1;
    uint32_t cleared = UART(0x480);
    EVENT(RXDRDY) = 0;
    uint32_t text = 0, count = 0;
    do {
        text = text << 8 | UART(0x518);
        count++;
        uint32_t more = EVENT(RXDRDY);
        EVENT(RXDRDY) = 0;
        if (!more)
            break;
    } while (1);
    report(errors << 8 | cleared);
    report(count);
    report(text);
}"""
    assert run(UARTE_HELPERS + source, 3, send=b"123456789") == [
        0x300,
        6,
        int.from_bytes(b"3456", "big"),
    ]


def test_flow_control_holds_the_line_instead(run: Run) -> None:
    source = """
void main(void) {
    UART(0x56C) = 1;
    while (!EVENT(RXDRDY)) {
    }
    uint32_t start = CYCCNT;
    while (since(start) < 10000) {
    }
    uint32_t text = 0;
    for (int i = 0; i < 9; i++)
        text = text << 4 | (get() & 15);
    report(text);
    report(EVENT(ERROR));
}"""
    assert run(UARTE_HELPERS + source, 2, send=b"123456789") == [0x23456789, 0]
