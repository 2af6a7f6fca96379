"""What does an inference cost in energy? The meter as a protocol, the method, and the value with
its uncertainty. Knows no particular meter, no line and no model.

A meter says what the unit drew in an acquisition, not what it did meanwhile: nothing tells it
when an inference begins. So inferences are run in bursts, and what the unit draws while it waits
for the next request is measured on its own and taken off the time between them:

    energy of one = (joules of the burst - idle watts * (seconds of the burst - seconds inferring))
                    / inferences

Seconds of the burst are the meter's (samples by rate), seconds inferring the unit's own (cycles by
clock), so that the two clocks and the host's need not be aligned. What one inference comes to
contains all that the unit draws while it infers, idle share included, and what the handling of its
request and reply draws beyond idle.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from harness.errors import MeasurementRefusedError

METHOD = "bursts without the idle between, 1"
BURSTS = 3
BURST_S = 1.0  # at least: a hundred samples at 100 Hz
INFERENCES_MIN = 10  # of a burst
IDLE_S = 1.0


@dataclass(frozen=True)
class Acquisition:
    """What a meter saw: `joules` in `samples` of 1 / sample_rate_hz seconds each, at `volts`, the
    supply voltage that was set."""

    joules: float
    samples: int
    sample_rate_hz: float
    volts: float

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate_hz

    @property
    def watts(self) -> float:
        return self.joules / self.seconds

    @property
    def mean_amps(self) -> float:
        return self.watts / self.volts


class EnergyMeter(Protocol):
    """A meter in a unit's supply; a context manager that opens it and gives it back.

    name: kind, own id and firmware. accuracy: of joules, as a share, by its manual. start()
    returns once samples come, and drops an acquisition that still runs. Both keep deadlines of
    their own and raise MeterError.
    """

    @property
    def name(self) -> str: ...
    @property
    def accuracy(self) -> float: ...
    def start(self) -> None: ...
    def stop(self) -> Acquisition: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


@dataclass(frozen=True)
class Burst:
    """`inferences` in one acquisition, busy_s seconds of it by the unit's own count of cycles."""

    acquisition: Acquisition
    inferences: int
    busy_s: float

    @property
    def idle_s(self) -> float:
        return self.acquisition.seconds - self.busy_s

    def joules_each(self, idle_watts: float) -> float:
        return (self.acquisition.joules - idle_watts * self.idle_s) / self.inferences


@dataclass(frozen=True)
class Energy:
    """Energy of one inference. uj: median of raw_uj, one value a burst, microjoules.
    uncertainty_uj: see Energy.of(). idle_uw: what was taken off between inferences, microwatts.
    meter, volts, method: what must stand beside it. idle, bursts: all it was computed from."""

    uj: float
    uncertainty_uj: float
    raw_uj: tuple[float, ...]
    idle_uw: float
    meter: str
    volts: float
    method: str
    idle: tuple[Acquisition, ...]
    bursts: tuple[Burst, ...]

    @classmethod
    def of(
        cls, meter: str, accuracy: float, idle: Sequence[Acquisition], bursts: Sequence[Burst]
    ) -> Energy:
        """The uncertainty is a bound, not a deviation: half the spread of the bursts, plus half
        the spread of the idle powers over the longest idle time beside an inference, plus the
        meter's accuracy of the result.

        Raises:
            MeasurementRefusedError: a burst is shorter than its inferences, or costs nothing.
        """
        idle_watts = statistics.median(each.watts for each in idle)
        raw = [burst.joules_each(idle_watts) for burst in bursts]
        for burst, joules in zip(bursts, raw, strict=True):
            if burst.idle_s < 0 or joules <= 0:
                raise MeasurementRefusedError(
                    "the energy of an inference does not add up",
                    where=meter,
                    expected=f"{burst.inferences} inferences of {burst.busy_s:.3f} s in all, that "
                    "draw something",
                    got=f"{joules * 1e6:.3f} uJ each, of {burst.acquisition.joules:.6f} J in "
                    f"{burst.acquisition.seconds:.3f} s at an idle power of {idle_watts:.6f} W",
                    hint="is this meter in the supply of this unit, and the unit's clock right?",
                )
        median = statistics.median(raw)
        gap_s = max(burst.idle_s / burst.inferences for burst in bursts)
        powers = [each.watts for each in idle]
        uncertainty = (
            (max(raw) - min(raw)) / 2 + (max(powers) - min(powers)) / 2 * gap_s + accuracy * median
        )
        return cls(
            uj=1e6 * median,
            uncertainty_uj=1e6 * uncertainty,
            raw_uj=tuple(1e6 * joules for joules in raw),
            idle_uw=1e6 * idle_watts,
            meter=meter,
            volts=bursts[0].acquisition.volts,
            method=METHOD,
            idle=tuple(idle),
            bursts=tuple(bursts),
        )

    @property
    def meter_kind(self) -> str:
        """Two meters of one kind are compared, as two units of one board are."""
        return self.meter.split(maxsplit=1)[0]

    @property
    def label(self) -> str:
        """What must stand beside the number."""
        return f"{self.meter}, {self.volts:g} V, {self.method}"

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> Energy:
        """The inverse of dataclasses.asdict(). Raises KeyError or TypeError on anything else."""
        idle = tuple(Acquisition(**each) for each in table["idle"])
        bursts = tuple(
            Burst(**{**each, "acquisition": Acquisition(**each["acquisition"])})
            for each in table["bursts"]
        )
        return cls(**{**table, "raw_uj": tuple(table["raw_uj"]), "idle": idle, "bursts": bursts})


def measure_energy(
    meter: EnergyMeter, prepare: Callable[[], None], infer: Callable[[], float]
) -> Energy:
    """The energy of one inference of a unit that runs nothing else: idle, BURSTS bursts, idle.

    prepare() is called before each burst, outside it; infer() runs one inference and returns its
    seconds by the unit's own counter.

    Raises:
        MeterError: the meter fails, or is silent.
        MeasurementRefusedError: the numbers contradict each other.
    """
    idle = [_idle(meter)]
    bursts = []
    for _ in range(BURSTS):
        prepare()
        bursts.append(_burst(meter, infer))
    idle.append(_idle(meter))
    return Energy.of(meter.name, meter.accuracy, idle, bursts)


def _idle(meter: EnergyMeter) -> Acquisition:
    meter.start()
    time.sleep(IDLE_S)
    return meter.stop()


def _burst(meter: EnergyMeter, infer: Callable[[], float]) -> Burst:
    inferences, busy_s = 0, 0.0
    meter.start()
    end = time.monotonic() + BURST_S
    while inferences < INFERENCES_MIN or time.monotonic() < end:
        busy_s += infer()
        inferences += 1
    return Burst(meter.stop(), inferences, busy_s)
