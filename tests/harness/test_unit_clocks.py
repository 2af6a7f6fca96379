"""The clocks of the units on the desk: a virtual board that offers its debug port and a pty stands
for a unit. Its time is its own, so that its own counter plays the host's clock, right or not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import clock_deviation, doctor, unit_clocks
from harness.board import load_board
from harness.clock_deviation import Deviation, measure_deviation
from harness.doctor import Check
from harness.errors import NoReplyError
from harness.hardware_map import load_hardware_map
from harness.lease import holder_of, lease
from harness.ledger import Ledger
from harness.session import Session
from harness.unit_clocks import examine_clocks
from harness.virtual import VirtualBoard
from tests.commands import call

BOARD = load_board("nucleo_f412zg")


@pytest.fixture(scope="module")
def board() -> Iterator[VirtualBoard]:
    with VirtualBoard(BOARD) as board:
        yield board


@pytest.fixture
def path(board: VirtualBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A map of one unit, which is found without being named."""
    path = tmp_path / "map.toml"
    path.write_text(
        f'[[unit]]\nname = "left"\nboard = "{BOARD.name}"\n'
        f'probe = "{board.debug_port()}"\nserial = "{board.port}"\n'
    )
    monkeypatch.setenv("HILNAS_HARDWARE_MAP", str(path))
    return path


def timed_by(board: VirtualBoard, speed: float) -> Callable[[Session, int], Deviation]:
    """measure_deviation() with a host's clock by which `board` runs at `speed` times its own."""

    def measure(session: Session, sysclk_hz: int) -> Deviation:
        def now() -> float:
            return board.counters().cycles / sysclk_hz / speed

        def sleep(seconds: float) -> None:
            end = now() + seconds
            while now() < end:
                session.prepare(0)  # while it waits its time stands still

        return measure_deviation(session, sysclk_hz, now=now, sleep=sleep)

    return measure


def test_a_clock_that_is_right_is_told_with_its_source(
    board: VirtualBoard, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_deviation, "INTERVAL_S", 0.15)
    monkeypatch.setattr(unit_clocks, "measure_deviation", timed_by(board, 1.0))
    steps: list[str] = []
    (check,) = examine_clocks(on_step=steps.append)
    assert (check.name, check.ok, check.fix) == ("clock of unit left", True, ""), check
    assert re.fullmatch(
        r"nucleo_f412zg, 100 MHz by its registers, [+-]0\.0\d % \(\+- 0\.\d\d %\) by this host's "
        r"clock; from HSI, the chip's 16 MHz RC oscillator, good to 4 %",
        check.found,
    )
    assert steps[-2:] == ["unit left: flashing", "unit left: timing its clock for 5 s"]
    assert holder_of(board.debug_port()) is None


def test_a_clock_that_is_off_fails_the_doctor_with_the_fix(
    board: VirtualBoard,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(clock_deviation, "INTERVAL_S", 0.15)
    monkeypatch.setattr(unit_clocks, "measure_deviation", timed_by(board, 1.06))
    monkeypatch.setattr(doctor, "examine", list)
    file = tmp_path / "d.json"
    answer = call(monkeypatch, capsys, "doctor", "--units", "--json", file)
    (check,) = json.loads(file.read_text())
    assert (answer.code, check["ok"], check["required"]) == (1, False, True), check
    assert "100 MHz by its registers, +6." in check["found"]
    assert check["fix"] == (
        "latencies of this unit are wrong by this much: do not use it; check supply, temperature, "
        "HSITRIM in RCC_CR (16 after reset); no crystal and no solder bridge takes part "
        "(nucleo_f412zg/board.toml, oscillator)"
    )
    assert "+6." in answer.out and "failed" in answer.out


# ---- units that are left alone ----


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_leased(*_: object) -> None:
        raise AssertionError("the unit was opened")

    monkeypatch.setattr(unit_clocks, "open_leased", open_leased)


@pytest.mark.usefixtures("untouched")
def test_a_unit_in_use_is_left_alone(board: VirtualBoard, path: Path) -> None:
    with lease(board.debug_port(), unit="left"):
        (check,) = examine_clocks()
    assert check.ok and check.found.startswith("left alone: the unit is in use by ")


@pytest.mark.usefixtures("untouched")
def test_a_quarantined_unit_is_left_alone(path: Path) -> None:
    ledger = Ledger(load_hardware_map(path).units[0])
    ledger.append("quarantined", why="its control run failed")
    try:
        (check,) = examine_clocks()
    finally:
        ledger.append("released")
    assert check.ok and check.found.startswith("left alone: quarantined since ")


@pytest.mark.usefixtures("untouched")
def test_a_unit_that_is_away_is_left_alone_and_the_next_one_is_not(
    board: VirtualBoard, path: Path
) -> None:
    path.write_text(path.read_text().replace(board.port, "/dev/absent"))
    assert list(examine_clocks()) == [
        Check("clock of unit left", True, False, "left alone: there is no port /dev/absent", "")
    ]


# ---- what fails ----


def test_without_a_map_there_is_nothing_to_time(path: Path) -> None:
    path.write_text("unit = 3")
    (check,) = examine_clocks()
    assert (check.name, check.ok, check.required) == ("clocks of the units", False, True)
    assert str(path) in check.found and check.fix


def test_a_unit_that_does_not_answer_is_said_and_the_next_one_is_timed(
    board: VirtualBoard, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(session: Session, on_step: object) -> None:
        raise NoReplyError("no reply", where="/dev/pts/9", hint="is the board powered?")

    monkeypatch.setattr(unit_clocks, "_flash_control", deaf)
    assert list(examine_clocks()) == [
        Check("clock of unit left", False, False, "/dev/pts/9: no reply", "is the board powered?")
    ]
    assert holder_of(board.debug_port()) is None
