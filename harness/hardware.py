"""How is a unit on the desk opened? Leased, supplied by its energy meter where it has one, its
serial port opened before it is flashed, and every byte of the lines kept in files. Knows nothing
of models."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from harness.board import Board
from harness.energy import EnergyMeter
from harness.errors import ProbeError
from harness.hardware_map import METERS, HardwareMap, MappedUnit, load_hardware_map
from harness.lease import lease
from harness.ledger import Ledger, Quarantine
from harness.link import Link
from harness.probe import FLASH_SECONDS, Access, flash, pyocd_version, reset
from harness.session import Session
from harness.workspace import cache_dir

_CONNECT_S = 60.0  # and start pyOCD; a busy machine needs the most of it
_FLASH_BYTES = 1 << 21  # that FLASH_SECONDS are for
_LOGS_KEPT = 100  # of each unit


class HardwareUnit:
    """A board behind a serial port and a debug probe; see harness.session.Unit."""

    def __init__(self, board: Board, port: str, access: Access) -> None:
        self.port = port
        self._board = board
        self._access = access

    def load(self, elf: Path) -> None:
        from harness.virtual.loader import read_program

        segments = read_program(elf, [self._board.memory.flash]).segments
        size = sum(len(data) for _, data in segments)
        deadline_s = _CONNECT_S + FLASH_SECONDS * size / _FLASH_BYTES
        flash(segments, self._access, deadline_s=deadline_s)

    def reset(self) -> None:
        reset(self._access)

    def explain_silence(self) -> str | None:
        return None


@contextlib.contextmanager
def open_unit(
    board: Board, name: str | None = None, map_file: Path | None = None
) -> Iterator[Session]:
    """A session with the unit `name` of the hardware map; without, with the map's only one.

    Raises:
        UsageError: there is no map or no such unit, or more than one to choose from.
        UnitInUseError: another command has it.
        LinkError, ProbeError: its port cannot be opened; pyOCD is of a bad version.
        MeterError: its energy meter cannot be opened.
        JournalError: its ledger cannot be read.
    """
    desk = load_hardware_map(map_file)
    unit = desk.unit_of(board.name, name)
    quarantine = Ledger(unit).history().quarantine
    with (
        lease(unit.probe, unit=unit.name),
        open_leased(board, desk, unit, quarantine=quarantine) as session,
    ):
        yield session


@contextlib.contextmanager
def open_leased(
    board: Board, desk: HardwareMap, unit: MappedUnit, *, quarantine: Quarantine | None = None
) -> Iterator[Session]:
    """A session with `unit`, which the caller has leased. quarantine: of the unit, for its note.

    Raises:
        LinkError, ProbeError, ConfigError, MeterError: its port cannot be opened or told; pyOCD is
            of a bad version; its energy meter does not answer.
    """
    check_pyocd(board)
    access, port = desk.access_to(unit, board), desk.port_of(unit)
    note = (
        f"unit {unit.name} ({board.name}) at {port}, probe {unit.probe}, pyOCD {pyocd_version()}"
    )
    if quarantine is not None:
        note += f", {quarantine}"
    log = _new_log(unit.name, note)
    with _open_meter(unit) as meter, Link(port, board.console.baud, log=log) as link:
        yield Session(
            board,
            "hardware",
            HardwareUnit(board, port, access),
            link,
            timing="measured",
            timing_model="",
            note=f"{note}; the line is kept in {log}",
            meter=meter,
        )


@contextlib.contextmanager
def _open_meter(unit: MappedUnit) -> Iterator[EnergyMeter | None]:
    """None where `unit` has no meter. Without its meter's supply a unit cannot even be flashed."""
    if (mapped := unit.energy) is None:
        yield None
        return
    log = _new_log(f"{unit.name}.meter", f"{mapped.meter} of unit {unit.name} at {mapped.serial}")
    with METERS[mapped.meter](mapped.serial, mapped.volts, log) as meter:
        yield meter


def check_pyocd(board: Board) -> None:
    """Raises ProbeError where the pyOCD that is installed is known not to work with `board`."""
    version = pyocd_version()
    if version in board.pyocd.known_bad:
        raise ProbeError(
            f"pyOCD {version} is known not to work with {board.name}",
            hint=f"install another: pip install 'pyocd!={version}'",
        )


def _new_log(unit: str, note: str) -> Path:
    """A file for what crosses the line, headed by `note`; the unit's oldest ones go."""
    folder = cache_dir() / "lines"
    folder.mkdir(parents=True, exist_ok=True)
    kept = sorted(folder.glob(f"{unit}-[0-9]*.log"))
    for old in kept[: max(0, len(kept) - _LOGS_KEPT + 1)]:
        old.unlink(missing_ok=True)
    log = folder / f"{unit}-{datetime.now():%Y%m%d-%H%M%S-%f}.log"
    log.write_text(f"# {note}\n")
    return log
