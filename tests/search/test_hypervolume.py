"""The hypervolume is the share of the box below the reference that something found dominates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.fitness import Objectives
from search.hypervolume import hypervolume, hypervolume_history

REFERENCE = {"val_error": 0.5, "latency_us": 1000.0}


def point(val_error: float, latency_us: float, sram_bytes: int = 1) -> Objectives:
    return Objectives(val_error, latency_us, sram_bytes, 1, 1)


def test_one_network_dominates_a_rectangle() -> None:
    assert hypervolume([point(0.25, 200.0)], REFERENCE) == pytest.approx(0.5 * 0.8)


def test_overlaps_count_once() -> None:
    both = [point(0.25, 200.0), point(0.1, 600.0)]

    assert hypervolume(both, REFERENCE) == pytest.approx(0.5 * 0.8 + 0.3 * 0.4)
    assert hypervolume([*both, point(0.3, 700.0)], REFERENCE) == hypervolume(both, REFERENCE)


def test_what_lies_beyond_the_reference_counts_nothing() -> None:
    assert hypervolume([point(0.6, 1.0), point(0.01, 1000.0)], REFERENCE) == 0.0
    assert hypervolume([], REFERENCE) == 0.0


def test_only_what_the_reference_names_is_looked_at() -> None:
    assert hypervolume([point(0.25, 200.0, sram_bytes=10**9)], REFERENCE) == pytest.approx(0.4)
    assert hypervolume([point(0.25, 200.0)], {"val_error": 0.5}) == pytest.approx(0.5)


POINTS = st.lists(
    st.builds(point, st.floats(0, 0.6), st.floats(1, 1200), st.integers(1, 120)), max_size=12
)


@settings(max_examples=30, deadline=None)
@given(POINTS)
def test_the_share_is_that_of_points_thrown_at_random(found: list[Objectives]) -> None:
    reference = {**REFERENCE, "sram_bytes": 100.0}
    rng = np.random.default_rng(0)
    thrown = rng.random((4000, 3)) * np.array(list(reference.values()))
    hit = np.zeros(len(thrown), dtype=bool)
    for each in found:
        hit |= (thrown >= np.array(each.values(tuple(reference)))).all(axis=1)

    assert hypervolume(found, reference) == pytest.approx(hit.mean(), abs=0.04)


@settings(deadline=None)
@given(POINTS)
def test_the_history_is_the_hypervolume_of_every_prefix(found: list[Objectives]) -> None:
    history = hypervolume_history(found, REFERENCE)

    assert history.shape == (len(found),)
    for count, share in enumerate(history, start=1):
        assert share == pytest.approx(hypervolume(found[:count], REFERENCE))
    assert (np.diff(history) >= 0).all()


@pytest.mark.parametrize("reference", [{}, {"val_error": 0.0}, {"latency_us": -1.0}])
def test_a_reference_without_a_volume_is_refused(reference: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a reference needs positive values, got"):
        hypervolume([], reference)
