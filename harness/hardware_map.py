"""Which units stand on this desk, and how is each reached? The only reader of hardware_map.toml.
Opens neither probes nor ports."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.board import CONNECT_MODES, RESET_TYPES, Board, board_names, require_one_of
from harness.errors import ConfigError, UnknownBoardError, UsageError
from harness.lpm01a import Lpm01a
from harness.probe import REMOTE, Access
from harness.serial_ports import SerialPort, attached_ports, find_port, plain_id
from harness.toml import load_toml

NAME = "hardware_map.toml"
VARIABLE = "HILNAS_HARDWARE_MAP"
METERS = {"lpm01a": Lpm01a}


@dataclass(frozen=True)
class MappedMeter:
    """The energy meter in a unit's supply. meter: its kind. serial: its port. volts: what it
    supplies the unit with."""

    meter: str
    serial: str
    volts: float

    def __post_init__(self) -> None:
        require_one_of("meter", self.meter, tuple(METERS))
        if not self.serial:
            raise ValueError("serial is empty; /dev/serial/by-id lists ports by their names")
        low, high = METERS[self.meter].volts_range
        if not low <= self.volts <= high:
            raise ValueError(
                f"volts must be {low:g} to {high:g} with {self.meter}, got {self.volts:g}"
            )


@dataclass(frozen=True)
class MappedUnit:
    """One unit. `probe`: the whole unique id, or remote:HOST:PORT. serial: its port; "" is found
    from the probe's USB serial number and, where that has several ports, its USB interface
    serial_interface. reset_type, connect_mode: where they are not the board's. pack: a CMSIS pack,
    relative to the map. power_cycle: a command and its arguments that takes the unit's power away
    and gives it back. energy: the meter that supplies it."""

    name: str
    board: str
    probe: str
    serial: str = ""
    serial_interface: int | None = None
    reset_type: str = ""
    connect_mode: str = ""
    pack: str = ""
    power_cycle: tuple[str, ...] = ()
    energy: MappedMeter | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise ValueError(f"name must be letters, digits, '.', '_' and '-', got {self.name!r}")
        require_one_of("board", self.board, board_names())
        if not self.probe:
            raise ValueError("probe is empty; `hilnas boards --discover` lists those attached")
        if self.is_remote and not re.fullmatch(r"remote:[^:]+:[0-9]+", self.probe):
            raise ValueError(f"probe must be a unique id or remote:HOST:PORT, got {self.probe!r}")
        if self.is_remote and not self.serial:
            raise ValueError("serial is missing: a remote probe has no USB port to find it by")
        if self.serial and self.serial_interface is not None:
            raise ValueError("serial and serial_interface exclude each other")
        if self.reset_type:
            require_one_of("reset_type", self.reset_type, RESET_TYPES)
        if self.connect_mode:
            require_one_of("connect_mode", self.connect_mode, CONNECT_MODES)
        if self.energy is not None and _real(self.energy.serial) == _real(self.serial):
            raise ValueError("energy: the meter's port is the unit's own")
        if self.power_cycle and shutil.which(self.power_cycle[0]) is None:
            raise ValueError(f"power_cycle: no such program: {self.power_cycle[0]!r}")

    @property
    def is_remote(self) -> bool:
        return self.probe.lower().startswith(REMOTE)


@dataclass(frozen=True)
class _Contents:
    unit: tuple[MappedUnit, ...] = ()


@dataclass(frozen=True)
class HardwareMap:
    """The units of the map in `path`, in its order; no two share name, probe or port."""

    path: Path
    units: tuple[MappedUnit, ...]

    def units_of(self, board: str) -> tuple[MappedUnit, ...]:
        """All units of `board`.

        Raises:
            UnknownBoardError: there is none.
        """
        found = tuple(unit for unit in self.units if unit.board == board)
        if not found:
            raise UnknownBoardError(
                f"there is no unit of {board}",
                where=self.path,
                got=", ".join(f"{unit.name} ({unit.board})" for unit in self.units) or "no unit",
                hint="`hilnas boards --discover` writes what is attached",
            )
        return found

    def unit_of(self, board: str, name: str | None) -> MappedUnit:
        """The unit of `board` that is called `name`; without, the only one.

        Raises:
            UnknownBoardError: there is none.
            UsageError: there is none of this name, or more than one to choose from.
        """
        units = self.units_of(board)
        names = ", ".join(unit.name for unit in units)
        if name is None:
            if len(units) > 1:
                raise UsageError(
                    f"there are {len(units)} units of {board}",
                    where=self.path,
                    got=names,
                    hint="choose one with --unit",
                )
            return units[0]
        for unit in units:
            if unit.name == name:
                return unit
        raise UsageError(
            f"no unit of {board} is called {name!r}",
            where=self.path,
            expected=names,
            hint="`hilnas boards` shows them",
        )

    def port_of(self, unit: MappedUnit, ports: Sequence[SerialPort] | None = None) -> str:
        """The serial port of `unit`. `ports`: what is attached, without it looked up.

        Raises:
            ConfigError: it cannot be told, or another unit of the map has it.
        """
        if unit.serial:
            return unit.serial
        where = f"{self.path}: unit {unit.name}"
        attached = attached_ports() if ports is None else ports
        port = find_port(unit.probe, unit.serial_interface, attached, where=where)
        for other in self.units:
            if other.serial and _real(other.serial) == _real(port):
                raise _shared(self.path, "serial port", port, other, unit)
        return port

    def access_to(self, unit: MappedUnit, board: Board) -> Access:
        """How pyOCD reaches `unit`.

        Raises:
            ConfigError: its pack is not there.
        """
        pack = self.path.parent / Path(unit.pack).expanduser() if unit.pack else None
        if pack is not None and not pack.is_file():
            raise ConfigError(
                "there is no such pack",
                where=f"{self.path}: unit {unit.name}: pack",
                got=pack,
                hint="correct the path",
            )
        return Access(
            board.pyocd.target,
            unit.probe,
            pack,
            unit.reset_type or board.pyocd.reset_type,
            unit.connect_mode or board.pyocd.connect_mode,
        )


def find_hardware_map(named: Path | None = None) -> Path | None:
    """`named`, or what HILNAS_HARDWARE_MAP names; else hardware_map.toml in the current folder or
    in ~/.config/hilnas (XDG base directories). None: there is no map."""
    chosen = named or os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen)
    return next((path for path in _usual_places() if path.is_file()), None)


def load_hardware_map(named: Path | None = None) -> HardwareMap:
    """The map that find_hardware_map() finds.

    Raises:
        ConfigError: there is none, it is no map, or two units share a name, a probe or a port.
    """
    path = find_hardware_map(named)
    if path is None:
        raise ConfigError(
            "there is no hardware map",
            expected=" or ".join(map(str, _usual_places())),
            hint="`hilnas boards --discover` writes one, --hardware-map names another",
        )
    units = load_toml(path, _Contents).unit
    _refuse_shared(path, "name", units, lambda unit: (unit.name,))
    _refuse_shared(path, "probe", units, lambda unit: (plain_probe(unit.probe),))
    _refuse_shared(path, "serial port", units, _ports_of)
    return HardwareMap(path, units)


def _usual_places() -> tuple[Path, Path]:
    base = os.environ.get("XDG_CONFIG_HOME")
    return Path(NAME), (Path(base) if base else Path.home() / ".config") / "hilnas" / NAME


def plain_probe(probe: str) -> str:
    """What two spellings of one probe's id have in common."""
    return plain_id(probe).replace("remote:localhost:", "remote:127.0.0.1:")


def _real(port: str) -> str:
    """/dev/serial/by-id holds links to ports."""
    return os.path.realpath(port) if port else ""


def _ports_of(unit: MappedUnit) -> tuple[str, ...]:
    meter = unit.energy.serial if unit.energy is not None else ""
    return _real(unit.serial), _real(meter)


def _refuse_shared(
    path: Path,
    what: str,
    units: Sequence[MappedUnit],
    keys: Callable[[MappedUnit], tuple[str, ...]],
) -> None:
    seen: dict[str, MappedUnit] = {}
    for unit in units:
        for value in filter(None, keys(unit)):
            if value in seen:
                raise _shared(path, what, value, seen[value], unit)
            seen[value] = unit


def _shared(
    path: Path, what: str, value: str, first: MappedUnit, second: MappedUnit
) -> ConfigError:
    return ConfigError(
        f"units {first.name} and {second.name} have the same {what}",
        where=path,
        got=value,
        hint="each unit has its own; correct one of them",
    )
