"""Attached probes: found without opening one, drafted into a map that says what it lacks."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from harness import pool, units, usb
from harness.discovery import discover, draft
from harness.errors import ConfigError
from harness.hardware_map import load_hardware_map
from harness.ledger import Ledger
from harness.serial_ports import SerialPort
from harness.usb import attached_probes
from tests.commands import call
from tests.harness.sysfs import ST_LINK, plug_in, plug_in_desk
from tests.units_double import Desk

ST_LINK_ID, J_LINK_ID = ST_LINK[2], "683123456"
PORTS = [
    SerialPort("/dev/ttyACM0", ST_LINK_ID),
    SerialPort("/dev/ttyACM1", "000683123456", 0),
    SerialPort("/dev/ttyACM2", "000683123456", 2),
]


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    plug_in_desk(tmp_path / "sys")
    return tmp_path / "sys"


def test_probes_are_told_from_other_devices_and_named_as_pyocd_names_them(sysfs: Path) -> None:
    dap = ("2e8a", "000c", "E6614103", "Debug Probe")
    plug_in(sysfs, "2-1", *dap, interface="CMSIS-DAP v2 Interface")
    found = attached_probes(sysfs)
    assert [(probe.unique_id, probe.kind) for probe in found] == [
        (ST_LINK_ID, "ST-LINK"),
        (J_LINK_ID, "J-Link"),
        ("E6614103", "CMSIS-DAP"),
    ]
    assert found[0].node == Path("/dev/bus/usb/001/002")


def test_the_serial_number_of_an_old_st_link_is_bytes(sysfs: Path) -> None:
    plug_in(sysfs, "1-5", "0483", "3748", "Q\x01\u00ffjIPRcH\x14E7", "STM32 STLink")
    assert "5101FF6A495052634814 4537".replace(" ", "") in [
        probe.unique_id for probe in attached_probes(sysfs)
    ]


def test_a_draft_names_what_it_could_not_tell(sysfs: Path) -> None:
    plug_in(sysfs, "1-6", "0d28", "0204", "", "DAPLink CMSIS-DAP")
    plug_in(sysfs, "1-7", "1366", "0101", "77", "J-Link")
    text, missing = draft(discover(attached_probes(sysfs), PORTS, {}))
    assert missing == [
        "CMSIS-DAP at /dev/bus/usb/001/006 has no serial number to name it by",
        "unit2: which board it is",
        "unit3: which board it is",
        "unit3: which of its 2 serial ports is wired",
        "unit4: which board it is",
        "unit4: its serial port",
    ]
    drafted = tomllib.loads(text)["unit"]
    assert [unit["probe"] for unit in drafted] == [ST_LINK_ID, J_LINK_ID, "77"]
    assert "# serial: /dev/ttyACM0, found by the probe's serial number" in text
    assert "one of 0 (/dev/ttyACM1), 2 (/dev/ttyACM2)" in text


def test_a_draft_is_no_map_before_it_is_filled_in(sysfs: Path, tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    text, _ = draft(discover(attached_probes(sysfs), PORTS, {J_LINK_ID: "dk"}))
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"unit\[0\]: board must be one of"):
        load_hardware_map(path)
    path.write_text(text.replace('board = ""', 'board = "nucleo_f446re"'))
    (unit,) = load_hardware_map(path).units
    assert (unit.name, unit.probe) == ("unit1", ST_LINK_ID)
    assert load_hardware_map(path).port_of(unit, PORTS) == "/dev/ttyACM0"


class TestCommand:
    @pytest.fixture
    def ask(self, sysfs, monkeypatch, capsys, tmp_path):
        monkeypatch.setattr(units, "attached_probes", lambda: attached_probes(sysfs))
        monkeypatch.setattr(units, "attached_ports", lambda: PORTS)
        monkeypatch.delenv("HILNAS_HARDWARE_MAP", raising=False)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        return lambda *words: call(monkeypatch, capsys, "boards", *words)

    def test_a_draft_is_written_once(self, ask, tmp_path):
        answer = ask("--discover")
        assert answer.code == 0, answer.err
        assert "hardware_map.toml is a draft; to be filled in:" in answer.err
        assert "- unit2: which board it is" in answer.err and "/dev/ttyACM1" in answer.out
        file = tmp_path / "hardware_map.toml"
        text = file.read_text().replace('board = ""', 'board = "nrf52840dk"')
        file.write_text(
            text.replace("# serial_interface =", "serial_interface = 2").replace(
                "# not known", "#"
            )
        )
        answer = ask("--discover", "--out", "new.toml", "--json", "-")
        assert "all of them are units of the hardware map" in answer.err
        assert [probe["unit"] for probe in json.loads(answer.out)] == ["unit1", "unit2"]
        assert not (tmp_path / "new.toml").exists()

    def test_what_is_there_is_not_overwritten(self, ask, tmp_path):
        (tmp_path / "mine.toml").write_text("mine")
        answer = ask("--discover", "--out", "mine.toml")
        assert answer.code == 2
        assert answer.err.strip() == (
            "hilnas: mine.toml: is there already, and is not overwritten; "
            "name another file with --out"
        )
        assert (tmp_path / "mine.toml").read_text() == "mine"

    def test_without_a_probe_there_is_nothing_to_draft(self, ask, monkeypatch, tmp_path):
        monkeypatch.setattr(units, "attached_probes", lambda: attached_probes(tmp_path / "none"))
        answer = ask("--discover")
        assert (answer.code, "no debug probe is attached" in answer.err) == (1, True)
        assert not (tmp_path / "hardware_map.toml").exists()

    def test_boards_shows_the_units_of_the_map(self, ask, tmp_path):
        path = tmp_path / "map.toml"
        path.write_text(
            '[[unit]]\nname = "left"\nboard = "nucleo_f412zg"\nprobe = "AB"\nserial = "/dev/x"\n'
        )
        answer = ask("--hardware-map", path, "--json", tmp_path / "b.json")
        assert answer.code == 0, answer.err
        for part in (f"by {path}", "left", "AB", "/dev/x", "free"):
            assert part in answer.out
        listed = {b["name"]: b["units"] for b in json.loads((tmp_path / "b.json").read_text())}
        assert listed["nucleo_f412zg"] == ["left"] and listed["nrf52840dk"] == []

    def test_a_quarantine_is_shown_and_ended_by_a_good_control_run(
        self, ask, tmp_path, monkeypatch
    ):
        desk = Desk(tmp_path, "left")
        ledger = Ledger(desk.pool().units[0])
        ledger.append("quarantined", why="its control run failed")
        assert "quarantined" in ask("--hardware-map", desk.path).out
        monkeypatch.setattr(pool, "Pool", lambda board, **options: desk.pool(options["run"]))
        answer = ask("--hardware-map", desk.path, "--release", "left")
        assert answer.code == 0, answer.err
        assert answer.out.strip() == (
            "unit left: a good control run, 100,000 cycles, its first; it may be used"
        )
        assert ledger.history().quarantine is None
        assert "drift +0.0 ppm" in ask("--hardware-map", desk.path, "--release", "left").out

    def test_a_unit_that_is_not_in_the_map_is_not_released(self, ask, tmp_path):
        answer = ask("--release", "left")
        assert (answer.code, "expected a hardware map" in answer.err) == (2, True)
        answer = ask("--hardware-map", Desk(tmp_path, "right").path, "--release", "left")
        assert answer.code == 2
        assert "no unit is called 'left' (expected right); `hilnas boards` shows" in answer.err


def test_this_machines_devices_can_be_read() -> None:
    for probe in attached_probes():
        assert probe.kind and probe.node.is_relative_to(usb.NODES)
