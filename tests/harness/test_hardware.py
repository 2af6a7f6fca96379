"""Units on the desk. A virtual board that offers its debug port and a pty stands for each: from
the hardware map to the last byte, what runs is what would drive silicon."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness import energy, hardware, lpm01a
from harness.board import load_board
from harness.errors import (
    LinkError,
    MeterError,
    ProbeError,
    UnitInUseError,
    UnknownBoardError,
    UsageError,
    WrongImageError,
)
from harness.hardware import HardwareUnit
from harness.hardware_map import load_hardware_map
from harness.image import Image, build_image
from harness.lease import holder_of, lease
from harness.ledger import Ledger
from harness.measurement import load_measurement
from harness.probe import pyocd_version
from harness.session import open_session
from harness.virtual import VirtualBoard
from tests.board_case import make_input, output_for
from tests.commands import call
from tests.firmware import ENGINE_DIR, model_sources
from tests.played_meter import PlayedMeter
from tests.tflite_factory import small_network

BOARD = load_board("nucleo_f412zg")


@dataclasses.dataclass(frozen=True)
class Desk:
    """Two units in the map `path`."""

    path: Path
    probes: tuple[str, str]
    boards: tuple[VirtualBoard, VirtualBoard]

    def write(self, names: tuple[str, ...], more: str = "") -> Path:
        text = ""
        for name, probe, board in zip(names, self.probes, self.boards, strict=False):
            text += f'[[unit]]\nname = "{name}"\nboard = "{BOARD.name}"\nprobe = "{probe}"\n'
            text += f'serial = "{board.port}"\n{more}\n'
        self.path.write_text(text)
        return self.path


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    path = tmp_path_factory.mktemp("desk") / "map.toml"
    with VirtualBoard(BOARD) as left, VirtualBoard(BOARD) as right:
        yield Desk(path, (left.debug_port(), right.debug_port()), (left, right))


@pytest.fixture(scope="module")
def image() -> Image:
    return build_image(model_sources(), BOARD, engine_dir=ENGINE_DIR)


def run_once(session: Any) -> None:
    session.prepare(0xA5)
    data = make_input(stack_words=5)
    session.write_input(0, data)
    assert session.run().cycles > 0
    assert session.read_output(0) == output_for(data)


@pytest.mark.parametrize("more", ["", 'reset_type = "hardware"\nconnect_mode = "under-reset"'])
def test_a_unit_is_flashed_run_and_reset_through_its_probe(
    desk: Desk, image: Image, more: str
) -> None:
    path = desk.write(("left",), more)
    with open_session(BOARD, "hardware", hardware_map=path) as session:
        assert isinstance(session.unit, HardwareUnit)
        session.flash(image)
        run_once(session)
        session.restart()
        run_once(session)
        assert (session.via, session.timing, session.timing_model) == ("hardware", "measured", "")
        assert holder_of(desk.probes[0]) is not None
    assert holder_of(desk.probes[0]) is None


def test_the_whole_line_is_kept_in_a_file_that_says_how_it_came(desk: Desk, image: Image) -> None:
    with open_session(BOARD, "hardware", hardware_map=desk.write(("left",))) as session:
        session.flash(image)
        transcript, note = str(session.link.transcript), session.note
    found = re.fullmatch(r"(unit left .*); the line is kept in (.*)", note)
    assert found is not None and f"pyOCD {pyocd_version()}" in found[1]
    assert Path(found[2]).read_text() == f"# {found[1]}\n{transcript}\n"


def test_who_measures_on_a_quarantined_unit_is_told(desk: Desk) -> None:
    path = desk.write(("left",))
    ledger = Ledger(load_hardware_map(path).units[0])
    ledger.append("quarantined", why="its control run failed")
    try:
        with open_session(BOARD, "hardware", hardware_map=path) as session:
            assert "quarantined since" in session.note
            assert ": its control run failed; the line is kept in" in session.note
    finally:
        ledger.append("released")
    with open_session(BOARD, "hardware", hardware_map=path) as session:
        assert "quarantined" not in session.note


def test_of_the_files_of_a_unit_the_oldest_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HILNAS_CACHE", str(tmp_path))
    monkeypatch.setattr(hardware, "_LOGS_KEPT", 2)
    others = hardware._new_log("left-hand", "another unit's")
    logs = [hardware._new_log("left", "this one's") for _ in range(3)]
    assert sorted((tmp_path / "lines").iterdir()) == sorted([others, *logs[1:]])


def test_the_greeting_of_another_build_is_refused(desk: Desk, image: Image) -> None:
    other = dataclasses.replace(image, nonce=bytes(16))
    with (
        open_session(BOARD, "hardware", hardware_map=desk.write(("left",))) as session,
        pytest.raises(WrongImageError, match="its build nonce differs"),
    ):
        session.flash(other)


def test_a_unit_that_is_in_use_is_not_touched(desk: Desk) -> None:
    path = desk.write(("left",))
    opened = open_session(BOARD, "hardware", hardware_map=path)
    with lease(desk.probes[0], unit="left"), pytest.raises(UnitInUseError, match="left: the unit"):
        opened.__enter__()


def test_several_units_want_to_be_told_apart(desk: Desk, image: Image) -> None:
    path = desk.write(("left", "right"))
    with (
        pytest.raises(UsageError, match=r"got left, right\); choose one with --unit"),
        open_session(BOARD, "hardware", hardware_map=path),
    ):
        pass
    with open_session(BOARD, "hardware", unit="right", hardware_map=path) as session:
        assert session.link.port == desk.boards[1].port


def test_a_failed_opening_lets_go_of_the_unit(desk: Desk) -> None:
    path = desk.write(("left",))
    path.write_text(path.read_text().replace(desk.boards[0].port, "/dev/absent"))
    with pytest.raises(LinkError, match="/dev/absent: serial port cannot be opened"):
        open_session(BOARD, "hardware", hardware_map=path).__enter__()
    assert holder_of(desk.probes[0]) is None


def test_a_pyocd_that_is_known_to_be_bad_is_refused(desk: Desk) -> None:
    pyocd = dataclasses.replace(BOARD.pyocd, known_bad=("0.1", pyocd_version()))
    board = dataclasses.replace(BOARD, pyocd=pyocd)
    with pytest.raises(ProbeError) as caught:
        open_session(board, "hardware", hardware_map=desk.write(("left",))).__enter__()
    assert str(caught.value) == (
        f"pyOCD {pyocd_version()} is known not to work with nucleo_f412zg; "
        f"install another: pip install 'pyocd!={pyocd_version()}'"
    )


def test_only_boards_on_the_desk_have_units() -> None:
    with pytest.raises(
        UsageError, match=r"expected --via hardware, got --via virtual --unit left"
    ):
        open_session(BOARD, "virtual", unit="left")


def test_a_board_without_a_unit_is_refused(desk: Desk) -> None:
    with pytest.raises(UnknownBoardError, match="there is no unit of nrf52840dk"):
        open_session(
            load_board("nrf52840dk"), "hardware", hardware_map=desk.write(("left",))
        ).__enter__()


# ---- the commands ----


def test_hilnas_measure_reaches_a_unit_of_the_map(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    model, file = tmp_path / "small.tflite", tmp_path / "m.json"
    model.write_bytes(small_network())
    words = ("measure", model, "--board", BOARD.name, "--via", "hardware", "--repeats", 1)
    path = desk.write(("left", "right"))
    answer = call(monkeypatch, capsys, *words, "--hardware-map", path)
    assert (answer.code, "choose one with --unit" in answer.err) == (2, True)
    monkeypatch.setenv("HILNAS_HARDWARE_MAP", str(path))
    answer = call(monkeypatch, capsys, *words, "--unit", "right", "--json", file)
    assert answer.code == 0, answer.err
    assert f"unit right (nucleo_f412zg) at {desk.boards[1].port}" in answer.err
    measurement = load_measurement(file)
    assert (measurement.via, measurement.timing) == ("hardware", "measured")
    assert measurement.output.bit_exact
    assert measurement.conditions is not None  # the twin's, here
    assert measurement.conditions.temperature_c == pytest.approx(25, abs=0.4)
    assert measurement.conditions.vdd_v == pytest.approx(3.3, abs=0.003)
    assert f"{measurement.conditions}" in answer.out


@pytest.fixture
def as_slow_as_silicon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The meter's clock is the host's, and a virtual board may be quicker than its own."""
    burst = energy._burst

    def infer_in_time(infer: Callable[[], float]) -> float:
        started = time.monotonic()
        seconds = infer()
        time.sleep(max(0.0, started + seconds - time.monotonic()))
        return seconds

    monkeypatch.setattr(
        energy, "_burst", lambda meter, infer: burst(meter, partial(infer_in_time, infer))
    )


