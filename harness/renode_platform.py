"""What must Renode have to play a board? A platform file and a script, from board.toml and its
chip. Syntax, models and their parameters: Renode 1.16.1. Starts nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.board import Board
from harness.chip import Chip, DevicePart

QUANTUM_S = "0.0001"  # how far the core runs ahead of the line

# Renode's virtual time has nanoseconds: only where an instruction takes a whole number of them
# does a clock tell one instruction from the next (TimeInterval.FromCPUCycles, ClockEntry.Ratio).
_MIPS = (1, 2, 4, 5, 8, 10, 20, 25, 40, 50, 100, 125, 200, 250, 500, 1000)

_HSIRDY, _PLLRDY, _SWS_PLL = 1 << 10, 1 << 25, 3 << 2  # RM0351, 6.4.1 and 6.4.3


@dataclass(frozen=True)
class _Entry:
    """One object of a platform file. place: what follows the @."""

    name: str
    model: str
    place: str
    attributes: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = f"{self.name}: {self.model} @ {self.place}"
        return "\n".join([head, *(f"    {line}" for line in self.attributes)])


def can_play(board: Board) -> bool:
    """Whether everything is there that the board's firmware port touches."""
    return board.port in _PORTS


def mips(board: Board) -> int:
    """Million instructions in a second of virtual time: the most, not above the board's clock, of
    which each is told apart."""
    return max(rate for rate in _MIPS if rate * 1_000_000 <= board.sysclk_hz)


def platform(board: Board, chip: Chip) -> str:
    """The text of a .repl file: core, memories, the console's UART, and of the rest what the
    firmware touches on its way to it."""
    counted_hz = mips(board) * 1_000_000
    entries = [
        *_memories(chip),
        _Entry(
            "nvic",
            "IRQControllers.NVIC",
            "sysbus 0xE000E000",
            (
                f"priorityMask: 0x{0xFF << (8 - chip.priority_bits) & 0xFF:02X}",
                f"systickFrequency: {counted_hz}",
                "IRQ -> cpu@0",
            ),
        ),
        _Entry(
            "cpu",
            "CPU.CortexM",
            "sysbus",
            (f'cpuType: "{board.core}"', "nvic: nvic", f"PerformanceInMips: {mips(board)}"),
        ),
        _Entry("dwt", "Miscellaneous.DWT", "sysbus 0xE0001000", (f"frequency: {counted_hz}",)),
        _console(board, chip),
        *_PORTS[board.port](board, chip),
    ]
    title = f"// {board.name}, {board.part}: generated from board.toml and {chip.name}.toml"
    return "\n\n".join([title, *map(str, entries)]) + "\n"


def script(board: Board, platform_file: Path, elf: Path, line: Path) -> str:
    """The text of a .resc file: `elf` runs on the platform, its console on a pty to which `line`
    will be a link. The link comes last, so that it says that the rest went well."""
    return "\n".join(
        [
            "logLevel 3",
            f'mach create "{board.name}"',
            f"machine LoadPlatformDescription {_path(platform_file)}",
            f'emulation SetGlobalQuantum "{QUANTUM_S}"',
            f"sysbus LoadELF {_path(elf)}",
            # Else Renode takes the first section that is not at 0.
            f"sysbus.cpu VectorTableOffset 0x{board.memory.flash.base:08X}",
            f'emulation CreateUartPtyTerminal "console" "{line}" true',
            f"connector Connect sysbus.{_name(board.console.uart)} console",
            "start",
            "",
        ]
    )


def _path(path: Path) -> str:
    return "@" + str(path).replace(" ", "\\ ")


def _name(part: str) -> str:
    return part.lower()


def _memories(chip: Chip) -> list[_Entry]:
    """The flash that boots and every RAM, at all the places where they show."""
    boot, *others = chip.memory
    entries = []
    for part in (boot, *(other for other in others if other.kind == "ram")):
        places = f"sysbus 0x{part.base:08X}"
        if part.alias is not None:
            places = f"{{ {places}; sysbus 0x{part.alias:08X} }}"
        entries.append(
            _Entry(_name(part.name), "Memory.MappedMemory", places, (f"size: 0x{part.size:X}",))
        )
    return entries


