"""Units that die or flap cost a search time and nothing else. Units are played by doubles."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from harness import ledger
from harness.errors import NoReplyError, NoUnitError
from harness.ledger import state_of
from harness.measurement import Measurement
from search.report.run_folder import read_run
from tests.measurements import make_measurement
from tests.search.pooled_search import front, pooled_search, told
from tests.units_double import Desk, measure_on

NAMES = ("a", "b", "c", "d")
ROUNDS = 40


def measure_briefly(model: bytes, session: Any, *, name: str = "") -> Measurement:
    """Its cycles follow from the model alone, as on equal units."""
    time.sleep(0.005)
    measured = measure_on(model, session, name=name)
    cycles = 1000 + int.from_bytes(model, "little") % 100_000
    return make_measurement(
        cycles=cycles, model_sha256=measured.model_sha256, started_at=measured.started_at
    )


def make_model(number: int) -> bytes:
    return number.to_bytes(8, "little")


def search(folder: Path, desk: Desk) -> Path:
    def pool() -> Any:
        return desk.pool(control_every=5, patience_s=60.0)

    pooled_search(folder / "run", pool, measure_briefly, make_model, rounds=ROUNDS)
    return folder / "run"


@pytest.fixture
def undisturbed(tmp_path: Path) -> Path:
    folder = tmp_path / "quiet"
    folder.mkdir()
    return search(folder, Desk(folder, *NAMES))


def test_one_unit_that_dies_and_one_that_flaps_change_neither_journal_nor_front(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "_FIRST_PAUSE_S", 0.005)
    folder = tmp_path / "rough"
    folder.mkdir()
    desk = Desk(folder, *NAMES)
    desk.units["a"].dies_after = 4
    # Twice in a row: its power cycle does not bring it back.
    desk.units["b"].away_at = frozenset(look for look in range(6, 400) if look % 8 in (6, 7))
    run_dir = search(folder, desk)
    assert told(run_dir) == told(undisturbed)
    assert front(run_dir) == front(undisturbed) != []
    a, b, *_ = desk.pool().units
    assert state_of(a).startswith("quarantined")
    events = ledger.Ledger(b).path.read_text()
    first = events.index('"vanished"')
    assert '"measured"' in events[first:], "it was used again when it was back"
    shown = read_run(run_dir)
    final = {each.measured.unit.unit for each in shown.front if each.measured.unit}
    assert final <= set(NAMES)


def test_a_search_whose_units_are_all_dead_ends_and_blames_no_candidate(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "a", "b")
    for unit in desk.units.values():
        unit.dies_after = 3
    with pytest.raises(NoUnitError, match="no unit of nucleo_f412zg can be had"):
        search(tmp_path, desk)
    outcomes = told(tmp_path / "run")
    assert {entry["outcome"]["kind"] for entry in outcomes} <= {"evaluation", "rejected"}
    assert all(entry["outcome"].get("tier") != "failed" for entry in outcomes)


def test_a_dead_double_is_silent(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "a")
    desk.units["a"].dies_after = 0
    with pytest.raises(NoReplyError):
        measure_briefly(b"1", desk.units["a"])
