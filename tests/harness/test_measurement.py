"""Measurements: immutable, labelled, and compared only with their like."""

import dataclasses
import json

import pytest

from harness.errors import NotComparableError, UsageError
from harness.measurement import (
    ArenaParts,
    Conditions,
    Measurement,
    Spread,
    load_measurement,
)
from tests.measurements import make_energy, make_measurement


def test_json_round_trips_to_an_equal_value():
    measurement = make_measurement()
    assert Measurement.from_json(json.loads(json.dumps(measurement.to_json()))) == measurement


def measured(**changes) -> Measurement:
    return make_measurement(timing="measured", timing_model="", **changes)


def test_conditions_are_kept_and_may_be_missing_from_older_files():
    measurement = measured(conditions=Conditions(31.25, None))
    table = json.loads(json.dumps(measurement.to_json()))
    assert table["conditions"] == {"temperature_c": 31.25, "vdd_v": None}
    assert Measurement.from_json(table) == measurement
    del table["conditions"]
    assert Measurement.from_json(table) == measured()


def test_conditions_are_no_label():
    measured(conditions=Conditions(20.0, 3.3)).comparable_with(
        measured(conditions=Conditions(60.0, 3.0))
    )
    measured().comparable_with(measured(conditions=Conditions(60.0, 3.0)))


@pytest.mark.parametrize("timing", ["modelled", "instructions"])
def test_what_was_not_measured_has_no_conditions(timing):
    with pytest.raises(ValueError, match=f"only silicon has conditions, not what is {timing}"):
        make_measurement(timing=timing, conditions=Conditions(25.0, 3.3))


def test_conditions_read_as_what_is_known():
    assert str(Conditions(31.25, 3.298)) == "31.2 °C, 3.30 V"
    assert str(Conditions(-7.0, None)) == "-7.0 °C"
    assert str(Conditions(None, None)) == ""


def test_a_spread_keeps_the_raw_values_and_views_them():
    assert Spread.of([3, 1, 2]) == Spread((3, 1, 2), 2, 1, 3)


@pytest.mark.parametrize(
    "name",
    ["board", "via", "timing", "timing_model", "engine", "engine_version", "compiler", "flags"],
)
def test_measurements_that_differ_in_a_label_are_not_comparable(name):
    value = "measured" if name == "timing" else "other"
    other = make_measurement(**{name: value})
    with pytest.raises(NotComparableError, match=rf"differ in {name} .*got {value}"):
        make_measurement().comparable_with(other)


def test_energy_travels_with_its_raw_values():
    measurement = make_measurement(energy=make_energy())
    read = Measurement.from_json(json.loads(json.dumps(measurement.to_json())))
    assert read == measurement and read.energy.bursts[0].inferences == 10


def test_a_file_from_before_meters_has_no_energy():
    table = make_measurement().to_json()
    del table["energy"]
    assert Measurement.from_json(table) == make_measurement()


def test_energies_are_compared_only_where_meter_voltage_and_method_agree():
    one = make_measurement(energy=make_energy())
    one.comparable_with(make_measurement(energy=make_energy(5.0, meter="lpm01a 1-1-1, other")))
    one.comparable_with(make_measurement())
    other_kind = make_energy(meter="ppk2 1")
    other_volts = dataclasses.replace(make_energy(), volts=1.8)
    other_method = dataclasses.replace(make_energy(), method="trigger")
    for energy, what in (
        (other_kind, "energy's meter_kind .*expected lpm01a, got ppk2"),
        (other_volts, "energy's volts .*expected 3.3, got 1.8"),
        (other_method, "energy's method .*got trigger"),
    ):
        with pytest.raises(NotComparableError, match=f"differ in {what}"):
            one.comparable_with(make_measurement(energy=energy))


def test_measurements_of_two_models_on_one_board_are_comparable():
    make_measurement().comparable_with(make_measurement(model_sha256="9" * 64, cycles=5))


def test_the_label_names_board_via_timing_engine_and_its_version_clock_and_flags():
    label = make_measurement(engine_version="90b983c, cmsis_nn").label
    for part in ("nucleo_f412zg", "virtual", "modelled", "pipeline-1", "100 MHz", "-O3"):
        assert part in label
    assert "engine aot (90b983c, cmsis_nn)," in label
    assert "()" not in make_measurement(timing="measured", timing_model="").label


def test_parts_of_an_arena_read_as_a_sum():
    assert str(ArenaParts(16000, 6820, 0)) == "head 16,000 + tail 6,820 + temporary 0"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"schema": 2}', json.dumps({"schema": 1, "board": "x"})]
)
def test_a_file_that_is_no_measurement_is_refused(tmp_path, text):
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"m\.json: is not a measurement"):
        load_measurement(path)


def test_a_measurement_file_loads(tmp_path):
    path = tmp_path / "m.json"
    path.write_text(json.dumps(make_measurement().to_json()))
    assert load_measurement(path) == make_measurement()
