"""Outcomes survive the journal: through JSON and back, nothing is lost and nothing is guessed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.evaluation import Cost, Evaluation, Outcome, outcome_from_json, outcome_to_json
from tests.measurements import make_measurement
from tests.search.evaluations import make_evaluation, make_rejected


@given(
    st.builds(
        make_evaluation,
        val_error=st.floats(0, 1),
        cycles=st.integers(1, 10**9),
        slimmed_cost=st.none() | st.builds(Cost, *[st.integers(0)] * 4),
    )
    | st.builds(
        make_rejected,
        tier=st.sampled_from(["analytic", "measured", "short", "failed"]),
        reason=st.text(),
        parent=st.none() | st.text(),
        sparsity=st.floats(0, 0.9),
        short_error=st.none() | st.floats(0, 1),
        spent=st.dictionaries(st.text(), st.floats(0, 1e6)),
        untrained=st.none() | st.builds(make_measurement, cycles=st.integers(1, 10**9)),
    )
)
def test_json_round_trip_gives_an_equal_outcome(outcome: Outcome) -> None:
    text = json.dumps(outcome_to_json(outcome))

    assert outcome_from_json(json.loads(text)) == outcome


def test_an_early_journals_pruned_network_was_counted_slimmed() -> None:
    table = outcome_to_json(make_evaluation(slimmed={"blocks": []}))
    del table["slimmed_cost"]

    outcome = outcome_from_json(table)

    assert isinstance(outcome, Evaluation)
    assert outcome.measured_cost == outcome.cost and outcome.untrained_cost is None


def test_the_two_kinds_are_told_apart() -> None:
    assert outcome_to_json(make_evaluation())["kind"] == "evaluation"
    assert outcome_to_json(make_rejected())["kind"] == "rejected"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"kind": "guess"}, "unknown outcome kind 'guess'"),
        ({"cost": {"macs": 1}}, "model_size_bytes"),
        ({"colour": 1}, "colour"),
    ],
)
def test_other_json_is_refused(changes: dict, error: str) -> None:
    table = {**outcome_to_json(make_rejected()), **changes}

    with pytest.raises((ValueError, TypeError), match=error):
        outcome_from_json(table)
