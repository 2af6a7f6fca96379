"""What would a hardware map of the attached probes look like? A first draft, which says what it
could not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.board import board_names
from harness.serial_ports import SerialPort, plain_id, ports_of
from harness.usb import AttachedProbe


@dataclass(frozen=True)
class Found:
    """An attached probe with its serial ports. unit: its name in the hardware map, "" if none."""

    probe: AttachedProbe
    ports: tuple[SerialPort, ...]
    unit: str = ""


def discover(
    probes: Sequence[AttachedProbe], ports: Sequence[SerialPort], units: dict[str, str]
) -> list[Found]:
    """`units`: the names of the map's units, by probe."""
    names = {plain_id(probe): name for probe, name in units.items()}
    return [
        Found(
            probe,
            tuple(ports_of(probe.unique_id, ports)) if probe.unique_id else (),
            names.get(plain_id(probe.unique_id), "") if probe.unique_id else "",
        )
        for probe in probes
    ]


def draft(found: Sequence[Found]) -> tuple[str, list[str]]:
    """Entries of a hardware map for those that are in none, and what is left to fill in."""
    text, missing = "", []
    for number, one in enumerate((one for one in found if not one.unit), start=1):
        name, probe = f"unit{number}", one.probe
        if not probe.unique_id:
            missing.append(f"{probe.kind} at {probe.node} has no serial number to name it by")
            text += f"# {missing[-1]}.\n\n"
            continue
        text += "[[unit]]\n"
        text += f'name = "{name}"\n'
        text += f'board = ""  # not known; one of {", ".join(board_names())}\n'
        text += f'probe = "{probe.unique_id}"  # {probe.product or probe.kind}\n'
        missing.append(f"{name}: which board it is")
        if len(one.ports) == 1:
            text += f"# serial: {one.ports[0].device}, found by the probe's serial number\n"
        elif one.ports:
            choices = ", ".join(f"{port.interface} ({port.device})" for port in one.ports)
            text += f"# serial_interface =  # not known; one of {choices}\n"
            missing.append(f"{name}: which of its {len(one.ports)} serial ports is wired")
        else:
            text += '# serial = ""  # not known; the probe has no serial port\n'
            missing.append(f"{name}: its serial port")
        text += "\n"
    return text, missing
