"""What can be done to a unit from outside: whether it is there, and its power."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import reach as reach_module
from harness.board import load_board
from harness.errors import BoardError, UnitGoneError
from harness.hardware_map import HardwareMap, MappedUnit
from harness.reach import Reach
from harness.usb import AttachedProbe

PROBE = AttachedProbe("6AFF", "ST-LINK", "", Path(os.devnull))


@pytest.fixture(autouse=True)
def attached(monkeypatch: pytest.MonkeyPatch) -> list[AttachedProbe]:
    probes = [PROBE]
    monkeypatch.setattr(reach_module, "attached_probes", lambda: probes)
    monkeypatch.setattr(reach_module, "_RETURN_S", 0.3)
    return probes


@pytest.fixture
def port() -> Iterator[str]:
    ours, theirs = pty.openpty()
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def reach_of(unit: MappedUnit) -> Reach:
    return Reach(load_board(unit.board), HardwareMap(Path("map.toml"), (unit,)))


def unit(serial: str, *power_cycle: str) -> MappedUnit:
    return MappedUnit("left", "nucleo_f412zg", "6AFF", serial, power_cycle=power_cycle)


def test_a_unit_is_there_when_probe_and_port_are(port: str, attached: list[AttachedProbe]) -> None:
    left = unit(port)
    assert reach_of(left).missing(left) is None
    gone = unit("/dev/absent")
    assert reach_of(gone).missing(gone) == "there is no port /dev/absent"
    attached.clear()
    assert reach_of(left).missing(left) == "probe 6AFF is not attached; attached: none"


def test_a_unit_whose_port_cannot_be_found_is_not_there() -> None:
    left = unit("")
    said = reach_of(left).missing(left)
    assert said is not None and "unit left" in said and "no serial port of probe" in said


def test_new_power_is_waited_for_until_the_unit_is_back(port: str, tmp_path: Path) -> None:
    link = tmp_path / "port"
    left = unit(str(link), "ln", "-s", port, str(link))
    reach = reach_of(left)
    assert reach.missing(left) == f"there is no port {link}"
    reach.power_cycle(left)
    assert reach.missing(left) is None


def test_a_unit_that_does_not_come_back_is_gone() -> None:
    left = unit("/dev/absent", "true")
    with pytest.raises(UnitGoneError) as caught:
        reach_of(left).power_cycle(left)
    assert str(caught.value) == (
        "left: did not come back within 0.3 s of its power cycle: there is no port /dev/absent; "
        "check the cable and power"
    )


def test_a_power_cycle_that_fails_says_what_the_command_said(port: str) -> None:
    left = unit(port, "sh", "-c", "echo no such hub >&2; exit 3")
    with pytest.raises(BoardError) as caught:
        reach_of(left).power_cycle(left)
    assert str(caught.value) == (
        "left: power_cycle ended with exit status 3 (got no such hub); try the command by hand, "
        "correct the map"
    )


def test_a_power_cycle_that_hangs_is_killed(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach_module, "_POWER_CYCLE_S", 0.3)
    left = unit(port, "sleep", "600")
    with pytest.raises(BoardError, match=r"left: power_cycle did not end within 0\.3 s and was"):
        reach_of(left).power_cycle(left)