@pytest.mark.usefixtures("as_slow_as_silicon")
def test_a_unit_with_a_meter_is_supplied_by_it_and_its_energy_measured(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """The board is virtual and draws nothing: the meter plays 0.066 W at any time, so that an
    inference must cost 0.066 W times its latency, whatever the burst held beside it."""
    monkeypatch.setattr(lpm01a, "_SETTLE_S", 0.0)
    monkeypatch.setenv("HILNAS_CACHE", str(tmp_path / "cache"))
    model, file = tmp_path / "small.tflite", tmp_path / "m.json"
    model.write_bytes(small_network())
    words = ("measure", model, "--board", BOARD.name, "--via", "hardware", "--repeats", 1)
    with PlayedMeter(lambda: 0.066) as played:
        mapped = f'energy = {{ meter = "lpm01a", serial = "{played.port}", volts = 3.3 }}'
        words = (*words, "--hardware-map", desk.write(("left",), mapped), "--json", file)
        answer = call(monkeypatch, capsys, *words)
    assert answer.code == 0, answer.err
    assert played.commands.index("pwr on") < played.commands.index("start")
    assert played.commands[-1] == "hrc" and played.commands.count("start") == 5
    measurement = load_measurement(file)
    found = measurement.energy
    assert found is not None and len(found.raw_uj) == len(found.bursts) == 3
    assert found.uj == pytest.approx(0.066 * measurement.latency_us.median, rel=0.02)
    assert found.idle_uw == pytest.approx(66_000, rel=1e-3)
    assert found.label.startswith("lpm01a 540619864-1110659081-4784204, firmware 1.0.6, 3.3 V")
    assert "energy" in answer.out and f"{found.uj:,.4g} uJ" in answer.out
    (log,) = (tmp_path / "cache" / "lines").glob("left.meter-*.log")
    assert log.read_text().startswith(f"# lpm01a of unit left at {played.port}\n")


def test_a_unit_whose_meter_is_not_there_is_not_opened(desk: Desk) -> None:
    path = desk.write(("left",), 'energy = { meter = "lpm01a", serial = "/dev/no", volts = 3.3 }')
    with pytest.raises(MeterError, match="/dev/no: the energy meter's port cannot be opened"):
        open_session(BOARD, "hardware", hardware_map=path).__enter__()
    assert holder_of(desk.probes[0]) is None


def test_hilnas_flash_takes_the_unit_from_the_map(
    desk: Desk,
    image: Image,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = desk.write(("left",))
    words = ("flash", image.elf, "--board", BOARD.name, "--via", "hardware")
    answer = call(monkeypatch, capsys, *words, "--hardware-map", path, "--json", "-")
    assert answer.code == 0, answer.err
    facts = json.loads(answer.out)
    assert (facts["probe"], facts["pyocd"]) == (desk.probes[0], pyocd_version())
    with lease(desk.probes[0], unit="left"):
        answer = call(monkeypatch, capsys, *words, "--probe", desk.probes[0])
    assert (answer.code, "the unit is in use by" in answer.err) == (1, True)
