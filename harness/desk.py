"""Are the units on this desk ready, and what is the fix for those that are not? Opens none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from harness.board import board_names, load_board
from harness.doctor import Check
from harness.errors import HilnasError
from harness.hardware_map import HardwareMap, MappedUnit, find_hardware_map, load_hardware_map
from harness.lease import holder_of
from harness.ledger import Ledger
from harness.probe import pyocd_version
from harness.reach import missing_probe
from harness.serial_ports import SerialPort, attached_ports
from harness.usb import AttachedProbe, attached_probes

_UDEV = (
    "copy pyOCD's udev rules (folder udev of github.com/pyocd/pyOCD) to /etc/udev/rules.d, then "
    "sudo udevadm control --reload && sudo udevadm trigger"
)
_DIALOUT = "sudo usermod -aG dialout $USER, then log in anew"


def examine_desk() -> list[Check]:
    """pyOCD's version, the attached probes, and each unit of the hardware map."""
    probes, ports = attached_probes(), attached_ports()
    return [
        *_bad_versions(),
        *(_probe(probe) for probe in probes),
        *_units(probes, ports),
    ]


def _bad_versions() -> list[Check]:
    try:
        version = pyocd_version()
        boards = [load_board(name) for name in board_names()]
    except HilnasError:  # which other checks say
        return []
    return [
        Check(
            f"pyocd for {board.name}",
            False,
            False,
            f"{version} is known not to work with it",
            f"pip install 'pyocd!={version}'",
        )
        for board in boards
        if version in board.pyocd.known_bad
    ]


def _probe(probe: AttachedProbe) -> Check:
    name = f"probe {probe.unique_id or probe.node}"
    found = f"{probe.kind}, {probe.product}" if probe.product else probe.kind
    if probe.is_permitted:
        return Check(name, True, False, found, "")
    return Check(name, False, False, f"{found}: {probe.node} may not be opened", _UDEV)


def _units(probes: Sequence[AttachedProbe], ports: Sequence[SerialPort]) -> list[Check]:
    name = "hardware map"
    if find_hardware_map() is None:
        fix = "`hilnas boards --discover` writes one" if probes else ""
        return [Check(name, not probes, False, "none; only --via virtual goes without", fix)]
    try:
        desk = load_hardware_map()
    except HilnasError as error:
        return [_refused(name, error, required=True)]
    shown = Check(name, True, False, f"{desk.path}, {len(desk.units)} units", "")
    return [shown, *(_unit(desk, unit, probes, ports) for unit in desk.units)]


def _unit(
    desk: HardwareMap,
    unit: MappedUnit,
    probes: Sequence[AttachedProbe],
    ports: Sequence[SerialPort],
) -> Check:
    name = f"unit {unit.name}"
    try:
        quarantine = Ledger(unit).history().quarantine
    except HilnasError as error:
        return _refused(name, error, required=False)
    if quarantine is not None:
        fix = f"mend it, then hilnas boards --release {unit.name}"
        return Check(name, False, False, str(quarantine), fix)
    if (holder := holder_of(unit.probe)) is not None:
        return Check(name, True, False, f"{unit.board}, in use by {holder}", "")
    missing = missing_probe(unit, probes)
    if missing is not None:
        return Check(name, False, False, *missing)
    try:
        desk.access_to(unit, load_board(unit.board))
        port = desk.port_of(unit, ports)
    except HilnasError as error:
        return _refused(name, error, required=False)
    for line in (port, *([unit.energy.serial] if unit.energy else [])):
        if not Path(line).exists():
            fix = "check the cable, correct serial in the map"
            return Check(name, False, False, f"there is no port {line}", fix)
        if not os.access(line, os.R_OK | os.W_OK):
            return Check(name, False, False, f"{line} may not be opened", _DIALOUT)
    return Check(name, True, False, f"{unit.board} at {port}, free", "")


def _refused(name: str, error: HilnasError, *, required: bool) -> Check:
    fix = error.hint or "correct the map"
    return Check(name, False, required, str(error).removesuffix(f"; {error.hint}"), fix)
