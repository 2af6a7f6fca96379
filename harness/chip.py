"""What is inside a chip: memories, flash accelerator, buses, peripheral blocks? The only reader of
boards/chips/. The firmware does not need it; the virtual board is built from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.errors import UnknownBoardError
from harness.toml import load_toml

MemoryKind = Literal["flash", "ram", "rom"]
MEMORY_KINDS = ("flash", "ram", "rom")
ACCESS_PORTS = ("ahb", "nordic-control")
UARTS = ("stm32-usart-v1", "stm32-usart-v2", "stm32-lpuart", "nrf-uarte")  # models
CLOCKS = ("ahb", "apb1", "apb2", "low", "apb1-timers", "apb2-timers")
MAX_IRQS = 24  # DEVICE_IRQS in harness/virtual/core/device.h


@dataclass(frozen=True)
class MemoryPart:
    """A memory that shows at `base` and, where given, at `alias` as well. Sizes in bytes."""

    name: str
    kind: str
    base: int
    size: int
    alias: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in MEMORY_KINDS:
            raise ValueError(f"kind {self.kind!r} is not one of {', '.join(MEMORY_KINDS)}")


@dataclass(frozen=True)
class Accelerator:
    """What stands between core and flash: bytes an access to the array brings, bytes of a cache
    line, lines of each cache (0: none), and whether the next line can be fetched ahead."""

    read_bytes: int
    line_bytes: int
    instruction_lines: int
    data_lines: int
    prefetch: bool


@dataclass(frozen=True)
class Span:
    """Addresses that a bus answers."""

    base: int
    size: int


@dataclass(frozen=True)
class DevicePart:
    """One peripheral block. `model`: a name from harness/virtual/core/devices, "storage" where
    registers only remember. `irq`: its interrupt line, or `irqs` in the model's order, -1 where
    one is not wired. `clock`: what its counters run on. `bits`: width of its counter, where a
    model has several."""

    model: str
    name: str
    base: int
    size: int = 0x400
    irq: int = -1
    irqs: tuple[int, ...] = ()
    clock: str = "ahb"
    bits: int = 0

    def __post_init__(self) -> None:
        if self.clock not in CLOCKS:
            raise ValueError(f"clock {self.clock!r} is not one of {', '.join(CLOCKS)}")
        if len(self.irqs) > MAX_IRQS or (self.irqs and self.irq >= 0):
            raise ValueError(f"{self.name} takes either `irq` or up to {MAX_IRQS} `irqs`")

    @property
    def lines(self) -> tuple[int, ...]:
        """Every interrupt line, in the model's order."""
        return self.irqs or (self.irq,)


@dataclass(frozen=True)
class Preset:
    """A register whose value after reset is not 0."""

    address: int
    value: int


@dataclass(frozen=True)
class Constant:
    """Words that the factory wrote: identifiers, calibration."""

    address: int
    words: tuple[int, ...]


@dataclass(frozen=True)
class Chip:
    """A part family's member: what never differs between two boards that carry it. The first
    memory is the flash that boots. `priority_bits`: how many the NVIC has of each priority.
    `access_ports`: what a debugger finds behind the debug port, in the order of their numbers."""

    name: str
    manual: str
    interrupts: int
    reset_hz: int
    accelerator: Accelerator
    memory: tuple[MemoryPart, ...]
    bus: tuple[Span, ...]
    device: tuple[DevicePart, ...]
    priority_bits: int = 4
    access_ports: tuple[str, ...] = ("ahb",)
    preset: tuple[Preset, ...] = ()
    constant: tuple[Constant, ...] = ()

    def __post_init__(self) -> None:
        if not self.memory or self.memory[0].kind != "flash":
            raise ValueError("the first [[memory]] must be the flash that boots")
        if not set(self.access_ports) <= set(ACCESS_PORTS):
            raise ValueError(f"access_ports are some of {', '.join(ACCESS_PORTS)}")

    @property
    def uarts(self) -> tuple[DevicePart, ...]:
        """Those whose line can be the console."""
        return tuple(part for part in self.device if part.model in UARTS)

    def covers(self, kind: MemoryKind, base: int, end: int) -> bool:
        """Whether memories of `kind`, each at both its places, leave no gap in [base, end)."""
        spans = sorted(
            (place, place + part.size)
            for part in self.memory
            for place in (part.base, part.alias)
            if part.kind == kind and place is not None
        )
        for first, behind in spans:
            if first <= base < behind:
                base = behind
        return base >= end


def load_chip(name: str, boards_dir: Path) -> Chip:
    """Read <boards_dir>/chips/<name>.toml.

    Raises:
        UnknownBoardError: no such file.
        ConfigError: it is not a chip description.
    """
    path = boards_dir / "chips" / f"{name}.toml"
    if not path.is_file():
        known = sorted(file.stem for file in path.parent.glob("*.toml"))
        raise UnknownBoardError(
            f"unknown chip {name!r}",
            where=path,
            expected=f"one of {', '.join(known) or 'none described'}",
            hint="describe it there, or correct `chip` in board.toml",
        )
    return load_toml(path, Chip)
