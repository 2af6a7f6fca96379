"""The ladder: which rung answers which failure, in which order, and what is written down."""

from __future__ import annotations

import inspect

import pytest

from harness import errors
from harness.errors import (
    BuildError,
    CompileError,
    FirmwareFaultError,
    FrameError,
    HilnasError,
    LinkError,
    MalformedModelError,
    MeasurementRefusedError,
    NoReplyError,
    ProbeError,
    UnitGoneError,
    UnitInUseError,
    WrongImageError,
)
from harness.recovery import LADDER, Rung, Taken, climb, rungs_of

FAULT = FirmwareFaultError("BusFault", kind="bus", registers={})


class Failing:
    """An attempt that ends with these errors in turn, then well; `trace` is what happened."""

    def __init__(self, *failures: HilnasError, rungs: tuple[Rung, ...] = tuple(Rung)[:3]) -> None:
        self.failures, self.trace, self.taken = list(failures), [], []
        self.take = {rung: lambda rung=rung: self.trace.append(rung) for rung in rungs}

    def attempt(self) -> str:
        self.trace.append("attempt")
        if self.failures:
            raise self.failures.pop(0)
        return "measured"

    def climb(self) -> str:
        return climb(self.attempt, self.take, self.taken.append)


def test_what_does_not_fail_takes_no_rung() -> None:
    unit = Failing()
    assert unit.climb() == "measured"
    assert (unit.trace, unit.taken) == (["attempt"], [])


def test_silence_is_answered_rung_by_rung_until_it_ends() -> None:
    silence = NoReplyError("no reply", where="left")
    unit = Failing(silence, silence, silence)
    assert unit.climb() == "measured"
    assert unit.trace[1::2] == [Rung.RETRY, Rung.RESET, Rung.POWER_CYCLE]
    assert [(step.rung, step.error, step.result) for step in unit.taken] == [
        (Rung.RETRY, silence, "left: no reply"),
        (Rung.RESET, silence, "left: no reply"),
        (Rung.POWER_CYCLE, silence, "good"),
    ]


@pytest.mark.parametrize(
    ("error", "first"),
    [
        (FrameError("noise"), Rung.RETRY),
        (ProbeError("the target does not answer"), Rung.RETRY),
        (WrongImageError("old firmware"), Rung.RESET),
        (UnitGoneError("no port"), Rung.POWER_CYCLE),
        (FAULT, Rung.RETRY),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_class_of_a_failure_decides_where_the_ladder_begins(
    error: HilnasError, first: Rung
) -> None:
    unit = Failing(error)
    assert unit.climb() == "measured"
    assert [step.rung for step in unit.taken] == [first]


@pytest.mark.parametrize(
    ("error", "rungs"),
    [(LinkError("port"), [Rung.RETRY, Rung.POWER_CYCLE]), (FAULT, [Rung.RETRY, Rung.RESET])],
    ids=lambda value: type(value).__name__,
)
def test_the_class_of_a_failure_decides_what_is_left_out(
    error: HilnasError, rungs: list[Rung]
) -> None:
    unit = Failing(*[error] * 9)
    with pytest.raises(type(error)):
        unit.climb()
    assert [step.rung for step in unit.taken] == rungs


def test_another_failure_on_the_way_never_leads_down_again() -> None:
    unit = Failing(WrongImageError("old firmware"), NoReplyError("silence"), FAULT)
    with pytest.raises(FirmwareFaultError):
        unit.climb()
    assert [step.rung for step in unit.taken] == [Rung.RESET, Rung.POWER_CYCLE]


def test_a_rung_that_fails_itself_leads_to_the_next() -> None:
    unit = Failing(NoReplyError("silence"), NoReplyError("silence"))

    def refuse() -> None:
        raise ProbeError("cannot connect")

    unit.take[Rung.RESET] = refuse
    assert unit.climb() == "measured"
    assert [(step.rung, step.result) for step in unit.taken] == [
        (Rung.RETRY, "silence"),
        (Rung.RESET, "cannot connect"),
        (Rung.POWER_CYCLE, "good"),
    ]


def test_a_unit_without_a_power_switch_goes_without_that_rung() -> None:
    unit = Failing(*[NoReplyError("silence")] * 9, rungs=(Rung.RETRY, Rung.RESET))
    with pytest.raises(NoReplyError):
        unit.climb()
    assert [step.rung for step in unit.taken] == [Rung.RETRY, Rung.RESET]


@pytest.mark.parametrize(
    "error",
    [
        MeasurementRefusedError("outputs differ"),
        MalformedModelError("truncated"),
        CompileError("no"),
        BuildError("no"),
        UnitInUseError("taken"),
        HilnasError("anything"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_no_unit_is_to_blame_for_is_not_recovered(error: HilnasError) -> None:
    unit = Failing(error)
    with pytest.raises(type(error)):
        unit.climb()
    assert (unit.trace, unit.taken) == (["attempt"], [])


def test_the_table_decides_for_every_failure_of_a_unit_or_a_model() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    undecided = {kind for kind in kinds if not any(base in LADDER for base in kind.__mro__)}
    assert {kind.__name__ for kind in undecided} == {
        "HilnasError",
        *("UsageError", "ConfigError", "UnknownBoardError", "DatasetError"),
        *("ImageError", "NotComparableError", "JournalError"),
    }


def test_every_rung_has_a_name_for_people() -> None:
    assert [rung.label for rung in rungs_of(NoReplyError("silence"))] == [
        "retry",
        "reset under connect",
        "power cycle",
        "quarantine",
    ]
    assert Taken(Rung.RETRY, FAULT, "good", 0.0).rung.label == "retry"
