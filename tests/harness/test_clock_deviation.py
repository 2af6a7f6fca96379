"""A clock held against the host's: what two readings of a counter that wraps prove."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness import clock_deviation
from harness.clock_deviation import (
    HOST_PPM,
    Deviation,
    Reading,
    deviation_between,
    measure_deviation,
)
from harness.errors import MeasurementRefusedError

HZ = 168_000_000


@dataclass
class Unit:
    """A unit whose clock runs at `hz`, behind a line, and the host's clock. delays_s: of each
    request; of its reply."""

    hz: float
    delays_s: list[tuple[float, float]] = field(default_factory=list)
    at_reset: int = 0
    now_s: float = 1000.0

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def cycles(self) -> int:
        there, back = self.delays_s.pop(0) if self.delays_s else (0.0005, 0.0005)
        self.now_s += there
        counted = int((self.now_s - 1000.0) * self.hz + self.at_reset) % 2**32
        self.now_s += back
        return counted


def measure(unit: Unit, sysclk_hz: int = HZ) -> Deviation:
    return measure_deviation(unit, sysclk_hz, now=unit.now, sleep=unit.sleep)


delays = st.tuples(st.floats(0, 0.3), st.floats(0, 0.3))


@given(
    sysclk_hz=st.integers(16_000_000, 180_000_000),
    ppm=st.floats(-500_000, 900_000),
    at_reset=st.integers(0, 2**32 - 1),
    first=delays,
    second=delays,
    apart_s=st.floats(0.01, 11),
)
def test_the_truth_lies_in_what_two_readings_prove(
    sysclk_hz: int,
    ppm: float,
    at_reset: int,
    first: tuple[float, float],
    second: tuple[float, float],
    apart_s: float,
) -> None:
    """Whatever the line does, and wherever the counter wraps."""
    assume((sum(first) + apart_s + sum(second)) * 2 * sysclk_hz < 2**32)
    unit = Unit(sysclk_hz * (1 + ppm / 1e6), [first, second], at_reset)
    readings = []
    for _ in range(2):
        sent_s = unit.now()
        cycles = unit.cycles()
        readings.append(Reading(sent_s, unit.now(), cycles))
        unit.sleep(apart_s)
    found = deviation_between(*readings, sysclk_hz)
    assert found.low_ppm <= ppm <= found.high_ppm
    assert not found.exceeds(abs(ppm))


def test_an_exact_clock_is_told_within_a_per_mille() -> None:
    """Round trips of 1 ms in 5 s are 200 ppm, and the host's clock is good to 500."""
    found = measure(Unit(HZ))
    assert found.ppm == pytest.approx(0, abs=1)
    assert found.uncertainty_ppm == pytest.approx(HOST_PPM + 200, rel=0.01)
    assert not found.exceeds(60)


@pytest.mark.parametrize("at_reset", [0, 2**32 - 1])
@pytest.mark.parametrize("factor", [0.96, 1.02])
def test_a_clock_that_is_off_is_found_wherever_its_counter_wraps(
    factor: float, at_reset: int
) -> None:
    found = measure(Unit(factor * HZ, at_reset=at_reset))
    assert found.ppm == pytest.approx(1e6 * (factor - 1), abs=2)
    assert found.exceeds(10_000) and not found.exceeds(50_000)


def test_the_quickest_readings_count() -> None:
    slow = (0.1, 0.2)
    found = measure(Unit(HZ, [slow, slow, (0.0, 0.0), slow, slow, slow, (0.0, 0.0), slow]))
    assert found.uncertainty_ppm == pytest.approx(HOST_PPM, abs=5)


def test_a_line_that_is_too_slow_is_said_with_its_round_trips() -> None:
    with pytest.raises(
        MeasurementRefusedError,
        match=r"cannot be told exactly enough \(expected within 3,000 ppm, got within "
        r".* ppm, by round trips of 0\.100 s\); try again on a host that is less busy",
    ):
        measure(Unit(HZ, [(0.05, 0.05)] * 10))


@pytest.mark.parametrize("apart_s", [-0.1, 12.8])
def test_readings_that_prove_nothing_are_refused(apart_s: float) -> None:
    """Behind 12.8 s at 168 MHz a counter that runs at twice the speed has wrapped."""
    first, second = Reading(1.0, 1.01, 0), Reading(1.0 + apart_s, 1.01 + apart_s, 0)
    with pytest.raises(
        MeasurementRefusedError, match=r"expected more than 0 and less than 12\.8 s between them"
    ):
        deviation_between(first, second, HZ)


def test_a_host_that_stands_still_meanwhile_is_no_deviation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clock_deviation, "INTERVAL_S", 13.0)
    with pytest.raises(MeasurementRefusedError, match="try again on a host that is less busy"):
        measure(Unit(HZ))


def test_it_reads_as_a_share() -> None:
    assert str(Deviation(19_000, 21_000)) == "+2.00 % (+- 0.10 %)"
