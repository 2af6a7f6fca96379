"""The gene drifts within its limits, and the ramp reaches what it names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.sparsity import GREATEST, mutate, sparsity_at


@given(sparsity=st.floats(0, GREATEST), seed=st.integers(0, 2**32))
def test_a_childs_sparsity_stays_within_the_limits(sparsity: float, seed: int) -> None:
    child = mutate(sparsity, np.random.default_rng(seed))
    assert 0 <= child <= GREATEST
    assert child == mutate(sparsity, np.random.default_rng(seed))


def test_children_scatter_around_their_parent() -> None:
    rng = np.random.default_rng(0)
    children = [mutate(0.4, rng) for _ in range(2000)]
    assert np.mean(children) == pytest.approx(0.4, abs=0.005)
    assert np.std(children) == pytest.approx(0.05, rel=0.1)


@given(ramp_steps=st.integers(0, 1000), final=st.floats(0, 0.9))
def test_sparsity_rises_from_nothing_and_ends_where_it_should(
    ramp_steps: int, final: float
) -> None:
    ramp = [sparsity_at(step, ramp_steps, final) for step in range(ramp_steps + 3)]
    assert all(a <= b for a, b in zip(ramp, ramp[1:], strict=False))
    assert ramp[-3:] == [final] * 3
    assert ramp[0] == (0.0 if ramp_steps else final)


def test_most_is_pruned_early() -> None:
    assert sparsity_at(50, 100, 0.8) == pytest.approx(0.7)
