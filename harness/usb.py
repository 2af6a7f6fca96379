"""Which debug probes hang on this machine's USB? Read from sysfs: no probe is opened, be it
somebody else's or one that this user may not open."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys/bus/usb/devices")
NODES = Path("/dev/bus/usb")

_ST, _SEGGER = "0483", "1366"
# What pyOCD takes for an ST-LINK (pyocd/probe/stlink/usb.py).
_ST_LINKS = (
    *("3744", "3748", "374a", "374b", "374d", "374e", "374f"),
    *("3752", "3753", "3754", "3755", "3757"),
)


@dataclass(frozen=True)
class AttachedProbe:
    """unique_id: as pyOCD has it, "" where the probe has no serial number. node: what must be
    readable and writable to open it."""

    unique_id: str
    kind: str
    product: str
    node: Path

    @property
    def is_permitted(self) -> bool:
        return os.access(self.node, os.R_OK | os.W_OK)


def attached_probes(sysfs: Path = SYSFS) -> list[AttachedProbe]:
    """All ST-LINKs, J-Links and CMSIS-DAP probes, by unique id."""
    found = []
    for device in sysfs.glob("*"):
        kind = _kind_of(device)
        if kind is None:
            continue
        serial = _read(device / "serial")
        node = NODES / _read(device / "busnum").zfill(3) / _read(device / "devnum").zfill(3)
        found.append(
            AttachedProbe(_unique_id(kind, serial), kind, _read(device / "product"), node)
        )
    return sorted(found, key=lambda probe: (probe.unique_id, probe.node))


def _kind_of(device: Path) -> str | None:
    vendor, product = _read(device / "idVendor").lower(), _read(device / "idProduct").lower()
    if vendor == _ST and product in _ST_LINKS:
        return "ST-LINK"
    if vendor == _SEGGER:
        return "J-Link"
    names = [_read(device / "product"), *map(_read, device.glob("*/interface"))]
    return "CMSIS-DAP" if any("CMSIS-DAP" in name for name in names) else None


def _unique_id(kind: str, serial: str) -> str:
    if kind == "J-Link":
        return serial.lstrip("0")
    if kind == "ST-LINK" and len(serial) == 12:  # of old ones: bytes, not digits
        return serial.encode("utf-16-le")[::2].hex().upper()
    return serial


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip("\n")
    except OSError:
        return ""
