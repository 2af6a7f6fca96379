"""A pool of units, each played by a double: who measures, who is left out, and what is doubted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import pool as pool_module
from harness.errors import (
    CompileError,
    HilnasError,
    MeasurementRefusedError,
    NoReplyError,
    NoUnitError,
    ProbeError,
    QuarantinedError,
    UnitGoneError,
)
from harness.lease import holder_of, lease
from harness.ledger import Ledger, Measured, state_of
from harness.measurement import UnitCheck
from harness.pool import Pool
from tests.measurements import make_measurement
from tests.units_double import Desk, Double

SILENCE = NoReplyError("no reply", where="left")
LADDER = ["model", "model", "reset", "model", "power cycle", "model"]


@pytest.fixture
def one(tmp_path: Path) -> Desk:
    return Desk(tmp_path, "left")


@pytest.fixture
def two(tmp_path: Path) -> Desk:
    return Desk(tmp_path, "left", "right")


def events(pool: Pool, name: str) -> list[dict]:
    (unit,) = [unit for unit in pool.units if unit.name == name]
    return [json.loads(line) for line in Ledger(unit).path.read_text().splitlines()]


def kinds(pool: Pool, name: str) -> list[str]:
    return [event["kind"] for event in events(pool, name)]


def take_time_away(pool: Pool, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause of a unit that vanished is over."""
    later = pool._ledgers[name].history().vanished_at + 100
    monkeypatch.setattr("harness.ledger.time.time", lambda: later)


# ---- control runs ----


def test_a_unit_is_checked_at_first_use_in_a_run_and_every_so_often(one: Desk) -> None:
    pool = one.pool(control_every=2)
    for _ in range(3):
        one.measure(pool)
    assert one.log("left") == ["control", "model", "model", "control", "model"]
    one.measure(one.pool("a", control_every=2))
    assert one.log("left") == ["model"], "another worker of the run shares the unit's ledger"
    one.measure(one.pool("b"))
    assert one.log("left") == ["control", "model"]


def test_a_result_names_its_unit_and_what_the_control_run_said(two: Desk) -> None:
    pool = two.pool()
    assert two.measure(pool).unit == UnitCheck("left", 100_000, None, None)
    two.units["right"].cycles = 100_010
    (left, right) = pool.units
    with lease(left.probe, unit="left"):
        measured = two.measure(pool)
    assert measured.unit is not None and measured.unit.unit == "right"
    # 100,010 beside 100,005, the median of the two units
    assert (measured.unit.drift_ppm, measured.unit.deviation_ppm) == (None, 50.0)
    two.units["left"].cycles = 100_002
    again = two.measure(two.pool("b")).unit
    assert again is not None and again.drift_ppm == 20.0


def test_a_unit_that_drifts_is_set_aside_and_its_last_results_are_doubted(two: Desk) -> None:
    pool = two.pool(control_every=2)
    doubted = [two.measure(pool) for _ in range(2)]
    two.units["left"].cycles = 100_101
    measured = two.measure(pool)
    assert measured.unit is not None and measured.unit.unit == "right"
    (left, _) = pool.units
    assert state_of(left).endswith(
        ": its control run took 100,101 cycles, +1,010 ppm beside its earlier ones, and the bound "
        "is 1,000 ppm"
    )
    marked = {Measured(each.model_sha256, each.started_at) for each in doubted}
    assert pool.suspects() == {"left": marked, "right": set()}
    two.log("left")
    two.measure(two.pool("b"))
    assert two.log("left") == [], "in later runs, too"


def test_what_was_confirmed_is_never_doubted(one: Desk) -> None:
    pool = one.pool(control_every=1)
    one.measure(pool)
    one.measure(pool)  # behind a control run that was good
    one.units["left"].failures = [MeasurementRefusedError("outputs differ")]
    with pytest.raises(NoUnitError):
        one.measure(pool)
    assert len(pool.suspects()["left"]) == 1


# ---- failures ----


