"""What a machine with boards does for a search elsewhere. Units are played by doubles."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HilnasError, MeasurementRefusedError, NoUnitError, UsageError
from harness.hardware_map import VARIABLE
from harness.ledger import Ledger, Measured
from harness.measurement import Measurement, UnitCheck
from harness.pool import Pool
from search import board_node
from search.asking import Wanted
from search.board_node import Order
from search.config import Bounds, Device
from tests.search.test_run import CONFIG
from tests.units_double import Desk, measure_on

HOST = platform.node()
WANTED = Wanted(b"network", "candidate")
IDENTITY = {"python": "3"}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    found = Desk(tmp_path, "left", "right")
    monkeypatch.setenv(VARIABLE, str(found.path))
    monkeypatch.setattr(board_node, "_own_identity", lambda: IDENTITY)
    return found


def order(desk: Desk, **changes: Any) -> Order:
    def open_pool(config: Any, run: str, *, patience_s: float = 0.0) -> Pool:
        return desk.pool(run)

    def measuring(device: Device) -> Callable[..., Measurement]:
        return measure_on

    config = replace(CONFIG, device=Device("nucleo_f412zg", via="hardware"))
    return replace(Order(config, "a", IDENTITY, open_pool, measuring), **changes)


def measured_by(desk: Desk) -> Measurement:
    answer = order(desk).measure(WANTED)
    assert isinstance(answer, Measurement)
    return answer


def test_a_measurement_says_on_which_machine_its_unit_is(desk: Desk) -> None:
    assert measured_by(desk).unit == UnitCheck(f"left@{HOST}", 100_000, None, None)
    assert measured_by(desk).unit == UnitCheck(f"left@{HOST}", 100_000, None, None)
    assert desk.log("left") == ["control", "candidate", "candidate"], "in one run"


def test_what_the_network_is_to_blame_for_is_the_answer_word_for_word(desk: Desk) -> None:
    measured_by(desk)
    desk.units["left"].failures = [MeasurementRefusedError("outputs differ")]
    assert str(order(desk).measure(WANTED)) == "outputs differ"


def test_a_machine_without_a_unit_that_can_be_had_says_so_by_its_name(desk: Desk) -> None:
    for unit in desk.pool().units:
        Ledger(unit).append("quarantined", why="it drifts")
    with pytest.raises(NoUnitError, match=f"^on {HOST}: .* no unit of nucleo_f412zg can be had"):
        order(desk).measure(WANTED)


def test_what_a_unit_measured_before_it_drifted_is_suspect(desk: Desk) -> None:
    measured = measured_by(desk)
    assert order(desk).confirm() == {f"left@{HOST}": set(), f"right@{HOST}": set()}
    measured = measured_by(desk)
    desk.units["left"].cycles *= 2
    doubted = {Measured(measured.model_sha256, measured.started_at)}
    assert order(desk).confirm() == {f"left@{HOST}": doubted, f"right@{HOST}": set()}


def test_another_version_of_hilnas_measures_nothing(desk: Desk) -> None:
    other = order(desk, identity={"python": "2.7"})
    for ask in (lambda: other.measure(WANTED), other.confirm):
        with pytest.raises(HilnasError, match=f"node {HOST} has another python .expected 2.7"):
            ask()
    assert desk.log("left") == []


def test_a_search_for_energy_wants_a_meter_at_every_unit_of_each_machine(desk: Desk) -> None:
    config = replace(order(desk).config, bounds=Bounds(val_error=0.1, energy_uj=10.0))
    with pytest.raises(UsageError, match=f"^on {HOST}: .*units have no energy meter"):
        order(desk, config=config).measure(WANTED)
