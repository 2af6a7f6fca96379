"""A debugger of the tests: halts, steps and looks at the virtual core through its debug port, one
access of the AHB-AP at a time. Knows the registers of ARMv7-M (DDI 0403, C1), not pyOCD."""

from __future__ import annotations

import os
import pty
import struct
import threading
import time
from pathlib import Path
from types import TracebackType

from harness.board import BOARDS_DIR, load_board
from harness.chip import load_chip
from harness.virtual.core import Core
from harness.virtual.loader import memories_of, read_program

DHCSR, DCRSR, DCRDR, DEMCR, DFSR = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8, 0xE000EDFC, 0xE000ED30
AIRCR, ICSR, CPUID = 0xE000ED0C, 0xE000ED04, 0xE000ED00
FP_CTRL, FP_COMP, DWT_COMP, CYCCNT = 0xE0002000, 0xE0002008, 0xE0001020, 0xE0001004
KEY, DEBUGEN, HALT, STEP, MASKINTS = 0xA05F0000, 1, 2, 4, 8
REGRDY, HALTED, SLEEP, LOCKUP, RETIRED, RESET = (1 << bit for bit in (16, 17, 18, 19, 24, 25))
BY_HALT, BY_BKPT, BY_WATCH, BY_VECTOR = 1, 2, 4, 8
TRCENA = 1 << 24
PC, PSR, MSP, PSP, MASKS, FPSCR, S0 = 15, 16, 17, 18, 20, 33, 64


class Debugger:
    """A core with its thread and its line, and what a probe does to it."""

    def __init__(self, board: str = "nucleo_f412zg") -> None:
        self._board = load_board(board)
        self._line, self._slave = pty.openpty()
        os.set_blocking(self._line, False)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        self._chip = load_chip(self._board.chip, BOARDS_DIR)
        self.core = Core(self._board, self._chip, self._line, self._wake)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Debugger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self.core.close()
        for descriptor in (self._line, self._slave, self._wake):
            os.close(descriptor)

    def load(self, elf: Path) -> None:
        """Into flash, not running; nothing is left of what ran before."""
        self.stop()
        self.core.erase()
        for address, data in read_program(elf, memories_of(self._chip)).segments:
            self.core.write(address, data)
        self.core.reset()

    def start(self) -> None:
        self._thread = threading.Thread(target=self.core.run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._thread is None:
            return
        self.core.stop()
        os.eventfd_write(self._wake, 1)
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._thread = None
        os.eventfd_read(self._wake)
        self.core.allow()

    def start_halted(self, elf: Path) -> None:
        """At the reset vector, before its first instruction."""
        self.load(elf)
        self.write(DHCSR, KEY | DEBUGEN | HALT)
        self.start()
        self.write(FP_CTRL, 2)
        for at in (*range(FP_COMP, FP_COMP + 32, 4), *range(DWT_COMP + 8, DWT_COMP + 72, 16)):
            self.write(at, 0)
        self.write(DFSR, 0x1F)

    def read(self, address: int, access: int = 4) -> int:
        data = self.core.debug_read(address, access, access)
        assert data is not None, f"bus fault at 0x{address:08x}"
        return int.from_bytes(data, "little")

    def write(self, address: int, value: int, access: int = 4) -> None:
        data = value.to_bytes(access, "little")
        assert self.core.debug_write(address, data, access), f"bus fault at 0x{address:08x}"

    def register(self, number: int) -> int:
        self.write(DCRSR, number)
        return self.read(DCRDR)

    def set_register(self, number: int, value: int) -> None:
        self.write(DCRDR, value)
        self.write(DCRSR, 1 << 16 | number)

    @property
    def pc(self) -> int:
        return self.register(PC)

    @property
    def halted(self) -> bool:
        return bool(self.read(DHCSR) & HALTED)

    def halt(self) -> None:
        self.write(DHCSR, KEY | DEBUGEN | HALT)

    def resume(self) -> None:
        self.write(DHCSR, KEY | DEBUGEN)

    def step(self, *, masked: bool = True) -> None:
        self.write(DHCSR, KEY | DEBUGEN | STEP | (MASKINTS if masked else 0))

    def run_to(self, address: int) -> None:
        """With a breakpoint that is gone afterwards."""
        self.set_breakpoint(address, 5)
        self.resume()
        assert self.wait_halted() == BY_BKPT
        assert self.pc == address
        self.write(FP_COMP + 20, 0)

    def wait_halted(self, seconds: float = 10) -> int:
        """Why it halted: DFSR, cleared."""
        deadline = time.monotonic() + seconds
        while not self.halted:
            assert time.monotonic() < deadline, f"not halted: {self.core.state}"
            time.sleep(0.001)
        reason = self.read(DFSR)
        self.write(DFSR, 0x1F)
        return reason

    def wait_for_change(self, address: int, seconds: float = 10) -> None:
        """Of a word that changes while the core runs."""
        before, deadline = self.read(address), time.monotonic() + seconds
        while self.read(address) == before:
            assert time.monotonic() < deadline, f"nothing changes: {self.core.state}"

    def set_breakpoint(self, address: int, comparator: int = 0) -> None:
        half = 2 if address & 2 else 1
        self.write(FP_CTRL, 3)
        self.write(FP_COMP + 4 * comparator, half << 30 | address & ~3 | 1)

    def watch(self, address: int, mask: int, function: int, comparator: int = 0) -> None:
        at = DWT_COMP + 16 * comparator
        self.write(DEMCR, self.read(DEMCR) | TRCENA)
        self.write(at, address)
        self.write(at + 4, mask)
        self.write(at + 8, function)

    def words(self, address: int, count: int) -> list[int]:
        data = self.core.debug_read(address, 4 * count)
        assert data is not None
        return list(struct.unpack(f"<{count}I", data))
