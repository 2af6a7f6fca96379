"""Which serial ports are attached by USB, and which of them are a debug probe's? Looks at what the
system lists; opens none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serial.tools import list_ports

from harness.errors import ConfigError


@dataclass(frozen=True)
class SerialPort:
    """`serial_number` of the USB device behind it; `interface`: its number within that device,
    None where the device has only this one."""

    device: str
    serial_number: str
    interface: int | None = None


def attached_ports() -> list[SerialPort]:
    """All whose USB device has a serial number, by name."""
    ports = [
        SerialPort(port.device, port.serial_number, _interface_of(port.location or ""))
        for port in list_ports.comports()
        if port.serial_number
    ]
    return sorted(ports, key=lambda port: port.device)


def _interface_of(location: str) -> int | None:
    """Of "1-1.2:1.0", which is bus-port:configuration.interface."""
    number = location.partition(":")[2].rpartition(".")[2]
    return int(number) if number.isdecimal() else None


def plain_id(serial_number: str) -> str:
    """What two spellings of one serial number have in common: J-Links write theirs on USB with
    leading zeros, and pyOCD compares without case."""
    return serial_number.lower().lstrip("0")


def ports_of(probe: str, ports: Sequence[SerialPort]) -> list[SerialPort]:
    """Those of the probe with the unique id `probe`."""
    return [port for port in ports if plain_id(port.serial_number) == plain_id(probe)]


def find_port(
    probe: str, interface: int | None, ports: Sequence[SerialPort], *, where: object
) -> str:
    """The one port of `probe`, on its USB interface `interface` where it has several. `where`
    names who asks.

    Raises:
        ConfigError: there is none, or more than one.
    """
    own = ports_of(probe, ports)
    found = [port.device for port in own if interface in (None, port.interface)]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(
        port.device + ("" if port.interface is None else f" (interface {port.interface})")
        for port in own
    )
    if found:
        raise ConfigError(
            f"probe {probe} has {len(found)} serial ports",
            where=where,
            got=shown,
            hint="name one with serial_interface or serial",
        )
    raise ConfigError(
        f"no serial port of probe {probe} is attached"
        + ("" if interface is None else f" at USB interface {interface}"),
        where=where,
        got=shown or "no port with the probe's USB serial number",
        hint="check the cable, or name the port with serial",
    )
