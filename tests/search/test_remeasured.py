"""What a failed control run casts doubt on is measured again; the journal stays as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import JournalError, NoReplyError, NoUnitError
from harness.measurement import Measurement
from search.evaluation import Evaluation
from search.remeasured import (
    REMEASURED_NAME,
    corrected,
    key_of,
    read_remeasured,
    settle,
)
from tests.measurements import make_measurement
from tests.search.evaluations import make_evaluation, make_rejected
from tests.units_double import Desk, measure_on


class Searched:
    """A run folder with a network that `pool`'s first unit has measured."""

    def __init__(self, folder: Path, desk: Desk) -> None:
        self.run_dir, self.desk, self.pool = folder / "run", desk, desk.pool()
        (self.run_dir / "models").mkdir(parents=True)
        (self.run_dir / "models" / "a.tflite").write_bytes(b"network")
        measured = self.measure(b"network", name="candidate")
        self.outcome = replace(make_evaluation(model="models/a.tflite"), measured=measured)

    def measure(self, model: bytes, *, name: str) -> Measurement:
        return self.pool.measure(model, name=name, measure_on=measure_on)

    def read(self) -> list:
        return [self.outcome, make_rejected()]

    def settle(self) -> Evaluation:
        settle(self.run_dir, self.pool, self.measure, self.read, control_every=2)
        found = corrected(self.outcome, read_remeasured(self.run_dir))
        assert isinstance(found, Evaluation)
        return found


@pytest.fixture
def searched(tmp_path: Path) -> Searched:
    return Searched(tmp_path, Desk(tmp_path, "left", "right"))


def test_a_unit_that_is_still_what_it_was_leaves_all_as_it_is(searched: Searched) -> None:
    assert searched.settle() is searched.outcome
    assert not (searched.run_dir / REMEASURED_NAME).exists()


def test_what_a_drifting_unit_measured_last_is_measured_again(searched: Searched) -> None:
    searched.desk.units["left"].cycles *= 2
    again = searched.settle().measured
    assert again.unit is not None and again.unit.unit == "right"
    (line,) = (searched.run_dir / REMEASURED_NAME).read_text().splitlines()
    table = json.loads(line)
    assert table["replaces"] == key_of(searched.outcome.measured)._asdict()
    assert table["archid"] == searched.outcome.archid
    assert searched.desk.log("right") == ["control", f"{table['archid']} again", "control"]


def test_it_is_measured_again_once(searched: Searched) -> None:
    searched.desk.units["left"].cycles *= 2
    searched.settle()
    before = (searched.run_dir / REMEASURED_NAME).read_bytes()
    searched.settle()
    assert (searched.run_dir / REMEASURED_NAME).read_bytes() == before


def test_the_last_measurements_of_a_unit_that_nobody_knows_any_more_are_made_again(
    searched: Searched, tmp_path: Path
) -> None:
    """Its machine is gone, say: what it has measured since its last good control run is not known,
    and is no more than control_every measurements, which are two here."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    desk = Desk(folder, "other")
    first = searched.outcome
    told = [
        replace(
            first,
            archid=name,
            untrained=replace(first.untrained, unit=first.measured.unit, started_at=f"{at}"),
            measured=replace(first.measured, started_at=f"{at}."),
        )
        for name, at in (("late", 3), ("early", 1), ("between", 2))
    ]
    pool = desk.pool()

    def measure(model: bytes, *, name: str) -> Measurement:
        return pool.measure(model, name=name, measure_on=measure_on)

    for _ in range(2):  # and not those before them, the next time
        settle(searched.run_dir, pool, measure, lambda: told, control_every=3)
    assert desk.log("other") == ["control", "late again", "between again", "control"]
    again = read_remeasured(searched.run_dir)
    units = [each.unit.unit for each in again.values() if each.unit]
    assert units == ["other", "other"]


def test_what_is_doubted_a_second_time_is_measured_a_third(tmp_path: Path) -> None:
    first, second = make_measurement(started_at="1"), make_measurement(started_at="2")
    third = make_measurement(started_at="3")
    outcome = replace(make_evaluation(), measured=first)
    again = {key_of(first): second, key_of(second): third}
    assert corrected(outcome, again).measured is third
    rejected = make_rejected()
    assert corrected(rejected, again) is rejected


def test_where_no_unit_is_left_the_run_says_so_and_can_go_on(searched: Searched) -> None:
    for unit in searched.desk.units.values():
        unit.failures = [NoReplyError("no reply")] * 99
    with pytest.raises(NoUnitError):
        searched.settle()
    for unit in searched.desk.units.values():
        unit.failures = []
    searched.pool.release("right")
    again = searched.settle().measured
    assert again.unit is not None and again.unit.unit == "right"


def test_a_network_that_is_not_there_is_named(searched: Searched) -> None:
    searched.desk.units["left"].cycles *= 2
    (searched.run_dir / "models" / "a.tflite").unlink()
    with pytest.raises(JournalError, match=r"a\.tflite: a network that is to be measured again"):
        searched.settle()


@pytest.mark.parametrize("line", ["{}", '{"replaces": {}, "measured": {}}'])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / REMEASURED_NAME).write_text(line + "\n")
    with pytest.raises(JournalError, match=r"remeasured\.jsonl:1: is no measurement"):
        read_remeasured(tmp_path)
