"""Energy of an inference: the arithmetic, its uncertainty, and what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from types import TracebackType
from typing import Self

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness import energy
from harness.energy import METHOD, Acquisition, Burst, Energy, EnergyMeter, measure_energy
from harness.errors import MeasurementRefusedError

IDLE_W, BUSY_W = 0.060, 0.090


def acquisition(seconds: float, joules: float) -> Acquisition:
    return Acquisition(joules, round(seconds * 100), 100.0, 3.3)


def idle(watts: float = IDLE_W, seconds: float = 1.0) -> Acquisition:
    return acquisition(seconds, watts * seconds)


def burst(busy_s: float, seconds: float = 2.0, inferences: int = 10, more_j: float = 0) -> Burst:
    joules = BUSY_W * busy_s + IDLE_W * (seconds - busy_s) + more_j
    return Burst(acquisition(seconds, joules), inferences, busy_s)


class Ideal:
    """A meter without error of a unit that idles at IDLE_W and infers at BUSY_W. Its time passes
    with work(): it needs neither clock nor line."""

    name = "ideal 1, firmware 1.0.0"
    accuracy = 0.0

    def __init__(self) -> None:
        self.starts = 0
        self._busy_s = 0.0

    def start(self) -> None:
        self.starts += 1
        self._busy_s = 0.0

    def work(self, seconds: float) -> float:
        self._busy_s += seconds
        return seconds

    def stop(self) -> Acquisition:
        seconds = 2 * self._busy_s + 1.0  # as much idle as busy, and an idle second
        return acquisition(seconds, BUSY_W * self._busy_s + IDLE_W * (seconds - self._busy_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "IDLE_S", 0.0)
    monkeypatch.setattr(energy, "BURST_S", 0.0)


def test_an_inference_costs_what_is_drawn_while_it_runs(at_once: None) -> None:
    ideal: EnergyMeter = (meter := Ideal())
    prepared: list[int] = []
    measured = measure_energy(
        ideal, lambda: prepared.append(meter.starts), lambda: meter.work(0.05)
    )
    assert measured.uj == pytest.approx(1e6 * BUSY_W * 0.05)
    assert measured.idle_uw == pytest.approx(1e6 * IDLE_W)
    assert [each.inferences for each in measured.bursts] == [10, 10, 10]
    assert (len(measured.idle), meter.starts) == (2, 5)
    assert prepared == [1, 2, 3], "outside the bursts"
    assert measured.label == f"ideal 1, firmware 1.0.0, 3.3 V, {METHOD}"


@given(st.floats(0.001, 0.2), st.floats(0.001, 0.2), st.floats(0.0001, 1.0), st.integers(10, 200))
def test_however_long_the_unit_idles_between_the_result_is_the_same(
    idle_w: float, busy_w: float, each_s: float, inferences: int
) -> None:
    busy_s = each_s * inferences
    results = []
    for more_s in (0.5, 5.0):
        samples = int((busy_s + more_s) * 100) + 1
        seconds = samples / 100
        joules = busy_w * busy_s + idle_w * (seconds - busy_s)
        each = Burst(Acquisition(joules, samples, 100.0, 3.3), inferences, busy_s)
        assume(each.joules_each(idle_w) > 0)
        results.append(Energy.of("m", 0.0, [idle(idle_w)], [each]).uj)
    assert results == pytest.approx([1e6 * busy_w * each_s] * 2, rel=1e-6, abs=1e-3)


def test_the_uncertainty_adds_up_meter_spread_and_idle() -> None:
    accurate = Energy.of("m", 0.03, [idle()], [burst(1.0)])
    assert accurate.uncertainty_uj == pytest.approx(0.03 * accurate.uj)
    spread = Energy.of("m", 0.0, [idle()], [burst(1.0), burst(1.0, more_j=0.01)])
    assert spread.uncertainty_uj == pytest.approx(1e6 * 0.01 / 10 / 2)
    drifting = Energy.of("m", 0.0, [idle(0.059), idle(0.061)], [burst(1.0)])
    assert drifting.uncertainty_uj == pytest.approx(1e6 * 0.001 * 0.1), "0.1 s idle beside each"


@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        (burst(3.0), "got 27000.000 uJ each, of 0.210000 J in 2.000 s at"),
        (burst(1.0, more_j=-0.2), "uJ each, of -0.050000 J in 2.000 s at"),
    ],
    ids=["longer than the acquisition", "less than nothing"],
)
def test_what_does_not_add_up_is_refused(wrong: Burst, got: str) -> None:
    with pytest.raises(MeasurementRefusedError, match="does not add up") as caught:
        Energy.of("lpm01a x", 0.03, [idle()], [burst(1.0), wrong])
    assert got in str(caught.value)


def test_json_round_trips_with_all_raw_values() -> None:
    measured = Energy.of("m", 0.03, [idle(), idle(0.061)], [burst(1.0), burst(1.1)])
    assert Energy.from_json(json.loads(json.dumps(asdict(measured)))) == measured
