"""Who executes an image, and what does memory hold afterwards? The virtual board, Unicorn alone
with any of its hooks, and qemu-system-arm. All have a deadline."""

from __future__ import annotations

import ctypes
import os
import pty
import shutil
import subprocess
import tempfile
import threading
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.differential.image import FLASH, SRAM, Image, Outcome
from harness.board import BOARDS_DIR, load_board
from harness.chip import load_chip

DEADLINE_S = 60.0
BOARD = "nucleo_f412zg"
QEMU, MACHINE = "qemu-system-arm", "netduinoplus2"  # flash and SRAM where an STM32F4 has them
SLEEP = bytes.fromhex("30bf")

Executor = Callable[[Image], Outcome]


def qemu_with(*options: str) -> Executor:
    """An executor: a QEMU process with `options`. The program hands its memory over by
    semihosting, which also ends the emulator."""
    return lambda image: _run_qemu(options, image)


def _run_qemu(options: tuple[str, ...], image: Image) -> Outcome:
    wanted = image.for_host()
    with tempfile.TemporaryDirectory() as folder:
        flash, sram = Path(folder) / "flash", Path(folder) / "sram"
        flash.write_bytes(image.flash)
        sram.write_bytes(wanted)
        command = [
            *(QEMU, "-M", MACHINE, "-display", "none", "-monitor", "none", "-serial", "none"),
            *("-semihosting-config", "enable=on,target=native"),
            *options,
            *("-device", f"loader,file={flash},addr={FLASH:#x},force-raw=on"),
            *("-device", f"loader,file={sram},addr={SRAM:#x},force-raw=on"),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, timeout=DEADLINE_S
            )
        except subprocess.TimeoutExpired as late:
            return Outcome(bytes(len(wanted)), f"no end within {DEADLINE_S:g} s: {late.stderr!r}")
    if len(done.stdout) != len(wanted):
        words = done.stderr.decode(errors="replace").strip()[-300:]
        return Outcome(bytes(len(wanted)), f"{len(done.stdout)} bytes came; {words}")
    return Outcome(done.stdout)


qemu = qemu_with()


def qemu_version() -> str | None:
    """Its version, or None where it is not installed."""
    if shutil.which(QEMU) is None:
        return None
    told = subprocess.run([QEMU, "--version"], capture_output=True, text=True, timeout=60)
    return told.stdout.splitlines()[0]


class VirtualBoard:
    """The core of the virtual board, in this process; observed: with all its observers on."""

    def __init__(self, *, observed: bool = False) -> None:
        from harness.virtual.core import Core
        from harness.virtual.observed import Modes

        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        board = load_board(BOARD)
        self.core = Core(board, load_chip(board.chip, BOARDS_DIR), self._master, self._wake)
        self._modes = Modes(profile=observed, trace=observed, watch=observed)

    def __call__(self, image: Image) -> Outcome:
        core = self.core
        core.erase()
        core.write(FLASH, image.flash)
        core.write(SRAM, image.sram)
        core.observe(self._modes, (FLASH,) if self._modes else ())
        core.reset()
        before = core.instructions
        failure: list[str | None] = []
        thread = threading.Thread(target=lambda: failure.append(core.run()), daemon=True)
        thread.start()
        deadline = time.monotonic() + DEADLINE_S
        while thread.is_alive() and time.monotonic() < deadline:
            if core.state in ("asleep", "locked up") and core.instructions > before:
                break
            time.sleep(0.0005)
        state = core.state
        core.stop()
        os.eventfd_write(self._wake, 1)
        thread.join(DEADLINE_S)
        if thread.is_alive():
            raise TimeoutError(f"the virtual board does not stop within {DEADLINE_S:g} s")
        os.eventfd_read(self._wake)
        core.allow()
        memory = core.read(SRAM, len(image.sram))
        ended = state == "asleep" and failure == [None]
        return Outcome(memory, None if ended else f"{state} at 0x{core.pc:08x}, {failure[0]}")

    def close(self) -> None:
        self.core.close()
        for descriptor in (self._master, self._slave, self._wake):
            os.close(descriptor)


