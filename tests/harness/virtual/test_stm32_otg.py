"""The USB core of the STM32s as firmware finds it that no host talks to."""

from __future__ import annotations

from collections.abc import Callable

Run = Callable[..., list[int]]

OTG = "#define OTG(offset) REG(0x50000000 + (offset))\n"


def test_a_reset_of_the_usb_core_ends_and_its_bus_is_idle(run: Run) -> None:
    source = """
void main(void) {
    report(OTG(0x10));
    OTG(0x10) = 1;                  /* CSRST */
    report(OTG(0x10));
    OTG(0x10) = 1 << 5 | 0x10 << 6; /* TXFFLSH of all FIFOs */
    report(OTG(0x10));
}"""
    assert run(OTG + source, 3) == [0x80000000, 0x80000000, 0x80000400]


def test_the_usb_core_is_a_device_until_it_is_forced_to_be_a_host(run: Run) -> None:
    source = """
void main(void) {
    report(OTG(0x00)); /* GOTGCTL: an open identification pin */
    report(OTG(0x14) & 1);
    OTG(0x0C) = 1 << 29;
    report(OTG(0x14) & 1);
    OTG(0x0C) = 1 << 30;
    report(OTG(0x14) & 1);
}"""
    assert run(OTG + source, 4) == [1 << 16, 0, 1, 0]


def test_no_usb_host_ever_comes(run: Run) -> None:
    source = """
void main(void) {
    OTG(0x18) = 0x80003C00 | 1 << 12; /* GINTMSK: reset, enumeration done, suspend */
    OTG(0x08) = 1;
    OTG(0x804) = 0; /* DCTL: a soft connect */
    for (volatile int i = 0; i < 10000; i++) {
    }
    OTG(0x14) = 0xBFFFFFFF;
    report(OTG(0x14)); /* empty FIFOs */
    report(REG(0xE000E208)); /* ISPR of interrupt 67 */
}"""
    assert run(OTG + source, 2) == [1 << 26 | 1 << 5, 0]


def test_an_endpoint_that_nobody_asks_is_disabled_at_once(run: Run) -> None:
    source = """
void main(void) {
    OTG(0x920) = 1u << 31 | 1 << 27 | 64; /* DIEPCTL1: enabled, NAK set */
    report(OTG(0x920));
    OTG(0x920) |= 1 << 30;                /* EPDIS */
    report(OTG(0x920));
    OTG(0x920) = 1 << 26 | 64;            /* CNAK */
    report(OTG(0x920));
    report(OTG(0x900));                   /* endpoint 0 is always active */
    OTG(0x908) = 0xFF;                    /* DIEPINT0 */
    report(OTG(0x908));
    report(OTG(0x918));                   /* DTXFSTS0: room */
}"""
    nak = 1 << 17
    expected = [1 << 31 | nak | 64, nak | 64, 64, 1 << 15, 0, 0x200]
    assert run(OTG + source, 6) == expected
