"""The control model, and how far a unit is from itself and from others."""

from __future__ import annotations

from harness.control import control_model, key_of, ppm_beside
from harness.tflite import read_graph
from tests.measurements import make_measurement
from tests.tflite_factory import small_network


def test_the_control_model_is_made_here_byte_by_byte() -> None:
    assert control_model() == small_network(seed=7, channels=8)


def test_the_control_model_has_one_of_everything_a_classifier_has() -> None:
    graph = read_graph(control_model(), where="control")
    assert {operator.op for operator in graph.operators} >= {
        *("CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MAX_POOL_2D"),
        *("FULLY_CONNECTED", "SOFTMAX"),
    }


def test_distance_is_told_in_millionths_of_the_median() -> None:
    assert ppm_beside(100.1, [99.0, 100.0, 200.0]) == 1000.0
    assert ppm_beside(99.9, [100.0]) == -1000.0
    assert ppm_beside(100.0, []) is None


def test_control_runs_of_another_image_or_clock_are_not_compared() -> None:
    key = key_of(make_measurement())
    assert key == key_of(make_measurement(cycles=5, started_at="later"))
    for change in (
        {"image_sha256": "9" * 64},
        {"sysclk_hz": 1},
        {"flash_wait_states": 0},
        {"engine_version": "2"},
    ):
        assert key_of(make_measurement(**change)) != key
