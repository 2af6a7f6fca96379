"""How does Python drive the C core? ctypes over harness/virtual/core, in the child process only.
Knows nothing of ptys, of the control protocol or of ELF files."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from harness.board import Board
from harness.chip import CLOCKS, MAX_IRQS, Chip, DevicePart
from harness.chip import MEMORY_KINDS as KINDS
from harness.errors import BoardError
from harness.virtual import observed
from harness.virtual.board import TIMING_MODEL
from harness.virtual.report import ENDS, Fault, Limits, Notice, Report, Uart

_BUILD = "run `pip install --no-build-isolation -e .` in the project's root"
STATES = ("running", "waiting for serial", "asleep", "locked up", "stopped", "halted")
NEVER = (1 << 64) - 1
MAX_NOTICES = 32


class _MemoryPart(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("base", "size", "alias", "kind")]


class _Bus(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("base", "size")]


class _DevicePart(ctypes.Structure):
    _fields_ = [
        ("model", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("base", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("irqs", ctypes.c_int32 * MAX_IRQS),
        ("clock", ctypes.c_uint32),
        ("bits", ctypes.c_uint32),
    ]


class _Preset(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("address", "value")]


class _Accelerator(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint32)
        for name in (
            *("read_bytes", "line_bytes", "instruction_lines", "data_lines"),
            *("wait_states", "prefetch", "instruction_cache", "data_cache"),
        )
    ]


class _Notice(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("kind", "address", "pc")]


class _Parts(ctypes.Structure):
    _fields_ = [
        ("memories", ctypes.POINTER(_MemoryPart)),
        ("buses", ctypes.POINTER(_Bus)),
        ("devices", ctypes.POINTER(_DevicePart)),
        ("presets", ctypes.POINTER(_Preset)),
        ("memory_count", ctypes.c_uint32),
        ("bus_count", ctypes.c_uint32),
        ("device_count", ctypes.c_uint32),
        ("preset_count", ctypes.c_uint32),
        ("accelerator", _Accelerator),
        ("interrupts", ctypes.c_uint32),
        ("priority_bits", ctypes.c_uint32),
        ("reset_hz", ctypes.c_uint32),
        ("console_base", ctypes.c_uint32),
        ("serial_fd", ctypes.c_int32),
        ("wake_fd", ctypes.c_int32),
    ]


class _Fault(ctypes.Structure):
    _fields_ = [
        *(
            (name, ctypes.c_uint32)
            for name in ("number", "pc", "lr", "sp", "cfsr", "hfsr", "mmfar", "bfar")
        ),
        ("cycles", ctypes.c_uint64),
    ]


class _Report(ctypes.Structure):
    _fields_ = [
        ("ended", ctypes.c_uint32),
        ("fault_count", ctypes.c_uint32),
        ("virtual_ns", ctypes.c_uint64),
        ("core_hz", ctypes.c_uint32),
        ("cfsr", ctypes.c_uint32),
        ("hfsr", ctypes.c_uint32),
        ("registers", ctypes.c_uint32 * 16),
        ("special", ctypes.c_uint32 * 4),
        ("fault", _Fault),
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
    library.machine_memory.restype = machine
    library.machine_memory.argtypes = [machine, ctypes.c_uint32, ctypes.c_uint32]
    library.machine_notices.argtypes = [machine, ctypes.POINTER(_Notice)]
    library.machine_status.restype = ctypes.POINTER(_Status)
    library.machine_adopt.restype = ctypes.c_bool
    library.machine_adopt.argtypes = [machine, ctypes.c_int32, ctypes.c_int32]
    library.machine_snapshot.restype = machine
    library.machine_snapshot.argtypes = library.machine_forget_snapshot.argtypes = [machine]
    library.machine_restore.argtypes = [machine, machine]
    library.machine_limit.argtypes = [
        machine,
        ctypes.c_uint64,
        ctypes.c_char_p,
        ctypes.c_uint32,
        ctypes.c_bool,
        ctypes.c_bool,
    ]
    library.machine_line.restype = ctypes.c_bool
    library.machine_line.argtypes = [machine, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32)]
    library.machine_virtual_ns.restype = ctypes.c_uint64
    library.machine_virtual_ns.argtypes = library.machine_faults.argtypes = [machine]
    library.machine_report.argtypes = [machine, ctypes.POINTER(_Report)]
    observed.declare(library)
    for name in ("read", "write"):
        getattr(library, f"machine_debug_{name}").argtypes = [
            *(machine, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_uint32)
        ]
    for name in ("run", "status", "stop", "allow", "erase", "reset", "free", "end_input"):
        getattr(library, f"machine_{name}").argtypes = [machine]
    return library


def _parts_of(board: Board, chip: Chip, serial_fd: int, wake_fd: int) -> _Parts:
    memories = [
        _MemoryPart(m.base, m.size, m.base if m.alias is None else m.alias, KINDS.index(m.kind))
        for m in chip.memory
    ]
    devices = [
        _DevicePart(
            *(d.model.encode(), d.name.encode(), d.base, d.size),
            (ctypes.c_int32 * MAX_IRQS)(*d.lines, *[-1] * (MAX_IRQS - len(d.lines))),
            *(CLOCKS.index(d.clock), d.bits),
        )
        for d in chip.device
    ]
    a = chip.accelerator
    return _Parts(
        (_MemoryPart * len(memories))(*memories),
        (_Bus * len(chip.bus))(*(_Bus(span.base, span.size) for span in chip.bus)),
        (_DevicePart * len(devices))(*devices),
        (_Preset * len(chip.preset))(*(_Preset(p.address, p.value) for p in chip.preset)),
        len(memories),
        len(chip.bus),
        len(devices),
        len(chip.preset),
        _Accelerator(a.read_bytes, a.line_bytes, a.instruction_lines, a.data_lines, 0, 0, 0, 0),
        chip.interrupts,
        chip.priority_bits,
        chip.reset_hz,
        board.console.base,
        serial_fd,
        wake_fd,
    )


class Core:
    """The core of `board`, with the memories and peripherals of `chip`.

    `serial_fd` is the non-blocking end of the line the firmware talks to; `wake_fd` becomes
    readable when a `stop()` must reach a core that sleeps. `run()` belongs to one thread, the rest
    to another: memories may be touched only while the core does not run.
    """

    def __init__(self, board: Board, chip: Chip, serial_fd: int, wake_fd: int) -> None:
        self._chip = chip
        self._library = open_library()
        parts = _parts_of(board, chip, serial_fd, wake_fd)
        reason = ctypes.create_string_buffer(256)
        self._machine = self._library.machine_new(ctypes.byref(parts), reason, len(reason))
        if not self._machine:
            raise BoardError(
                f"the emulator refuses to build a {board.core}: {reason.value.decode()}",
                where=board.name,
                hint="check its chip description, and that unicorn==2.1.3 is installed",
            )
        self._status = self._library.machine_status(self._machine).contents
        for constant in chip.constant:
            data = b"".join(word.to_bytes(4, "little") for word in constant.words)
            self.write(constant.address, data)

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

    def write(self, address: int, data: bytes) -> None:
        """Put `data` into memory, flash included, without any flash controller.

        Raises:
            BoardError: no memory of the chip holds all of it.
        """
        ctypes.memmove(self._at(address, len(data)), data, len(data))

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes of memory.

        Raises:
            BoardError: no memory of the chip holds all of them.
        """
        return ctypes.string_at(self._at(address, size), size)

    def _at(self, address: int, size: int) -> int:
        at: int | None = self._library.machine_memory(self._machine, address, size)
        if at is None:
            raise BoardError(
                "no memory there",
                where=self._chip.name,
                expected=", ".join(
                    f"0x{part.base:08x} to 0x{part.base + part.size:08x}"
                    for part in self._chip.memory
                ),
                got=f"{size} bytes at 0x{address:08x}",
                hint="link it for this board",
            )
        return at

    def observe(self, modes: observed.Modes, functions: Sequence[int] = ()) -> None:
        """Begin anew with observing, or end it, while the core does not run; `functions` are the
        first addresses of functions and of the gaps between them, ascending.

        Raises:
            BoardError: no memory left for it.
        """
        if not observed.observe(self._library, self._machine, modes, functions):
            raise BoardError("there is no memory left to observe with", where=self._chip.name)

    def observed(self) -> observed.Observed | None:
        """What was seen since then; None when nothing is observed."""
        return observed.read(self._library, self._machine)

    def debug_read(self, address: int, size: int, access: int = 4) -> bytes | None:
        """What a probe reads through the chip's AHB-AP, `access` bytes at a time: memories,
        peripherals and the private bus, while the core runs or not. None: the bus answers with an
        error. A core that was asked to halt, step or reset has done so when this returns."""
        into = ctypes.create_string_buffer(size)
        failed = self._library.machine_debug_read(self._machine, address, into, size, access)
        return None if failed else into.raw

    def debug_write(self, address: int, data: bytes, access: int = 4) -> bool:
        """What a probe writes; False: the bus answers with an error."""
        size = len(data)
        return not self._library.machine_debug_write(self._machine, address, data, size, access)

    def adopt(self, serial_fd: int, wake_fd: int) -> None:
        """After a fork, in the new process: use these from now on."""
        if not self._library.machine_adopt(self._machine, serial_fd, wake_fd):
            raise BoardError("no descriptors are left for a debug port", where=self._chip.name)

    def snapshot(self) -> int:
        """Keep the whole board as it is, while the core does not run; what restore() takes.

        Raises:
            BoardError: no memory left for it.
        """
        snapshot: int | None = self._library.machine_snapshot(self._machine)
        if snapshot is None:
            raise BoardError("there is no memory left for a snapshot", where=self._chip.name)
        return snapshot

    def restore(self, snapshot: int) -> None:
        """The board as it was then, while the core does not run; observing ends."""
        self._library.machine_restore(self._machine, snapshot)

    def forget(self, snapshot: int) -> None:
        self._library.machine_forget_snapshot(snapshot)

    def limit(self, limits: Limits) -> None:
        """What ends a `run()` by itself, from now on; while the core does not run."""
        nanoseconds = NEVER if limits.seconds is None else round(limits.seconds * 1e9)
        text = limits.text
        self._library.machine_limit(
            self._machine, nanoseconds, text, len(text), limits.refuse_unmodelled, limits.pace
        )

    def end_input(self) -> None:
        """The host sends no more: a core that can only wait for it has run to its end."""
        self._library.machine_end_input(self._machine)

    def report(self) -> Report:
        """What became of the run; exact while the core does not run."""
        raw = _Report()
        self._library.machine_report(self._machine, ctypes.byref(raw))
        fault = {name: int(getattr(raw.fault, name)) for name, *_ in raw.fault._fields_}
        names = [f"r{i}" for i in range(13)] + ["sp", "lr", "pc"]
        registers = dict(zip(names, map(int, raw.registers), strict=True))
        registers |= zip(("xpsr", "msp", "psp", "control"), map(int, raw.special), strict=True)
        notices = (_Notice * MAX_NOTICES)()
        count = self._library.machine_notices(self._machine, notices)
        return Report(
            ended=ENDS[raw.ended],
            seconds=raw.virtual_ns / 1e9,
            core_hz=raw.core_hz,
            registers=registers | {"cfsr": raw.cfsr, "hfsr": raw.hfsr},
            faults=raw.fault_count,
            fault=Fault(**fault) if raw.fault_count else None,
            notices=tuple(Notice(n.address, n.pc) for n in notices[:count]),
            uarts=tuple(self._uart(part) for part in self._chip.uarts),
        )

    def _uart(self, part: DevicePart) -> Uart:
        sent = ctypes.c_uint32()
        on = self._library.machine_line(self._machine, part.base, ctypes.byref(sent))
        return Uart(part.name, on, sent.value)

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
    def virtual_seconds(self) -> float:
        return float(self._library.machine_virtual_ns(self._machine)) / 1e9

    @property
    def faults(self) -> int:
        """How often one was raised."""
        return int(self._library.machine_faults(self._machine))

    @property
    def pc(self) -> int:
        """Where the core locked up."""
        return int(self._status.pc)
