"""What is done about a unit that fails? A ladder of rungs; the class of the failure decides on
which it begins and which are left out. Knows no units: whoever climbs brings what a rung does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from harness.errors import (
    BoardError,
    BuildError,
    FirmwareFaultError,
    FrameError,
    HilnasError,
    LinkError,
    MeasurementRefusedError,
    MeterError,
    ModelError,
    NoReplyError,
    NoUnitError,
    ProbeError,
    QuarantinedError,
    RequestRefusedError,
    UnitGoneError,
    UnitInUseError,
    WrongImageError,
)

T = TypeVar("T")


class Rung(IntEnum):
    """In the order in which they are climbed. RETRY: the same once more, on a line opened anew,
    with the image flashed anew. RESET: the chip is taken hold of under reset first. POWER_CYCLE:
    the unit's own command takes its power away and gives it back. QUARANTINE: a control run tells
    whether the unit is to blame; if so it is set aside."""

    RETRY = 1
    RESET = 2
    POWER_CYCLE = 3
    QUARANTINE = 4

    @property
    def label(self) -> str:
        return _LABELS[self]


_LABELS = {
    Rung.RETRY: "retry",
    Rung.RESET: "reset under connect",
    Rung.POWER_CYCLE: "power cycle",
    Rung.QUARANTINE: "quarantine",
}
_ALL = tuple(Rung)
_NOT_THE_UNIT: tuple[Rung, ...] = ()

# The one place that decides. A class that is not here is its base class's; without one in here it
# is nothing that a unit can be blamed for.
LADDER: dict[type[HilnasError], tuple[Rung, ...]] = {
    NoReplyError: _ALL,
    FrameError: _ALL,
    RequestRefusedError: _ALL,
    # The port itself: a reset of the chip does not mend it, new power may.
    LinkError: (Rung.RETRY, Rung.POWER_CYCLE, Rung.QUARANTINE),
    # So it is with the line to its meter, without whose supply it does not run.
    MeterError: (Rung.RETRY, Rung.POWER_CYCLE, Rung.QUARANTINE),
    # A target that does not answer (it sleeps, or runs wild) may do so under reset.
    ProbeError: _ALL,
    BoardError: _ALL,
    # A good flash, and still other firmware: the same once more would end the same.
    WrongImageError: (Rung.RESET, Rung.POWER_CYCLE, Rung.QUARANTINE),
    # Most likely the model's, and repeated by it; new power rarely tells more than a reset.
    FirmwareFaultError: (Rung.RETRY, Rung.RESET, Rung.QUARANTINE),
    # Nothing to reset or to reopen; away is not broken.
    UnitGoneError: (Rung.POWER_CYCLE,),
    UnitInUseError: _NOT_THE_UNIT,
    QuarantinedError: _NOT_THE_UNIT,
    NoUnitError: _NOT_THE_UNIT,
    MeasurementRefusedError: _NOT_THE_UNIT,
    ModelError: _NOT_THE_UNIT,
    BuildError: _NOT_THE_UNIT,
}


@dataclass(frozen=True)
class Taken:
    """A rung that was taken: because of which error, with which result ("good", or the next
    error), and how long that took, the attempt behind it included."""

    rung: Rung
    error: HilnasError
    result: str
    seconds: float


def rungs_of(error: HilnasError) -> tuple[Rung, ...]:
    """What may be done about `error`, in order; empty where the unit is not to blame."""
    return next((LADDER[kind] for kind in type(error).__mro__ if kind in LADDER), _NOT_THE_UNIT)


def climb(
    attempt: Callable[[], T],
    take: Mapping[Rung, Callable[[], None]],
    record: Callable[[Taken], None],
) -> T:
    """What `attempt` returns, as soon as it does: after each failure the next rung is taken that
    the failure's class allows and that is above all those taken before, so that it ends.

    Args:
        attempt, take: each within a deadline of its own. A rung that `take` lacks cannot be taken
            on this unit and is left out. QUARANTINE is the caller's.
        record: told of each rung that was taken.

    Raises:
        HilnasError: the last one, where no rung is left.
    """
    reached = 0
    error: HilnasError | None = None
    while True:
        start = time.monotonic()
        try:
            if error is not None:
                take[Rung(reached)]()
            result = attempt()
        except HilnasError as failure:
            if error is not None:
                record(_taken(reached, error, str(failure), start))
            error = failure
        else:
            if error is not None:
                record(_taken(reached, error, "good", start))
            return result
        left = [rung for rung in rungs_of(error) if rung > reached and rung in take]
        if not left:
            raise error
        reached = left[0]


def _taken(reached: int, error: HilnasError, result: str, start: float) -> Taken:
    return Taken(Rung(reached), error, result, round(time.monotonic() - start, 3))