def test_a_failure_that_a_rung_mends_costs_nothing_but_time(one: Desk) -> None:
    pool = one.pool()
    one.measure(pool)
    one.units["left"].failures = [SILENCE, SILENCE]
    assert one.measure(pool).cycles.median == 5_000
    assert one.log("left") == ["control", "model", *LADDER[:4]]
    rungs = [event for event in events(pool, "left") if event["kind"] == "rung"]
    assert [(each["rung"], each["error"], each["result"]) for each in rungs] == [
        ("retry", "NoReplyError", "left: no reply"),
        ("reset under connect", "NoReplyError", "good"),
    ]
    failures = [event for event in events(pool, "left") if event["kind"] == "failure"]
    assert [(each["during"], each["said"]) for each in failures] == [
        ("model", "left: no reply")
    ] * 2


def test_a_unit_that_dies_for_good_is_set_aside_and_another_measures(two: Desk) -> None:
    pool = two.pool()
    first = two.measure(pool)
    two.units["left"].failures = [SILENCE] * 99
    measured = two.measure(pool)
    assert measured.unit is not None and measured.unit.unit == "right"
    assert two.log("left") == ["control", "model", *LADDER, "control"]
    assert kinds(pool, "left")[-2:] == ["suspect", "quarantined"]
    why = events(pool, "left")[-1]["why"]
    assert why == "its control run failed: left: no reply"
    assert pool.suspects()["left"] == {Measured(first.model_sha256, first.started_at)}


def test_a_model_that_fails_on_two_healthy_units_is_to_blame(two: Desk) -> None:
    pool = two.pool()
    two.measure(pool, "other")

    def fail(model: bytes, session: Double, *, name: str = "") -> object:
        raise SILENCE

    with pytest.raises(NoReplyError):
        pool.measure(b"bad", name="bad", measure_on=fail)  # type: ignore[arg-type]
    assert [state_of(unit) for unit in pool.units] == ["free", "free"]
    assert two.log("right") == ["control", "reset", "power cycle", "control"]


def test_a_model_that_fails_on_the_only_healthy_unit_is_to_blame(one: Desk) -> None:
    pool = one.pool()
    one.measure(pool)
    one.units["left"].failures = [SILENCE] * 4
    with pytest.raises(NoReplyError):
        one.measure(pool)
    assert state_of(pool.units[0]) == "free"


@pytest.mark.parametrize(
    "error", [MeasurementRefusedError("outputs differ"), CompileError("no")], ids=repr
)
def test_a_models_own_failure_is_not_tried_again(two: Desk, error: HilnasError) -> None:
    pool = two.pool()
    two.measure(pool)
    two.units["left"].failures = [error]
    with pytest.raises(type(error)):
        two.measure(pool)
    assert (two.log("left"), two.log("right")) == (["control", "model", "model"], [])
    assert kinds(pool, "left") == ["control", "measured"]


def test_a_compiler_that_fails_in_a_control_run_quarantines_nobody(one: Desk) -> None:
    pool = one.pool()
    one.units["left"].failures = [CompileError("no compiler")]
    with pytest.raises(CompileError):
        one.measure(pool)
    assert state_of(pool.units[0]) == "free"


# ---- units that come and go ----


