"""What each tier cost and turned down is counted from what candidates say of themselves."""

from __future__ import annotations

import pytest

from search.evaluation import Outcome
from search.report.tiers import Tier, reasons_of, tiers_of
from tests.measurements import make_measurement
from tests.search.evaluations import make_evaluation, make_rejected

ON_BOARD = make_measurement()


def test_a_candidate_enters_every_tier_up_to_where_it_ended() -> None:
    outcomes = [
        make_rejected(tier="analytic", spent={"analytic": 0.5}),
        make_rejected(
            tier="measured", untrained=ON_BOARD, spent={"analytic": 0.5, "measured": 2.0}
        ),
        make_rejected(
            tier="short",
            untrained=ON_BOARD,
            short_error=0.4,
            spent={"analytic": 0.5, "measured": 2.0, "short": 4.0},
        ),
        make_evaluation(
            short_error=0.2, spent={"analytic": 0.5, "measured": 2.0, "short": 4.0, "full": 30.0}
        ),
    ]

    assert tiers_of(outcomes) == (
        Tier("analytic", entered=4, rejected=1, failed=0, seconds=2.0, timed=4),
        Tier("measured", entered=3, rejected=1, failed=0, seconds=6.0, timed=3),
        Tier("short", entered=2, rejected=1, failed=0, seconds=8.0, timed=2),
        Tier("full", entered=1, rejected=0, failed=0, seconds=30.0, timed=1),
    )
    assert [tier.passed for tier in tiers_of(outcomes)] == [3, 2, 1, 1]


def test_an_older_journal_counts_and_has_no_times() -> None:
    outcomes = [
        make_rejected(tier="analytic"),
        make_rejected(tier="measured", untrained=ON_BOARD),
        make_evaluation(),
    ]

    tiers = tiers_of(outcomes)

    assert [(tier.name, tier.entered, tier.rejected) for tier in tiers] == [
        ("analytic", 3, 1),
        ("measured", 2, 1),
        ("full", 1, 0),
    ]
    assert all(tier.seconds is None and tier.timed == 0 for tier in tiers)


@pytest.mark.parametrize(
    ("outcome", "tier"),
    [
        (make_rejected(), "measured"),
        (make_rejected(untrained=ON_BOARD), "full"),
        (make_rejected(spent={"analytic": 0.1}), "measured"),
        (make_rejected(untrained=ON_BOARD, spent={"measured": 1.0, "short": 1.0}), "short"),
    ],
)
def test_a_failure_counts_where_it_happened(outcome: Outcome, tier: str) -> None:
    last = tiers_of([outcome])[-1]

    assert (last.name, last.failed, last.rejected, last.passed) == (tier, 1, 0, 0)


def test_a_tier_of_a_later_version_stands_behind_those_known() -> None:
    tiers = tiers_of([make_evaluation(spent={"finalists": 9.0, "full": 1.0})])

    assert [tier.name for tier in tiers] == ["analytic", "measured", "full", "finalists"]


def test_finalists_are_a_tier_of_their_own_behind_all_others() -> None:
    finalists = [
        make_evaluation(spent={"finalist": 50.0}),
        make_rejected(tier="measured", spent={"finalist": 30.0}),
        make_rejected(tier="failed"),
    ]

    *before, last = tiers_of([make_evaluation(spent={"full": 9.0, "later": 1.0})], finalists)

    assert [tier.name for tier in before] == ["analytic", "measured", "full", "later"]
    assert last == Tier("finalist", entered=3, rejected=1, failed=1, seconds=80.0, timed=2)
    assert last.passed == 1


def test_no_candidates_meet_no_tier() -> None:
    assert tiers_of([]) == () == reasons_of([])


def test_reasons_that_differ_in_the_value_alone_are_one() -> None:
    over = "measured latency {} exceeds the bound of 80,000 us"
    outcomes = [
        make_rejected(tier="failed", reason="diverged"),
        make_rejected(tier="measured", reason=over.format("80,001")),
        make_rejected(tier="measured", reason=over.format("1.5e+06")),
        make_rejected(tier="measured", reason="does not fit"),
        make_rejected(tier="short", reason="place 3 of 4 after short training, and 2 go on: a"),
        make_rejected(tier="short", reason="place 9 of 9 after short training, and 4 go on: b"),
        make_evaluation(),
    ]

    assert [(reason.tier, reason.why, reason.count) for reason in reasons_of(outcomes)] == [
        ("measured", "measured latency exceeds 80,000 us", 2),
        ("measured", "does not fit", 1),
        ("short", "not among the best after short training", 2),
        ("failed", "diverged", 1),
    ]
