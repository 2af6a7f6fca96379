"""The doctor's look at the desk: each fault with its fix, nothing opened."""

from __future__ import annotations

import dataclasses
import getpass
import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import desk, doctor
from harness import lease as lease_module
from harness.board import load_board
from harness.doctor import Check
from harness.hardware_map import load_hardware_map
from harness.lease import lease
from harness.ledger import Ledger
from harness.probe import pyocd_version
from harness.serial_ports import SerialPort
from harness.usb import AttachedProbe
from harness.virtual import VirtualBoard

PROBE = "066AFF495087534867104632"
UNIT = f'[[unit]]\nname = "left"\nboard = "nucleo_f412zg"\nprobe = "{PROBE}"\n'


@pytest.fixture(autouse=True)
def attached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[AttachedProbe]:
    """What hangs on USB: nothing at first. The map is to lie in tmp_path."""
    probes: list[AttachedProbe] = []
    monkeypatch.setattr(desk, "attached_probes", lambda: probes)
    monkeypatch.setattr(desk, "attached_ports", lambda: [])
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("HILNAS_HARDWARE_MAP", raising=False)
    monkeypatch.setattr(lease_module, "FOLDERS", (tmp_path,))
    monkeypatch.chdir(tmp_path)
    return probes


@pytest.fixture
def port() -> Iterator[str]:
    ours, theirs = pty.openpty()
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def look(name: str, text: str | None = None) -> Check:
    """The one check of this name; `text` is the map."""
    if text is not None:
        Path("hardware_map.toml").write_text(text)
    (check,) = [check for check in desk.examine_desk() if check.name == name]
    return check


def attach(probes: list[AttachedProbe], node: Path = Path(os.devnull)) -> None:
    probes.append(AttachedProbe(PROBE, "ST-LINK", "STM32 STLink", node))


def test_an_empty_desk_is_no_fault() -> None:
    check = look("hardware map")
    assert (check.ok, check.found) == (True, "none; only --via virtual goes without")


def test_a_probe_without_a_map_wants_one(attached: list[AttachedProbe]) -> None:
    attach(attached)
    assert look("hardware map").fix == "`hilnas boards --discover` writes one"
    assert look(f"probe {PROBE}") == Check(
        f"probe {PROBE}", True, False, "ST-LINK, STM32 STLink", ""
    )


def test_a_probe_that_may_not_be_opened_wants_udev_rules(
    attached: list[AttachedProbe], tmp_path: Path
) -> None:
    attach(attached, tmp_path / "absent")
    check = look(f"probe {PROBE}")
    assert not check.ok and check.found.endswith("absent may not be opened")
    assert "/etc/udev/rules.d" in check.fix and "udevadm trigger" in check.fix


def test_two_entries_for_one_probe_fail_the_doctor() -> None:
    check = look("hardware map", UNIT + UNIT.replace("left", "right"))
    assert (check.ok, check.required) == (False, True)
    assert "units left and right have the same probe" in check.found
    assert check.fix == "each unit has its own; correct one of them"


def test_a_unit_that_is_ready_is_free(attached: list[AttachedProbe], port: str) -> None:
    attach(attached)
    check = look("unit left", UNIT + f'serial = "{port}"')
    assert check == Check("unit left", True, False, f"nucleo_f412zg at {port}, free", "")


def test_a_meter_that_is_not_there_is_missed(attached: list[AttachedProbe], port: str) -> None:
    attach(attached)
    meter = 'energy = { meter = "lpm01a", serial = "/dev/absent", volts = 3.3 }'
    check = look("unit left", UNIT + f'serial = "{port}"\n{meter}\n')
    assert not check.ok and check.found == "there is no port /dev/absent"


def test_a_unit_that_is_in_use_names_its_user(port: str) -> None:
    with lease(PROBE, unit="left"):
        check = look("unit left", UNIT + f'serial = "{port}"')
    assert check.ok and f"nucleo_f412zg, in use by {getpass.getuser()}" in check.found


def test_a_unit_that_is_quarantined_says_why_since_when_and_what_ends_it() -> None:
    Path("hardware_map.toml").write_text(UNIT)
    ledger = Ledger(load_hardware_map().units[0])
    ledger.append("quarantined", why="its control run failed")
    quarantine = ledger.history().quarantine
    assert quarantine is not None
    check = look("unit left")
    assert not check.ok and not check.required
    assert check.found == f"quarantined since {quarantine.since}: its control run failed"
    assert check.fix == "mend it, then hilnas boards --release left"
    with ledger.path.open("a") as file:
        file.write("{}\n")
    check = look("unit left")
    assert not check.ok and "left.jsonl:2: is no event of a unit" in check.found


def test_a_unit_whose_probe_is_gone_says_what_is_there(attached: list[AttachedProbe]) -> None:
    attached.append(AttachedProbe("77", "J-Link", "", Path(os.devnull)))
    check = look("unit left", UNIT)
    assert check.found == f"probe {PROBE} is not attached; attached: 77"
    assert check.fix == "check the cable and power, correct probe in the map"


@pytest.mark.parametrize(
    ("serial", "found", "fix"),
    [
        ("", "no serial port of probe", "check the cable, or name the port with serial"),
        ('serial = "/dev/absent"', "there is no port /dev/absent", "check the cable, correct"),
        ('serial = "locked"', "locked may not be opened", "sudo usermod -aG dialout $USER"),
        ('serial = "x"\npack = "absent.pack"', "there is no such pack", "correct the path"),
    ],
)
def test_a_unit_whose_line_is_not_there_says_so(
    attached: list[AttachedProbe],
    monkeypatch: pytest.MonkeyPatch,
    serial: str,
    found: str,
    fix: str,
) -> None:
    attach(attached)
    Path("locked").touch()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, how: path != "locked" and access(path, how))
    check = look("unit left", UNIT + serial)
    assert not check.ok and found in check.found and check.fix.startswith(fix)


def test_the_port_is_found_by_the_probe(
    attached: list[AttachedProbe], monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    attach(attached)
    monkeypatch.setattr(desk, "attached_ports", lambda: [SerialPort(port, PROBE)])
    assert look("unit left", UNIT).found == f"nucleo_f412zg at {port}, free"


def test_a_remote_probe_is_there_when_its_server_is() -> None:
    with VirtualBoard(load_board("nucleo_f412zg")) as board:
        unit = UNIT.replace(PROBE, board.debug_port()) + f'serial = "{board.port}"'
        assert look("unit left", unit).ok
        probe = board.debug_port()
    check = look("unit left")
    assert check.found == f"{probe} does not answer: Connection refused"
    assert check.fix == "start the probe's server"


def test_a_bad_pyocd_is_told_for_each_board_it_is_bad_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> object:
        board = load_board(name)
        bad = (pyocd_version(),) if name == "nrf52840dk" else ()
        return dataclasses.replace(board, pyocd=dataclasses.replace(board.pyocd, known_bad=bad))

    monkeypatch.setattr(desk, "load_board", load)
    check = look("pyocd for nrf52840dk")
    assert not check.ok and check.fix == f"pip install 'pyocd!={pyocd_version()}'"


def test_the_doctor_looks_at_the_desk() -> None:
    assert "hardware map" in [check.name for check in doctor.examine()]