def _console(board: Board, chip: Chip) -> _Entry:
    part = _part(chip, board.console.uart)
    place = f"sysbus 0x{part.base:08X}"
    frequency = f"frequency: {board.console.clock_hz}"
    interrupt = f"IRQ -> nvic@{part.irq}"
    model, place, attributes = {
        # Of these only STM32_UART does not know its size.
        "stm32-usart-v1": (
            "UART.STM32_UART",
            f"sysbus <0x{part.base:08X}, +0x{part.size:X}>",
            (frequency, interrupt),
        ),
        "stm32-usart-v2": ("UART.STM32F7_USART", place, (frequency, interrupt)),
        "stm32-lpuart": (
            "UART.STM32F7_USART",
            place,
            (frequency, "lowPowerMode: true", interrupt),
        ),
        "nrf-uarte": ("UART.NRF52840_UART", place, ("easyDMA: false", interrupt)),
    }[part.model]
    return _Entry(_name(part.name), model, place, attributes)


def _stm32f4(board: Board, chip: Chip) -> list[_Entry]:
    rcc, rtc = _part(chip, "RCC"), _part(chip, "RTC")
    return [
        _known(rcc, "Miscellaneous.STM32F4_RCC", "rtcPeripheral: rtc"),
        _known(rtc, "Timers.STM32F4_RTC"),
        _known(_part(chip, "PWR"), "Miscellaneous.STM32_PWR"),
        *_stm32_flash(chip),
        *_stm32_pins(board, chip),
    ]


def _stm32l4(board: Board, chip: Chip) -> list[_Entry | str]:
    """Renode 1.16 has no RCC of an STM32L4. What its firmware waits for is always there; the other
    registers remember."""
    base = _part(chip, "RCC").base
    tags = (
        f'Tag <0x{base:08X}, 0x{base + 3:08X}> "RCC_CR" 0x{_HSIRDY | _PLLRDY:08X}',
        f'Tag <0x{base + 8:08X}, 0x{base + 11:08X}> "RCC_CFGR" 0x{_SWS_PLL:08X}',
    )
    return [
        "\n".join(["sysbus:", "    init:", *(f"        {tag}" for tag in tags)]),
        _memory("rcc", base + 12, _part(chip, "RCC").size - 12),
        _remembered(_part(chip, "PWR")),
        *_stm32_flash(chip),
        *_stm32_pins(board, chip),
    ]


def _nrf52(board: Board, chip: Chip) -> list[_Entry]:
    return [
        _known(_part(chip, "CLOCK"), "Miscellaneous.NRF_CLOCK"),
        _remembered(_part(chip, "NVMC")),
        _remembered(_part(chip, "GPIO")),
    ]


def _stm32_flash(chip: Chip) -> list[_Entry]:
    part = _part(chip, "FLASH")  # a name of its own: the memory is called flash
    return [_memory("flash_interface", part.base, part.size)]


def _stm32_pins(board: Board, chip: Chip) -> list[_Entry]:
    """The ports of the console's pins, "PA2" for example."""
    letters = sorted({pin[1] for pin in (board.console.tx, board.console.rx)})
    return [_remembered(_part(chip, f"GPIO{letter}")) for letter in letters]


def _known(part: DevicePart, model: str, *attributes: str) -> _Entry:
    return _Entry(_name(part.name), model, f"sysbus 0x{part.base:08X}", attributes)


def _remembered(part: DevicePart) -> _Entry:
    return _memory(_name(part.name), part.base, part.size)


def _memory(name: str, base: int, size: int) -> _Entry:
    """Registers that only remember. A MappedMemory would have to fill pages."""
    return _Entry(name, "Memory.ArrayMemory", f"sysbus 0x{base:08X}", (f"size: 0x{size:X}",))


def _part(chip: Chip, name: str) -> DevicePart:
    return next(part for part in chip.device if part.name == name)


# By folder under firmware/port/: what that port touches beside core, memories and console.
_PORTS: dict[str, Callable[[Board, Chip], list[_Entry] | list[_Entry | str]]] = {
    "nrf52": _nrf52,
    "stm32f4": _stm32f4,
    "stm32f401": _stm32f4,
    "stm32f405": _stm32f4,
    "stm32l4": _stm32l4,
}
