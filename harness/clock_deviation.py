"""How far is a unit's clock off? Its counter of cycles is read twice, some seconds apart, and held
against the host's clock: registers say what a clock is set to, not how fast it runs. Knows no
oscillators and no map."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from harness.errors import MeasurementRefusedError

INTERVAL_S = 5.0  # the counter wraps after 23.9 s at 180 MHz
READINGS = 5  # at each end, of which the quickest counts
UNCERTAINTY_MAX_PPM = 3000.0
# What the kernel may speed up or slow down its clock by to keep it right: adjtimex(2).
HOST_PPM = 500.0
_WRAP = 1 << 32


class Counter(Protocol):
    """A unit's counter of cycles, modulo 2^32; see harness.session.Session.cycles."""

    def cycles(self) -> int: ...


@dataclass(frozen=True)
class Reading:
    """`cycles`, modulo 2^32, were what the counter held at some moment from sent_s to received_s,
    seconds of the host's clock."""

    sent_s: float
    received_s: float
    cycles: int

    @property
    def round_trip_s(self) -> float:
        return self.received_s - self.sent_s


@dataclass(frozen=True)
class Deviation:
    """How much faster than it should be a clock runs, in millionths: from low_ppm to high_ppm,
    whatever the line and the host did meanwhile."""

    low_ppm: float
    high_ppm: float

    @property
    def ppm(self) -> float:
        return (self.low_ppm + self.high_ppm) / 2

    @property
    def uncertainty_ppm(self) -> float:
        return (self.high_ppm - self.low_ppm) / 2

    def exceeds(self, tolerance_ppm: float) -> bool:
        """Whether it is certain that the clock is further off."""
        return self.low_ppm > tolerance_ppm or self.high_ppm < -tolerance_ppm

    def __str__(self) -> str:
        return f"{self.ppm / 1e4:+.2f} % (+- {self.uncertainty_ppm / 1e4:.2f} %)"


def deviation_between(first: Reading, second: Reading, sysclk_hz: int) -> Deviation:
    """Of a clock that should make `sysclk_hz` cycles a second. Between the two moments passed at
    least the time from the first's reception to the second's sending, at most that from the
    first's sending to the second's reception.

    Raises:
        MeasurementRefusedError: so much time passed that the counter of a clock of twice the speed
            may have wrapped twice, or the readings overlap.
    """
    least_s = second.sent_s - first.received_s
    most_s = second.received_s - first.sent_s
    if least_s <= 0 or most_s * 2 * sysclk_hz >= _WRAP:
        raise MeasurementRefusedError(
            "the clock cannot be told from these readings of its counter",
            expected=f"more than 0 and less than {_WRAP / 2 / sysclk_hz:.1f} s between them",
            got=f"{least_s:.3f} to {most_s:.3f} s",
            hint="try again on a host that is less busy",
        )
    nominal = (second.cycles - first.cycles) % _WRAP / sysclk_hz
    return Deviation(
        1e6 * (nominal / most_s - 1) - HOST_PPM, 1e6 * (nominal / least_s - 1) + HOST_PPM
    )


def measure_deviation(
    counter: Counter,
    sysclk_hz: int,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Deviation:
    """Of the clock behind `counter`, which should make `sysclk_hz` cycles a second. Takes
    INTERVAL_S. now, sleep: the host's clock.

    Raises:
        MeasurementRefusedError: line or host are too slow for a bound of UNCERTAINTY_MAX_PPM.
        HilnasError: from the counter.
    """
    first = _read(counter, now)
    sleep(INTERVAL_S)
    second = _read(counter, now)
    found = deviation_between(first, second, sysclk_hz)
    if found.uncertainty_ppm > UNCERTAINTY_MAX_PPM:
        slowest_s = max(first.round_trip_s, second.round_trip_s)
        raise MeasurementRefusedError(
            "the clock cannot be told exactly enough",
            expected=f"within {UNCERTAINTY_MAX_PPM:,.0f} ppm",
            got=f"within {found.uncertainty_ppm:,.0f} ppm, by round trips of {slowest_s:.3f} s",
            hint="try again on a host that is less busy",
        )
    return found


def _read(counter: Counter, now: Callable[[], float]) -> Reading:
    readings = []
    for _ in range(READINGS):
        sent_s = now()
        cycles = counter.cycles()
        readings.append(Reading(sent_s, now(), cycles))
    return min(readings, key=lambda each: each.round_trip_s)
