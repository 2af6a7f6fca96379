"""How does Python drive the C core? ctypes over harness/virtual/core, in the child process only.
Knows nothing of ptys, of the control protocol or of ELF files."""

from __future__ import annotations

import ctypes
import importlib.util
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from harness.board import Board
from harness.errors import BoardError
from harness.virtual.board import TIMING_MODEL

_BUILD = "run `pip install --no-build-isolation -e .` in the project's root"
STATES = ("running", "waiting for serial", "asleep", "locked up", "stopped")


class _Parts(ctypes.Structure):
    _fields_ = [
        ("flash_base", ctypes.c_uint32),
        ("flash_size", ctypes.c_uint32),
        ("sram_base", ctypes.c_uint32),
        ("sram_size", ctypes.c_uint32),
        ("uart_base", ctypes.c_uint32),
        ("serial_fd", ctypes.c_int32),
        ("wake_fd", ctypes.c_int32),
    ]


class _Status(ctypes.Structure):
    _fields_ = [
        ("instructions", ctypes.c_uint64),
        ("cycles", ctypes.c_uint64),
        ("state", ctypes.c_uint32),
        ("pc", ctypes.c_uint32),
    ]


def open_library() -> ctypes.CDLL:
    """The compiled core, Unicorn loaded before it.

    Raises:
        BoardError: either is missing, cannot be loaded, or is of another version.
    """
    spec = importlib.util.find_spec("unicorn")
    if spec is None or spec.origin is None:
        raise BoardError("the package unicorn is not installed", hint="pip install unicorn==2.1.3")
    unicorn = Path(spec.origin).parent / "lib" / "libunicorn.so.2"
    here = Path(__file__).parent
    built = [here / f"_core{suffix}" for suffix in EXTENSION_SUFFIXES]
    core = next((path for path in built if path.exists()), None)
    if core is None:
        raise BoardError(
            "the virtual board's core is not compiled",
            where=here,
            hint=_BUILD,
        )
    try:
        ctypes.CDLL(str(unicorn), mode=ctypes.RTLD_GLOBAL)
        library = ctypes.CDLL(str(core))
    except OSError as error:
        raise BoardError(f"the virtual board's core cannot be loaded: {error}") from None
    library.timing_model.restype = ctypes.c_char_p
    model = library.timing_model().decode()
    if model != TIMING_MODEL:
        raise BoardError(
            "the virtual board's core was compiled from another version",
            where=core,
            expected=TIMING_MODEL,
            got=model,
            hint=_BUILD,
        )
    machine = ctypes.c_void_p
    library.machine_new.restype = machine
    library.machine_new.argtypes = [ctypes.POINTER(_Parts), ctypes.c_char_p, ctypes.c_size_t]
    library.machine_run.restype = ctypes.c_char_p
    library.machine_flash.restype = machine
    library.machine_status.restype = ctypes.POINTER(_Status)
    for name in ("run", "flash", "status", "stop", "allow", "erase", "reset", "free"):
        getattr(library, f"machine_{name}").argtypes = [machine]
    return library


class Core:
    """A Cortex-M4F with the memories and the console of `board`.

    `serial_fd` is the non-blocking end of the line the firmware talks to; `wake_fd` becomes
    readable when a `stop()` must reach a core that sleeps. `run()` belongs to one thread, the rest
    to another: memories may be touched only while the core does not run.
    """

    def __init__(self, board: Board, serial_fd: int, wake_fd: int) -> None:
        flash, sram = board.memory.flash, board.memory.sram
        self._flash = flash
        self._library = open_library()
        parts = _Parts(
            flash.base,
            flash.size,
            sram.base,
            sram.size,
            board.console.base,
            serial_fd,
            wake_fd,
        )
        reason = ctypes.create_string_buffer(256)
        self._machine = self._library.machine_new(ctypes.byref(parts), reason, len(reason))
        if not self._machine:
            raise BoardError(
                f"the emulator refuses to build a {board.core}: {reason.value.decode()}",
                where=board.name,
                hint="check its board.toml, and that unicorn==2.1.3 is installed",
            )
        self._status = self._library.machine_status(self._machine).contents

    def run(self) -> str | None:
        """Execute until `stop()`. None, or what broke in the emulation itself."""
        failure: bytes | None = self._library.machine_run(self._machine)
        return failure.decode() if failure else None

    def close(self) -> None:
        """Free the core; nothing else may be called afterwards."""
        self._library.machine_free(self._machine)

    def stop(self) -> None:
        self._library.machine_stop(self._machine)

    def allow(self) -> None:
        """Take back a stop, so that the next `run()` runs."""
        self._library.machine_allow(self._machine)

    def erase(self) -> None:
        """Flash to 0xFF, SRAM to its start-up pattern, nothing on the line."""
        self._library.machine_erase(self._machine)

    def program(self, address: int, data: bytes) -> None:
        """Write `data` into flash; `address` was checked by the caller."""
        flash = self._library.machine_flash(self._machine)
        ctypes.memmove(flash + address - self._flash.base, data, len(data))

    def reset(self) -> None:
        """The next `run()` starts from the vector table."""
        self._library.machine_reset(self._machine)

    @property
    def instructions(self) -> int:
        return int(self._status.instructions)

    @property
    def cycles(self) -> int:
        return int(self._status.cycles)

    @property
    def state(self) -> str:
        return STATES[self._status.state]

    @property
    def pc(self) -> int:
        """Where the core locked up."""
        return int(self._status.pc)