@dataclass(frozen=True)
class Hooks:
    """Which of Unicorn's hooks are on, over all memory, and how it finds pages."""

    block: bool = False
    code: bool = False
    read: bool = False
    write: bool = False
    pages: bool = False  # UC_TLB_VIRTUAL with a page hook, as the virtual board has

    def __str__(self) -> str:
        on = [name for name in ("block", "code", "read", "write", "pages") if getattr(self, name)]
        return "unicorn, " + (" and ".join(on) + " hook" if on else "no hook")


HOOKS = [
    *(Hooks(), Hooks(block=True), Hooks(code=True), Hooks(read=True), Hooks(write=True)),
    *(Hooks(pages=True), Hooks(block=True, read=True, write=True)),
    Hooks(block=True, code=True, read=True, write=True, pages=True),
]


def bare_unicorn(hooks: Hooks) -> Executor:
    """An executor: Unicorn's own core in a fresh instance for each image."""
    return lambda image: _run_unicorn(hooks, image)


def _run_unicorn(hooks: Hooks, image: Image) -> Outcome:
    import unicorn
    from unicorn import arm_const, unicorn_const

    uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
    uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
    if hooks.pages:
        uc.ctl_set_tlb_mode(unicorn_const.UC_TLB_VIRTUAL)
    for base, size in (
        (FLASH, 0x100000),
        (SRAM, 0x40000),
        (0x40023000, 0x1000),
        (0xE000E000, 0x1000),
    ):
        uc.mem_map(base, size)
    uc.mem_write(FLASH, image.flash)
    uc.mem_write(SRAM, image.sram)
    stack, entry = (int.from_bytes(image.flash[i : i + 4], "little") for i in (0, 4))
    uc.reg_write(arm_const.UC_ARM_REG_SP, stack)
    kinds = {
        unicorn_const.UC_HOOK_BLOCK: hooks.block,
        unicorn_const.UC_HOOK_CODE: hooks.code,
        unicorn_const.UC_HOOK_MEM_READ: hooks.read,
        unicorn_const.UC_HOOK_MEM_WRITE: hooks.write,
    }
    for kind, wanted in kinds.items():
        if wanted:
            _hook_natively(uc, kind)
    if hooks.pages:
        uc.hook_add(unicorn_const.UC_HOOK_TLB_FILL, _page)
    # Not emu_start's own timeout, under which Unicorn is much slower.
    deadline = threading.Timer(DEADLINE_S, uc.emu_stop)
    deadline.start()
    try:
        uc.emu_start(entry, 0)
    except unicorn.UcError as error:
        at = uc.reg_read(arm_const.UC_ARM_REG_PC)
        return Outcome(bytes(uc.mem_read(SRAM, len(image.sram))), f"{error} at 0x{at:08x}")
    finally:
        deadline.cancel()
    asleep = bytes(uc.mem_read(uc.reg_read(arm_const.UC_ARM_REG_PC) - 2, 2)) == SLEEP
    memory = bytes(uc.mem_read(SRAM, len(image.sram)))
    return Outcome(memory, None if asleep else "stopped before its end")


def _hook_natively(uc: Any, kind: int) -> None:
    """A hook of `kind` that does nothing and costs little: getpid, which ignores what it is given.
    A callback in Python would make a program of millions of accesses take minutes."""
    from unicorn.unicorn_py3.unicorn import uclib

    nothing = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
    handle = ctypes.c_size_t()
    first, last = ctypes.c_uint64(1), ctypes.c_uint64(0)  # all addresses
    status = uclib.uc_hook_add(uc._uch, ctypes.byref(handle), kind, nothing, None, first, last)
    assert status == 0, f"uc_hook_add: {status}"


def _page(uc: Any, address: int, access: int, entry: Any, _data: Any) -> bool:
    """Every page is where it says, and open; the IT state that finding it set is cleared, as
    memory.c does and says why."""
    from unicorn import arm_const

    entry.paddr, entry.perms = address, 7
    status = uc.reg_read(arm_const.UC_ARM_REG_CPSR)
    if access != _FETCH and status & _IT_STATE:
        uc.reg_write(arm_const.UC_ARM_REG_CPSR, status & ~_IT_STATE)
    return True


_FETCH, _IT_STATE = 18, 0x0600FC00  # UC_MEM_FETCH
