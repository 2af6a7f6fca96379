"""The campaign in short, and that it sees what it is there to see."""

from __future__ import annotations

import dataclasses

import pytest

from harness.errors import MeasurementRefusedError
from harness.session import Deadlines, Session
from tests.campaign import case as subject
from tests.campaign.case import SAME, Model, build_models, draw_case, run_case
from tests.campaign.faults import (
    FLASH,
    FROM_UNIT,
    PREPARE,
    REPORT,
    RUN,
    TO_UNIT,
    Case,
    Fault,
)
from tests.campaign.run import run_cases, summarise

FAULTS = 200


@pytest.fixture(scope="module")
def models() -> list[Model]:
    return build_models()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no fault; how long things take is for `make campaign` to say."""
    monkeypatch.setattr(subject, "DEADLINES", Deadlines(boot_s=3.0, reply_s=3.0, run_s=3.0))
    monkeypatch.setattr(subject, "BOARD_REPLY_S", 3.0)
    monkeypatch.setattr(subject, "SLACK_S", 60.0)


def one(kind: str, phase: str, direction: str, frame: int = 0, *, at: float = 0.5) -> Case:
    seconds = 1e9 if kind == "freeze" else 0.01
    fault = Fault(kind, phase, direction, frame, at, size=1, seconds=seconds, seed=0)
    return Case(seed=0, number=0, model=0, faults=(fault,))


def test_no_fault_makes_a_wrong_number_or_leaves_something_behind() -> None:
    outcomes = run_cases(seed=7, faults=FAULTS, jobs=4)
    told = [
        f"case {outcome.case.number}: {problem}"
        for outcome in outcomes
        for problem in outcome.problems
        if not problem.startswith("late: ")  # see patience()
    ]
    assert told == []
    summary = summarise(outcomes)
    assert summary["faults"] >= FAULTS
    assert {row["phase"] for row in summary["rows"]} >= {FLASH, PREPARE, RUN, REPORT}
    assert summary["cases_by_result"][SAME] > 0


def test_a_case_is_a_function_of_seed_and_number(models: list[Model]) -> None:
    assert draw_case(3, 14, models) == draw_case(3, 14, models)
    assert len({draw_case(3, number, models).faults for number in range(50)}) == 50


@pytest.mark.parametrize(
    ("case", "result", "where"),
    [
        (one("split", RUN, TO_UNIT), SAME, ""),
        (one("lose", PREPARE, TO_UNIT), SAME, ""),
        (one("lose", RUN, FROM_UNIT), "NoReplyError", RUN),
        (one("close", REPORT, FROM_UNIT), "LinkError", REPORT),
        (one("kill", RUN, TO_UNIT), "BoardError", RUN),
        (one("freeze", RUN, TO_UNIT, at=0), "BoardError", RUN),
        (one("old image", FLASH, TO_UNIT), "WrongImageError", FLASH),
        (one("repeat", RUN, TO_UNIT), SAME, ""),
    ],
    ids=lambda value: value.faults[0].kind if isinstance(value, Case) else str(value),
)
def test_each_fault_has_its_name(models: list[Model], case: Case, result: str, where: str) -> None:
    outcome = run_case(case, models)
    assert (outcome.result, outcome.where, outcome.problems) == (result, where, ())
    assert outcome.fired == case.faults


# Were the harness wrong, would the campaign say so?


def test_a_layer_that_nobody_misses_is_a_wrong_number(
    models: list[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.measure._require_all_layers", lambda *_, **__: None)
    outcome = run_case(one("lose", RUN, FROM_UNIT, 2), models)  # behind the two RunDone
    assert outcome.result == "wrong number"
    assert outcome.problems[0].startswith("wrong number: ")


def test_an_output_that_blames_the_model_is_a_problem(
    models: list[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Session.read_output
    monkeypatch.setattr(
        Session, "read_output", lambda session, index: read(session, index)[:-1] + b"\x01"
    )
    outcome = run_case(dataclasses.replace(one("split", RUN, TO_UNIT), faults=()), models)
    assert outcome.result == MeasurementRefusedError.__name__
    assert outcome.problems[0].startswith("blamed on the model: ")


def test_other_exceptions_late_answers_and_leftovers_are_problems(
    models: list[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(Session, "prepare", stumble)
    monkeypatch.setattr(subject, "SLACK_S", -10.0)
    monkeypatch.setattr(subject, "_TIDY_S", 0.0)
    monkeypatch.setattr(subject, "holder_of", lambda name: "somebody")
    case = dataclasses.replace(one("split", RUN, TO_UNIT), faults=())
    problems = " ".join(run_case(case, models).problems)
    assert "unclassified: KeyError('a bug')" in problems
    assert "late: flash took" in problems
    assert "left behind: the lease" in problems
