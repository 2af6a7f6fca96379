"""Ledgers: what a unit went through survives crashes, and is one history to all processes."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from harness import ledger as ledger_module
from harness.errors import JournalError
from harness.hardware_map import MappedUnit
from harness.lease import lease
from harness.ledger import Ledger, Measured, Quarantine, state_of

UNIT = MappedUnit("left", "nucleo_f412zg", "6AFF")


def control(ledger: Ledger, *, run: str = "a", cycles: float = 100.0) -> None:
    facts = {"run": run, "key": "k", "cycles": cycles, "drift_ppm": None, "deviation_ppm": None}
    ledger.append("control", **facts)


def measured(ledger: Ledger, model: str = "m", at: str = "t") -> Measured:
    ledger.append("measured", run="a", model_sha256=model, image_sha256="i", started_at=at)
    return Measured(model, at)


def test_a_unit_without_a_ledger_wants_a_control_run_first() -> None:
    history = Ledger(UNIT).history()
    assert history.is_control_due("a", 20) and state_of(UNIT) == "free"
    assert not Ledger(UNIT).path.exists(), "looking leaves no file"


def test_a_control_run_is_due_in_each_run_and_after_so_many_measurements() -> None:
    ledger = Ledger(UNIT)
    control(ledger, run="a")
    assert not ledger.history().is_control_due("a", 2)
    assert ledger.history().is_control_due("b", 2)
    for number in range(2):
        assert not ledger.history().is_control_due("a", 2)
        measured(ledger, at=str(number))
    assert ledger.history().is_control_due("a", 2)
    control(ledger)
    assert not ledger.history().is_control_due("a", 2)
    assert ledger.history().unconfirmed == []


def test_what_one_process_appends_another_reads() -> None:
    reader, writer = Ledger(UNIT), Ledger(UNIT)
    control(writer)
    assert len(reader.history().controls) == 1
    one = measured(writer)
    assert reader.history().unconfirmed == [one]


def test_a_torn_last_line_is_left_out_and_cut_off_by_the_next() -> None:
    ledger = Ledger(UNIT)
    control(ledger)
    with ledger.path.open("ab") as file:
        file.write(b'{"at": "2026-01-01T00:00:00+00:00", "kind": "quarant')
    assert ledger.history().quarantine is None and len(ledger.history().controls) == 1
    one = measured(ledger)
    assert ledger.history().unconfirmed == [one]
    assert Ledger(UNIT).history().unconfirmed == [one]
    assert len(ledger.path.read_bytes().splitlines()) == 2


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"probe": "6aff", "kind": "released"}'])
def test_a_damaged_line_is_named(line: str) -> None:
    ledger = Ledger(UNIT)
    control(ledger)
    with ledger.path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(JournalError, match=r"left\.jsonl:2: is no event of a unit"):
        ledger.history()


def test_lines_of_processes_that_write_at_once_stay_whole() -> None:
    program = (
        "from harness.ledger import Ledger; from harness.hardware_map import MappedUnit\n"
        "ledger = Ledger(MappedUnit('left', 'nucleo_f412zg', '6AFF'))\n"
        "for _ in range(50): ledger.append('failure', said='x' * 5000)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    lines = Ledger(UNIT).path.read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["failure"] * 150


def test_a_ledger_that_cannot_be_written_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HILNAS_STATE", "/dev/null/state")
    with pytest.raises(JournalError, match="cannot be written: Not a directory"):
        Ledger(UNIT).append("released")


def test_a_ledger_that_stays_locked_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_LOCK_S", 0.05)
    ledger = Ledger(UNIT)
    ledger.append("released")
    with ledger.path.open("rb") as file:
        ledger_module.fcntl.flock(file, ledger_module.fcntl.LOCK_EX)
        with pytest.raises(JournalError, match=r"is locked by another process for 0\.05 s"):
            ledger.append("released")


def test_another_probe_under_the_same_name_is_another_unit() -> None:
    ledger = Ledger(UNIT)
    control(ledger)
    ledger.append("quarantined", why="drift")
    other = Ledger(MappedUnit("left", "nucleo_f412zg", "FFFF"))
    assert (other.history().quarantine, other.history().controls) == (None, [])
    same = Ledger(MappedUnit("left", "nucleo_f412zg", "6aff"))
    assert same.history().quarantine is not None


def test_a_quarantine_lasts_until_it_is_released() -> None:
    ledger = Ledger(UNIT)
    control(ledger)
    one = measured(ledger)
    ledger.append("suspect", measured=[one._asdict()])
    ledger.append("quarantined", why="its control run failed")
    since = json.loads(ledger.path.read_text().splitlines()[-1])["at"]
    assert ledger.history().quarantine == Quarantine("its control run failed", since)
    with lease(UNIT.probe, unit=UNIT.name):
        assert state_of(UNIT) == f"quarantined since {since}: its control run failed"
    control(ledger)
    assert ledger.history().quarantine is not None, "a control run alone releases nobody"
    ledger.append("released")
    assert state_of(UNIT) == "free"
    assert ledger.history().suspects == {one}, "what was doubted stays so"


def test_a_unit_that_vanishes_is_left_alone_for_longer_and_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger, pauses = Ledger(UNIT), []
    control(ledger)
    for _ in range(9):
        ledger.append("vanished", said="no port")
        monkeypatch.setattr(ledger_module.time, "time", lambda: ledger.history().vanished_at)
        pauses.append(ledger.history().pause_left_s())
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert state_of(UNIT) == "away when last looked for"
    later = datetime.now(UTC) + timedelta(seconds=120)
    monkeypatch.setattr(ledger_module.time, "time", later.timestamp)
    assert ledger.history().pause_left_s() == 0
    assert ledger.history().is_control_due("a", 20), "nobody knows what happened to it"
    control(ledger)
    measured(ledger)
    assert (ledger.history().vanished, state_of(UNIT)) == (0, "free")


def test_a_clock_that_is_set_back_lengthens_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(UNIT)
    ledger.append("vanished", said="no port")
    monkeypatch.setattr(ledger_module.time, "time", lambda: 0.0)
    assert ledger.history().pause_left_s() == 1.0
