"""Bounds that nobody keeps are doubted early and given up late; one that keeps them ends both."""

from __future__ import annotations

import pytest

from search import prospects
from search.config import Bounds
from search.evaluation import Outcome
from search.prospects import Prospects
from tests.search.evaluations import make_evaluation, make_rejected

BOUNDS = Bounds(flash_bytes=10_000)
ANALYTIC = make_rejected(tier="analytic")
FAILED = make_rejected(tier="failed")
INSIDE = make_evaluation()
NEAR = "c" * 16


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prospects, "HOPELESS_REJECTIONS", 3)
    monkeypatch.setattr(prospects, "HOPELESS_MEASUREMENTS", 4)
    monkeypatch.setattr(prospects, "DOUBTFUL_MEASUREMENTS", 2)


def measured(flash_bytes: int = 20_000, archid: str = "a" * 16) -> Outcome:
    untrained = make_evaluation(flash_bytes=flash_bytes).measured
    return make_rejected(tier="measured", archid=archid, untrained=untrained)


def after(*outcomes: Outcome) -> Prospects:
    found = Prospects(BOUNDS)
    for outcome in outcomes:
        found.asked(is_rejected=getattr(outcome, "tier", "") == "analytic")
        found.told(outcome)
    return found


@pytest.mark.parametrize(
    ("outcomes", "are_hopeless"),
    [
        ([], False),
        ([ANALYTIC] * 2, False),
        ([ANALYTIC] * 3, True),
        ([ANALYTIC] * 2 + [FAILED, ANALYTIC], False),
        ([INSIDE] + [ANALYTIC] * 3, True),
        ([measured()] * 3, False),
        ([measured(), ANALYTIC] * 4, True),
        ([measured()] * 4 + [FAILED], True),
        ([INSIDE] + [measured()] * 4, False),
        ([make_rejected(tier="short")] + [measured()] * 4, False),
    ],
)
def test_asking_ends_after_so_many_in_a_row_or_so_many_measured_before_anybody_kept_them(
    outcomes: list[Outcome], are_hopeless: bool
) -> None:
    assert after(*outcomes).are_hopeless == are_hopeless


def test_doubt_is_said_once_and_names_the_nearest() -> None:
    found = after(measured(30_000, "b" * 16), ANALYTIC)
    early = found.doubt()
    found.told(measured(20_000, NEAR))

    assert early == ""
    assert found.doubt() == (
        f"none of 3 candidates kept the bounds, 2 of them as measured; the nearest was {NEAR}: "
        "measured flash 20,000 exceeds the bound of 10,000 bytes; going on"
    )
    assert found.doubt() == ""


def test_nobody_doubts_bounds_that_were_kept() -> None:
    assert after(INSIDE, measured(), measured()).doubt() == ""


@pytest.mark.parametrize("outcomes", [[], [FAILED], [INSIDE, measured()], [INSIDE, ANALYTIC]])
def test_there_is_no_verdict_where_bounds_turned_nobody_down_or_somebody_kept_them(
    outcomes: list[Outcome],
) -> None:
    assert after(*outcomes).verdict == ""


def test_the_verdict_counts_all_and_needs_no_numbers() -> None:
    """A model that did not fit the board was not measured."""
    assert after(make_rejected(tier="measured"), FAILED).verdict == (
        "none of 2 candidates kept the bounds, 1 of them as measured"
    )


@pytest.mark.parametrize(
    ("outcomes", "is_final"),
    [
        ([ANALYTIC], True),
        ([ANALYTIC, measured()], False),
        ([ANALYTIC, FAILED], False),
        ([measured()] * 4, True),
        ([measured()] + [ANALYTIC] * 3, True),
        ([measured(), INSIDE] + [ANALYTIC] * 2, False),
    ],
)
def test_a_used_up_space_proves_something_only_where_enough_were_tried(
    outcomes: list[Outcome], is_final: bool
) -> None:
    assert after(*outcomes).is_verdict_final == is_final