def test_a_unit_that_vanishes_is_left_out_and_used_again_when_it_returns(
    two: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = two.pool()
    two.measure(pool)
    two.units["left"].missing = "there is no port"
    two.measure(pool)
    assert kinds(pool, "left")[-1] == "vanished"
    assert (two.log("left"), two.log("right")) == (
        ["control", "model", "power cycle"],
        ["control", "model"],
    )
    two.units["left"].missing = None
    two.measure(pool)
    assert (two.log("left"), two.log("right")) == ([], ["model"]), "not before its pause is over"
    take_time_away(pool, "left", monkeypatch)
    two.measure(pool)
    assert two.log("left") == ["control", "model"], "nobody knows what happened to it meanwhile"
    assert pool.suspects()["left"] == set()


def test_a_failure_of_a_unit_that_is_gone_is_no_fault_of_it(two: Desk) -> None:
    pool = two.pool()
    two.measure(pool)
    left = two.units["left"]

    def unplug(model: bytes, session: Double, *, name: str = "") -> object:
        if session is left:
            left.missing = "probe is not attached"
            raise ProbeError("the probe failed")
        return make_measurement()

    pool.measure(b"m", name="m", measure_on=unplug)  # type: ignore[arg-type]
    assert "quarantined" not in kinds(pool, "left") and kinds(pool, "left")[-1] == "vanished"


def test_a_second_opinion_is_not_awaited_of_a_unit_that_is_away(two: Desk) -> None:
    pool = two.pool()
    two.units["left"].missing = "there is no port"
    two.measure(pool)
    two.units["right"].failures = [SILENCE] * 4
    with pytest.raises(NoReplyError):
        two.measure(pool)


def test_nobody_left_is_told_at_once_with_the_reasons(two: Desk) -> None:
    pool = two.pool(patience_s=300)
    for unit in two.units.values():
        unit.failures = [MeasurementRefusedError("outputs differ")]
    with pytest.raises(NoUnitError) as caught:
        two.measure(pool)
    said = str(caught.value)
    assert said.startswith(
        f"{two.path}: no unit of nucleo_f412zg can be had (got left quarantined"
    )
    assert "its control run failed: outputs differ; right quarantined since" in said
    assert "`hilnas boards --release NAME`" in said


def test_units_that_are_in_use_are_awaited_but_not_for_ever(
    two: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = two.pool(patience_s=0.0)
    with lease(pool.units[0].probe, unit="left"):
        with (
            lease(pool.units[1].probe, unit="right"),
            pytest.raises(NoUnitError, match="left in use by .*; right in use by"),
        ):
            two.measure(pool)
        assert two.measure(pool).unit is not None
    patient = two.pool(patience_s=60.0)
    first, second = (lease(unit.probe, unit=unit.name) for unit in pool.units)
    with first:
        second.__enter__()
        monkeypatch.setattr(
            pool_module.time, "sleep", lambda seconds: second.__exit__(None, None, None)
        )
        measured = two.measure(patient)
    assert measured.unit is not None and measured.unit.unit == "right"


def test_every_lease_ends_however_a_measurement_does(two: Desk) -> None:
    pool = two.pool()
    two.measure(pool)
    two.units["left"].failures = [CompileError("no")]
    with pytest.raises(CompileError):
        two.measure(pool)
    two.units["left"].failures = [SILENCE] * 99
    two.measure(pool)
    assert [holder_of(unit.probe) for unit in pool.units] == [None, None]


# ---- the end of a run, and of a quarantine ----


def test_at_the_end_each_unit_that_measured_is_checked_once_more(two: Desk) -> None:
    pool = two.pool()
    two.measure(pool)
    pool.confirm()
    assert (two.log("left"), two.log("right")) == (["control", "model", "control"], [])
    pool.confirm()
    assert two.log("left") == [], "nothing was measured since"
    assert pool.suspects() == {"left": set(), "right": set()}


@pytest.mark.parametrize("way", ["fails", "is away"])
def test_a_unit_that_cannot_be_checked_at_the_end_is_doubted(two: Desk, way: str) -> None:
    pool = two.pool()
    measured = two.measure(pool)
    if way == "fails":
        two.units["left"].failures = [SILENCE] * 99
    else:
        two.units["left"].missing = "there is no port"
    pool.confirm()
    assert pool.suspects()["left"] == {Measured(measured.model_sha256, measured.started_at)}


def test_a_good_control_run_releases_a_unit(one: Desk) -> None:
    pool = one.pool()
    one.units["left"].failures = [MeasurementRefusedError("outputs differ")]
    with pytest.raises(NoUnitError):
        one.measure(pool)
    one.units["left"].failures = [MeasurementRefusedError("outputs differ")]
    with pytest.raises(QuarantinedError, match="left: the unit is quarantined: its control run"):
        pool.release("left")
    assert state_of(pool.units[0]).startswith("quarantined")
    assert pool.release("left").cycles == 100_000
    assert state_of(pool.units[0]) == "free"
    one.measure(pool)


def test_a_unit_that_is_away_is_not_released(one: Desk) -> None:
    one.units["left"].missing = "there is no port"
    with pytest.raises(UnitGoneError, match="left: there is no port; check the cable and power"):
        one.pool().release("left")
