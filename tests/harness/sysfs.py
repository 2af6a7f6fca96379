"""A made-up /sys/bus/usb/devices."""

from __future__ import annotations

from pathlib import Path


def plug_in(
    sysfs: Path, place: str, vendor: str, product: str, serial: str, name: str, interface: str = ""
) -> None:
    """A device at `place` ("1-2"), with one interface of its own name."""
    device = sysfs / place
    (device / f"{place}:1.0").mkdir(parents=True)
    facts = {"idVendor": vendor, "idProduct": product, "product": name}
    facts |= {"serial": serial} if serial else {}
    facts |= {"busnum": place[0], "devnum": place[-1]}
    for key, value in facts.items():
        (device / key).write_text(value + "\n")
    (device / f"{place}:1.0" / "interface").write_text(interface + "\n")


ST_LINK = ("0483", "374b", "066AFF495087534867104632", "STM32 STLink")
J_LINK = ("1366", "1051", "000683123456", "J-Link")


def plug_in_desk(sysfs: Path) -> None:
    """Two probes, and what is none."""
    plug_in(sysfs, "1-2", *ST_LINK)
    plug_in(sysfs, "1-3", *J_LINK)
    plug_in(sysfs, "1-4", "0483", "5740", "1234", "Virtual COM Port")
    (sysfs / "usb1").mkdir()
