"""Ancestors are those that the journal names, and each step says what changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.config import SpaceChoice
from search.report.ancestry import trace
from search.report.candidate import Candidate
from search.report.difference import brief, differences
from search.space import open_space
from tests.search.evaluations import make_evaluation
from tests.search.genotypes import branch, conv, depthwise, network, pointwise, series


def candidate(index: int, archid: str, parent: str | None, genotype=None, **changes) -> Candidate:
    outcome = make_evaluation(genotype or network(series(conv(index + 1))), **changes)
    return Candidate(index, replace(outcome, archid=archid, parent=parent))


def test_a_chain_leads_from_the_oldest_ancestor_to_the_network() -> None:
    family = [
        candidate(0, "a", None),
        candidate(1, "x", "a"),
        candidate(2, "b", "a"),
        candidate(3, "c", "b", sparsity=0.25),
    ]

    ancestry = trace(family, "c")

    assert [step.candidate.archid for step in ancestry.steps] == ["a", "b", "c"]
    assert [step.changes for step in ancestry.steps] == [
        (),
        ("blocks[0].layers[0].filters: 1 -> 3",),
        ("blocks[0].layers[0].filters: 3 -> 4", "sparsity: 0.00 -> 0.25"),
    ]
    assert ancestry.describe() == "2 steps from a, which names no parent: drawn at random."


def test_a_parent_that_is_not_in_the_journal_ends_the_chain_by_name() -> None:
    ancestry = trace([candidate(1, "b", "lost")], "b")

    assert ancestry.describe() == "The parent of b, lost, is not in the journal."


def test_a_damaged_journal_leads_in_no_circle() -> None:
    family = [candidate(0, "a", "b"), candidate(1, "b", "a")]

    assert [step.candidate.archid for step in trace(family, "b").steps] == ["a", "b"]
    assert trace(family, "b").lost_parent == "b"


def test_an_unknown_archid_is_refused() -> None:
    with pytest.raises(ValueError, match="no candidate has the archid z"):
        trace([candidate(0, "a", None)], "z")


def test_what_was_put_in_does_not_make_all_behind_it_differ() -> None:
    first, last = series(conv(4)), series(pointwise(9), depthwise())
    before = network(first, last).to_json()
    after = network(first, series(depthwise(5, batch_norm=True)), last).to_json()

    added = "layers [depthwise, kernel 5, stride 1, batch_norm, relu]"
    assert differences(before, after) == [f"blocks[1] added: {added}"]
    assert differences(after, before) == [f"blocks[1] removed: {added}"]


def test_the_alignment_with_the_fewest_differing_values_is_told() -> None:
    """A removed series block makes the branch behind it take its place."""
    kept, wide = series(conv(4)), dict(kernel=7, stride=2)
    before = network(kept, series(conv(8)), branch(conv(None, **wide))).to_json()
    after = network(kept, series(conv(9, **wide))).to_json()

    assert differences(before, after) == [
        "blocks[1] removed: layers [conv, kernel 3, filters 8, stride 1, relu]",
        "blocks[1].branch: on -> off",
        "blocks[1].layers[0].filters: none -> 9",
    ]


def test_lists_of_numbers_are_one_value() -> None:
    assert differences({"dense": [10, 20]}, {"dense": [10]}) == ["dense: 10 20 -> 10"]
    assert brief({"kind": "conv", "pool": None, "kernel": [3, 1], "relu": True}) == (
        "conv, kernel 3 1, relu"
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from(["munas", "mobile", "resnet", "cnn1d"]))
def test_every_morphism_of_every_space_has_a_difference(seed: int, name: str) -> None:
    space, rng = open_space(SpaceChoice(name=name)), np.random.default_rng(seed)
    parent = space.sample(rng)
    _, child = space.morph(parent, rng)

    assert differences(parent.to_json(), child.to_json())
    assert differences(parent.to_json(), parent.to_json()) == []
