"""What does the debug access port of a Cortex-M4 answer? Serial-wire DP and AHB-AP, bit by bit.

References: ADIv5 is Arm IHI 0031G; the AHB-AP's registers are in the Cortex-M4 TRM (DDI 0439),
chapter 8. Knows nothing of sockets and nothing of what lies behind an address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

WORD = 0xFFFFFFFF

# Serial-wire DP, version 1, revision 2, part 0xBA, Arm: what every Cortex-M4 shows.
DPIDR = 0x2BA01477
IDR_AHB = 0x24770011
ROM_TABLE = 0xE00FF003  # present, 32-bit format

CTRL_STAT = 0x4
DPIDR_ADDRESS = ABORT_ADDRESS = 0x0
SELECT = RESEND = 0x8
RDBUFF = 0xC
CSW, TAR, DRW, BD0, BD3, CFG, BASE, IDR = 0x00, 0x04, 0x0C, 0x10, 0x1C, 0xF4, 0xF8, 0xFC

STICKYORUN, STICKYCMP, STICKYERR, READOK, WDATAERR = 1 << 1, 1 << 4, 1 << 5, 1 << 6, 1 << 7
STICKY = STICKYORUN | STICKYCMP | STICKYERR | WDATAERR
CDBGPWRUPREQ, CDBGPWRUPACK, CSYSPWRUPREQ, CSYSPWRUPACK = (1 << bit for bit in (28, 29, 30, 31))
# ORUNDETECT, TRNMODE, MASKLANE, TRNCNT and the two power requests.
CTRL_STAT_WRITABLE = 0x1 | 0xC | 0xF00 | 0xFFF000 | CDBGPWRUPREQ | CSYSPWRUPREQ

# The AHB-AP increments and wraps inside a page of 4 KiB (DDI 0439, 8.3).
TAR_WRAP = 0xFFF

_LINE_RESET_ONES = 50  # IHI 0031G, B4.3.3
_TO_SWD, _TO_JTAG = 0xE79E, 0xE73C  # IHI 0031G, B5.2


class AccessFault(Exception):
    """The bus answered a memory access with an error, or nothing is there."""

    def __init__(self, address: int, size: int, *, write: bool) -> None:
        self.address, self.size = address, size
        verb = "written to" if write else "read from"
        super().__init__(f"bus error: {size} bytes cannot be {verb} 0x{address:08x}")


class FaultResponse(Exception):
    """The DP answered FAULT: a sticky flag stands, or debug power is off."""


class NoAnswer(Exception):
    """The DP does not drive the line: it is not selected, or is in the reset state."""


class Memory(Protocol):
    """What the AHB-AP reaches. `access`: bytes of one bus transfer, 1, 2 or 4.

    Both raise AccessFault.
    """

    def read(self, address: int, size: int, access: int) -> bytes: ...
    def write(self, address: int, data: bytes, access: int) -> None: ...


class AccessPort(Protocol):
    """Registers by their offset, bank included. Both may raise AccessFault."""

    def read(self, offset: int) -> int: ...
    def write(self, offset: int, value: int) -> None: ...


class AhbAp:
    """The memory access port. DDI 0439, 8.3."""

    _SIZES = (1, 2, 4)
    _WRITABLE = 1 << 29 | 1 << 25 | 0x30 | 0x7  # MasterType, HPROT1, AddrInc, Size
    _FIXED = 1 << 24 | 1 << 6  # HPROT0: always a data access; DbgStatus: debug is enabled

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._csw = 1 << 29 | 1 << 25 | 0x2
        self._tar = 0

    def read(self, offset: int) -> int:
        if offset == DRW:
            return self._data_read()
        if BD0 <= offset <= BD3:
            data = self._memory.read((self._tar & ~0xF) + offset - BD0, 4, 4)
            return int.from_bytes(data, "little")
        return {
            CSW: self._csw | self._FIXED,
            TAR: self._tar,
            BASE: ROM_TABLE,
            IDR: IDR_AHB,
        }.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset == CSW:
            size = value & 7 if value & 7 < len(self._SIZES) else self._csw & 7
            self._csw = value & self._WRITABLE & ~7 | size
        elif offset == TAR:
            self._tar = value
        elif offset == DRW:
            self._data_write(value)
        elif BD0 <= offset <= BD3:
            self._memory.write((self._tar & ~0xF) + offset - BD0, value.to_bytes(4, "little"), 4)

    @property
    def _size(self) -> int:
        return self._SIZES[self._csw & 7]

    @property
    def _transfers(self) -> int:
        """How many bus transfers one access to DRW makes: several when they are packed."""
        return 4 // self._size if self._csw >> 4 & 3 == 2 else 1

    def _data_read(self) -> int:
        word = 0
        for _ in range(self._transfers):
            address = self._tar & ~(self._size - 1)
            lane = int.from_bytes(self._memory.read(address, self._size, self._size), "little")
            word |= lane << 8 * (address & 3)
            self._increment()
        return word

    def _data_write(self, word: int) -> None:
        for _ in range(self._transfers):
            address = self._tar & ~(self._size - 1)
            lane = (word >> 8 * (address & 3)) & ((1 << 8 * self._size) - 1)
            self._memory.write(address, lane.to_bytes(self._size, "little"), self._size)
            self._increment()

    def _increment(self) -> None:
        if self._csw >> 4 & 3 in (1, 2):
            self._tar = self._tar & ~TAR_WRAP | (self._tar + self._size) & TAR_WRAP


class NordicControlAp:
    """The control access port of an nRF52 (nRF52840 PS, "CTRL-AP"): is the chip locked, and the
    way to unlock it, which erases everything. It is never locked here; an erase goes through the
    NVMC, is over at once, and leaves RAM alone."""

    _RESET, _ERASEALL, _APPROTECTSTATUS = 0x0, 0x4, 0xC
    _IDR = 0x12880000
    _CONFIG, _ERASE_ALL = 0x4001E504, 0x4001E50C
    _READ_ONLY, _ERASES = 0, 2

    def __init__(self, memory: Memory, hold_reset: Callable[[bool], None]) -> None:
        self._memory = memory
        self._hold_reset = hold_reset
        self._reset = 0

    def read(self, offset: int) -> int:
        return {self._RESET: self._reset, self._APPROTECTSTATUS: 1, IDR: self._IDR}.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset == self._RESET:
            if value & 1 != self._reset:
                self._hold_reset(bool(value & 1))
            self._reset = value & 1
        elif offset == self._ERASEALL and value & 1:
            for address, word in (
                (self._CONFIG, self._ERASES),
                (self._ERASE_ALL, 1),
                (self._CONFIG, self._READ_ONLY),
            ):
                self._memory.write(address, word.to_bytes(4, "little"), 4)


class DebugPort:
    """The serial-wire DP in front of `ports`. AP reads are posted: one answers with the result of
    the one before it, and RDBUFF with that of the last (IHI 0031G, B4.2.2).

    Every access may raise NoAnswer, and FaultResponse unless it is one that never faults: reading
    DPIDR or CTRL/STAT, writing ABORT (IHI 0031G, B4.2.4).
    """

    def __init__(self, ports: Sequence[AccessPort]) -> None:
        self._ports = ports
        self._selected = False  # an SWJ-DP wakes up talking JTAG
        self._in_reset = True
        self._ones = 0
        self._after_ones: int | None = None
        self._shifted = 0
        self._select = self._ctrl = self._posted = 0
        self._wcr = 0x40  # turnaround and prescaler at reset; one client, so nothing to set
        self._why = ""

    def shift(self, length: int, bits: int) -> None:
        """`length` bits on SWDIO, the least significant first."""
        for i in range(length):
            bit = bits >> i & 1
            if self._after_ones is not None:
                self._shifted |= bit << self._after_ones
                self._after_ones += 1
                if self._after_ones == 16:
                    self._switch()
            if bit:
                self._ones += 1
            else:
                if self._ones >= _LINE_RESET_ONES:
                    self._in_reset = True
                    self._after_ones, self._shifted = 1, 0
                self._ones = 0
        if self._ones >= _LINE_RESET_ONES:
            self._in_reset = True

    def _switch(self) -> None:
        if self._shifted == _TO_SWD:
            self._selected = True
        elif self._shifted == _TO_JTAG:
            self._selected = False
        self._after_ones = None

    def read(self, address: int) -> int:
        """A DP register; `address` is A[3:2] << 2."""
        if address == DPIDR_ADDRESS:
            self._require_selected()
            self._in_reset = False
            return DPIDR
        self._require_line()
        if address == CTRL_STAT:
            if self._select & 1:  # CTRLSEL: the wire control register
                return self._wcr
            acknowledged = (self._ctrl & (CDBGPWRUPREQ | CSYSPWRUPREQ)) << 1
            return self._ctrl | acknowledged
        self._require_no_sticky()
        return self._posted  # RDBUFF, and RESEND of what was never disturbed

    def write(self, address: int, value: int) -> None:
        """A DP register."""
        self._require_line()
        if address == ABORT_ADDRESS:
            for bit, flag in enumerate((STICKYCMP, STICKYERR, WDATAERR, STICKYORUN), start=1):
                if value >> bit & 1:
                    self._ctrl &= ~flag
            return
        self._require_no_sticky()
        if address == CTRL_STAT:
            if self._select & 1:
                self._wcr = value
            else:
                self._ctrl = self._ctrl & ~CTRL_STAT_WRITABLE | value & CTRL_STAT_WRITABLE
        elif address == SELECT:
            self._select = value

    def read_ap(self, address: int) -> int:
        """What the AP read before this one found; this one's result is posted."""
        self._require_ap()
        before, self._posted = self._posted, 0
        self._ctrl &= ~READOK
        port = self._port()
        if port is not None:
            try:
                self._posted = port.read(self._offset(address)) & WORD
            except AccessFault as fault:
                self._stick(fault)
                return before
        self._ctrl |= READOK
        return before

    def write_ap(self, address: int, value: int) -> None:
        self._require_ap()
        port = self._port()
        if port is not None:
            try:
                port.write(self._offset(address), value)
            except AccessFault as fault:
                self._stick(fault)

    def _port(self) -> AccessPort | None:
        number = self._select >> 24
        return self._ports[number] if number < len(self._ports) else None

    def _offset(self, address: int) -> int:
        return self._select & 0xF0 | address & 0xC

    def _stick(self, fault: AccessFault) -> None:
        self._ctrl |= STICKYERR
        self._why = str(fault)

    def _require_selected(self) -> None:
        if not self._selected:
            raise NoAnswer("the DP talks JTAG: the sequence that selects serial wire was not sent")

    def _require_line(self) -> None:
        self._require_selected()
        if self._in_reset:
            raise NoAnswer("after a line reset the first access must read DPIDR")

    def _require_no_sticky(self) -> None:
        if self._ctrl & STICKY:
            raise FaultResponse(self._why)

    def _require_ap(self) -> None:
        self._require_line()
        self._require_no_sticky()
        if not self._ctrl & CDBGPWRUPREQ:
            self._ctrl |= STICKYERR
            self._why = "an access port was accessed while debug power is off"
            raise FaultResponse(self._why)
