"""Which boards are described, and what are the facts of each? The only reader of board.toml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.chip import Chip, load_chip
from harness.errors import ConfigError, UnknownBoardError, UsageError
from harness.toml import load_toml

ROOT = Path(__file__).resolve().parents[1]
BOARDS_DIR = ROOT / "boards"

# What pyOCD's options reset_type and connect_mode may be.
RESET_TYPES = (
    *("default", "hardware", "system", "core"),
    *("n_srst", "sysresetreq", "vectreset", "emulated"),
)
CONNECT_MODES = ("halt", "pre-reset", "under-reset", "attach")


@dataclass(frozen=True)
class Caches:
    """What the firmware switches on of the chip's flash accelerator."""

    prefetch: bool
    instruction: bool
    data: bool


@dataclass(frozen=True)
class Oscillator:
    """What the firmware makes the core's clock from. tolerance_ppm: how far it may be off, by its
    data sheet, in millionths. check: what to look at where it is further off."""

    name: str
    tolerance_ppm: int
    check: str

    def __post_init__(self) -> None:
        _require_at_least(1, "tolerance_ppm", self.tolerance_ppm)


@dataclass(frozen=True)
class Region:
    """A memory region: first address and length, bytes."""

    base: int
    size: int

    def __post_init__(self) -> None:
        _require_at_least(0, "base", self.base)
        _require_at_least(1, "size", self.size)
        if self.end > 1 << 32:
            raise ValueError(f"region ends at 0x{self.end:x}, behind the 32-bit address space")

    @property
    def end(self) -> int:
        return self.base + self.size


@dataclass(frozen=True)
class Memory:
    flash: Region
    sram: Region


@dataclass(frozen=True)
class Console:
    """The UART that the harness talks through; `clock_hz` feeds its baud-rate divider."""

    uart: str
    base: int
    clock_hz: int
    baud: int
    tx: str
    rx: str

    def __post_init__(self) -> None:
        for name in ("base", "clock_hz", "baud"):
            _require_at_least(1, name, getattr(self, name))


@dataclass(frozen=True)
class Pyocd:
    """How pyOCD debugs the board. target: the chip as pyOCD calls it. reset_type, connect_mode:
    its options of these names. known_bad: versions of pyOCD that do not work with this board."""

    target: str
    reset_type: str = "default"
    connect_mode: str = "halt"
    known_bad: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_one_of("reset_type", self.reset_type, RESET_TYPES)
        require_one_of("connect_mode", self.connect_mode, CONNECT_MODES)


@dataclass(frozen=True)
class Qemu:
    """What QEMU calls the board, and how many of the machine's serial lines come before the
    console's."""

    machine: str
    serial: int

    def __post_init__(self) -> None:
        _require_at_least(0, "serial", self.serial)


@dataclass(frozen=True)
class Board:
    """A PCB type: what never differs between two units of it. `qemu`: where QEMU can play it."""

    name: str
    part: str
    chip: str
    core: str
    port: str
    sysclk_hz: int
    flash_wait_states: int
    oscillator: Oscillator
    caches: Caches
    memory: Memory
    console: Console
    pyocd: Pyocd
    qemu: Qemu | None = None

    def __post_init__(self) -> None:
        if self.core not in ("cortex-m4", "cortex-m4f"):
            raise ValueError(f"core {self.core!r} is not cortex-m4 or cortex-m4f")
        _require_at_least(1, "sysclk_hz", self.sysclk_hz)
        _require_at_least(0, "flash_wait_states", self.flash_wait_states)


def require_one_of(name: str, value: str, known: Sequence[str]) -> None:
    """Raises ValueError."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def _require_at_least(least: int, name: str, value: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def board_names(boards_dir: Path = BOARDS_DIR) -> list[str]:
    """Names of all described boards, sorted."""
    return sorted(path.parent.name for path in boards_dir.glob("*/board.toml"))


def load_board(name: str, boards_dir: Path = BOARDS_DIR) -> Board:
    """Read boards/<name>/board.toml.

    Raises:
        UnknownBoardError: no such folder, or its chip is not described.
        ConfigError: the file is not a board description, or names what its chip does not have.
    """
    names = board_names(boards_dir)
    if name not in names:
        raise UnknownBoardError(
            f"unknown board {name!r}",
            expected=f"one of {', '.join(names) or 'none described'}",
            hint="`hilnas boards` lists them",
        )
    path = boards_dir / name / "board.toml"
    board = load_toml(path, Board)
    if board.name != name:
        raise ConfigError(
            "name differs from its folder", where=path, expected=name, got=board.name
        )
    _require_of_chip(board, load_chip(board.chip, boards_dir), path)
    return board


def with_console(board: Board, chip: Chip, uart: str) -> Board:
    """The board with its line at another of the chip's UARTs. Pins, clock and rate remain those of
    the one it is wired to: only firmware that was built for it needs them.

    Raises:
        UsageError: the chip has no such UART.
    """
    bases = {part.name: part.base for part in chip.uarts}
    if uart not in bases:
        raise UsageError(
            f"{chip.name} has no UART {uart!r}",
            where=board.name,
            expected=f"one of {', '.join(bases)}",
            hint=f"{board.console.uart} is wired to the board's serial port",
        )
    return replace(board, console=replace(board.console, uart=uart, base=bases[uart]))


def _require_of_chip(board: Board, chip: Chip, path: Path) -> None:
    """A slip in one of the two files is found here, not as firmware that stays silent."""
    memory = board.memory
    if not chip.covers("flash", memory.flash.base, memory.flash.end):
        raise _not_of_chip("memory.flash", memory.flash, chip, path)
    if not chip.covers("ram", memory.sram.base, memory.sram.end):
        raise _not_of_chip("memory.sram", memory.sram, chip, path)
    uart = board.console.uart
    bases = {device.name: device.base for device in chip.device}
    if uart not in bases:
        raise ConfigError(
            f"console.uart: {chip.name} has no {uart}", where=path, hint="correct uart"
        )
    if bases[uart] != board.console.base:
        raise ConfigError(
            f"console.base is not where {uart} lies",
            where=path,
            expected=f"0x{bases[uart]:08x}",
            got=f"0x{board.console.base:08x}",
            hint="correct uart or base",
        )


def _not_of_chip(key: str, region: Region, chip: Chip, path: Path) -> ConfigError:
    return ConfigError(
        f"{key} does not lie in a memory of {chip.name}",
        where=path,
        expected=", ".join(
            f"{part.name} 0x{part.base:08x} to 0x{part.base + part.size:08x}"
            for part in chip.memory
        ),
        got=f"0x{region.base:08x} to 0x{region.end:08x}",
        hint="correct base and size",
    )
