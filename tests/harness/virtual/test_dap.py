"""The serial-wire DP and the AHB-AP, as IHI 0031 and DDI 0439 describe them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.virtual.dap import (
    CTRL_STAT,
    RDBUFF,
    READOK,
    SELECT,
    STICKYERR,
    AccessFault,
    AhbAp,
    DebugPort,
    FaultResponse,
    NoAnswer,
    NordicControlAp,
)
from tests.harness.virtual.fake_target import BASE, SIZE, FakeMemory

CSW, TAR, DRW = 0x0, 0x4, 0xC
POWER_UP = 0x50000F00
BYTE, HALFWORD, WORD_SIZE = 0, 1, 2
SINGLE, PACKED = 0x10, 0x20


def line_reset(port: DebugPort) -> None:
    port.shift(51, (1 << 51) - 1)
    port.shift(8, 0)


def select_serial_wire(port: DebugPort) -> None:
    port.shift(51, (1 << 51) - 1)
    port.shift(16, 0xE79E)
    line_reset(port)


@pytest.fixture
def memory() -> FakeMemory:
    return FakeMemory()


@pytest.fixture
def port(memory: FakeMemory) -> DebugPort:
    """Selected, identified and powered."""
    port = DebugPort([AhbAp(memory)])
    select_serial_wire(port)
    assert port.read(0) == 0x2BA01477
    port.write(CTRL_STAT, POWER_UP)
    return port


def read_ap(port: DebugPort, offset: int) -> int:
    port.write(SELECT, offset & 0xF0)
    port.read_ap(offset & 0xC)
    return port.read(RDBUFF)


def write_ap(port: DebugPort, offset: int, value: int) -> None:
    port.write(SELECT, offset & 0xF0)
    port.write_ap(offset & 0xC, value)


# ---- the wire ----


def test_nothing_answers_before_serial_wire_is_selected(memory: FakeMemory) -> None:
    port = DebugPort([AhbAp(memory)])
    line_reset(port)
    with pytest.raises(NoAnswer, match="the sequence that selects serial wire was not sent"):
        port.read(0)


def test_the_switch_back_to_jtag_silences_serial_wire(port: DebugPort) -> None:
    port.shift(51, (1 << 51) - 1)
    port.shift(16, 0xE73C)
    line_reset(port)
    with pytest.raises(NoAnswer):
        port.read(0)


def test_a_line_reset_wants_the_identity_read_first(port: DebugPort) -> None:
    line_reset(port)
    with pytest.raises(NoAnswer, match="must read DPIDR"):
        port.read(CTRL_STAT)
    assert port.read(0) == 0x2BA01477
    assert port.read(CTRL_STAT) & 0xF0000000 == 0xF0000000


@given(st.lists(st.integers(1, 64), max_size=6))
def test_the_bits_may_come_in_any_pieces(sizes: list[int]) -> None:
    whole, length = (1 << 51) - 1 | 0xE79E << 51 | ((1 << 60) - 1) << 67, 135
    port = DebugPort([])
    at = 0
    for size in [*sizes, length]:
        size = min(size, length - at)
        port.shift(size, whole >> at & ((1 << size) - 1))
        at += size
    assert port.read(0) == 0x2BA01477


# ---- the DP ----


def test_power_is_acknowledged_when_requested_and_only_then(port: DebugPort) -> None:
    for request, acknowledged in (
        (0x50000F00, 0xF0000F00),
        (0x10000F00, 0x30000F00),
        (0xF00, 0xF00),
    ):
        port.write(CTRL_STAT, request)
        assert port.read(CTRL_STAT) == acknowledged


def test_an_access_port_without_power_faults(port: DebugPort) -> None:
    port.write(CTRL_STAT, 0)
    with pytest.raises(FaultResponse, match="debug power is off"):
        port.read_ap(DRW)


def test_reads_of_an_access_port_are_posted(port: DebugPort, memory: FakeMemory) -> None:
    memory.bytes[:12] = b"".join(n.to_bytes(4, "little") for n in (1, 2, 3))
    write_ap(port, CSW, SINGLE | WORD_SIZE)
    write_ap(port, TAR, BASE)
    port.read_ap(DRW)
    assert [port.read_ap(DRW), port.read_ap(DRW)] == [1, 2]
    assert [port.read(RDBUFF), port.read(RDBUFF)] == [3, 3]
    assert len(memory.transfers) == 3


def test_a_bus_error_sticks_until_it_is_aborted(port: DebugPort) -> None:
    write_ap(port, CSW, WORD_SIZE)
    write_ap(port, TAR, 0x60000000)
    port.read_ap(DRW)
    refused: list[Callable[[], object]] = [
        lambda: port.read(RDBUFF),
        lambda: port.write(SELECT, 0),
        lambda: port.read_ap(TAR),
        lambda: port.write_ap(TAR, BASE),
    ]
    for access in refused:
        with pytest.raises(FaultResponse, match="4 bytes cannot be read from 0x60000000"):
            access()
    assert port.read(0) == 0x2BA01477
    assert port.read(CTRL_STAT) & STICKYERR
    port.write(0, 1 << 2)
    assert not port.read(CTRL_STAT) & (STICKYERR | READOK)
    assert read_ap(port, TAR) == 0x60000000


def test_a_failed_write_shows_in_the_next_access(port: DebugPort) -> None:
    write_ap(port, CSW, BYTE)
    write_ap(port, TAR, BASE + SIZE)
    port.write_ap(DRW, 1)
    with pytest.raises(FaultResponse, match=f"1 bytes cannot be written to 0x{BASE + SIZE:08x}"):
        port.read(RDBUFF)


def test_the_wire_control_register_lies_behind_its_bank(port: DebugPort) -> None:
    port.write(SELECT, 1)
    port.write(CTRL_STAT, 0x140)
    assert port.read(CTRL_STAT) == 0x140
    port.write(SELECT, 0)
    assert port.read(CTRL_STAT) & 0xF0000000 == 0xF0000000


# ---- the access ports ----


def test_the_control_port_of_an_nrf52_is_open_resets_and_erases(memory: FakeMemory) -> None:
    pin: list[bool] = []
    port = NordicControlAp(memory, pin.append)
    assert [port.read(offset) for offset in (0x0, 0x8, 0xC, 0xFC)] == [0, 0, 1, 0x12880000]
    for value in (1, 1, 0):
        port.write(0x0, value)
        assert port.read(0x0) == value
    assert pin == [True, False]
    port.write(0x4, 0)
    assert memory.transfers == []
    with pytest.raises(AccessFault):  # this memory has no NVMC
        port.write(0x4, 1)
    assert memory.transfers == [(0x4001E504, 4, True)]


def test_the_identity_and_the_rom_table_are_those_of_a_cortex_m4(port: DebugPort) -> None:
    assert read_ap(port, 0xFC) == 0x24770011
    assert read_ap(port, 0xF8) == 0xE00FF003
    assert read_ap(port, 0xF4) == 0


def test_other_access_ports_are_absent(port: DebugPort) -> None:
    port.write(SELECT, 0x010000F0)
    port.read_ap(0xC)
    assert port.read(RDBUFF) == 0
    port.write_ap(TAR, 5)
    port.write(SELECT, 0)
    assert read_ap(port, TAR) == 0


def test_only_what_the_core_implements_of_csw_can_be_set(port: DebugPort) -> None:
    write_ap(port, CSW, 0xFFFFFFFF & ~5)
    assert read_ap(port, CSW) == 0x23000072
    write_ap(port, CSW, 5)  # no such size
    assert read_ap(port, CSW) & 7 == WORD_SIZE


def test_banked_data_does_not_move_the_address(port: DebugPort, memory: FakeMemory) -> None:
    write_ap(port, CSW, SINGLE | WORD_SIZE)
    write_ap(port, TAR, BASE + 0x24)
    for i in range(4):
        write_ap(port, 0x10 + 4 * i, 0x11111111 * (i + 1))
    assert [read_ap(port, 0x10 + 4 * i) for i in range(4)] == [
        0x11111111 * (i + 1) for i in range(4)
    ]
    assert memory.bytes[0x20:0x24] == b"\x11" * 4
    assert read_ap(port, TAR) == BASE + 0x24


def test_the_address_wraps_inside_its_page(port: DebugPort) -> None:
    write_ap(port, CSW, SINGLE | WORD_SIZE)
    write_ap(port, TAR, BASE + 0xFFC)
    write_ap(port, DRW, 1)
    assert read_ap(port, TAR) == BASE


@given(
    st.sampled_from([BYTE, HALFWORD, WORD_SIZE]),
    st.sampled_from([0, SINGLE, PACKED]),
    st.integers(0, 0x7FF),
    st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=8),
)
def test_what_is_written_is_read_back_in_its_byte_lanes(
    size: int, increment: int, at: int, words: list[int]
) -> None:
    memory = FakeMemory()
    access = AhbAp(memory)
    width = 1 << size
    at &= ~3 if increment == PACKED else ~(width - 1)
    expected = bytearray(SIZE)
    address = at
    for word in words:
        for _ in range(4 // width if increment == PACKED else 1):
            lane = word.to_bytes(4, "little")[address & 3 : (address & 3) + width]
            expected[address : address + width] = lane
            address += width if increment else 0
    access.write(CSW, increment | size)
    access.write(TAR, BASE + at)
    for word in words:
        access.write(DRW, word)
    assert memory.bytes == expected
    assert all(transfer[1] == width for transfer in memory.transfers)
    access.write(TAR, BASE + at)
    read = [access.read(DRW) for _ in words]
    if increment == PACKED or (size == WORD_SIZE and increment):
        assert read == words
    elif size == WORD_SIZE:
        assert read == [words[-1]] * len(words)
