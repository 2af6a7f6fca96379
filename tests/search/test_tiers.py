"""Short training: the best 1/eta of those known go on, by non-domination and then by the room
around them; who does not is told against whom."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.config import Tiers
from search.tiers import Peer, Rung, left_behind, peer_of
from tests.measurements import make_measurement
from tests.search.evaluations import make_evaluation, make_rejected


def rung_of(*values: tuple[float, ...]) -> Rung:
    return tuple(Peer(f"{index:016x}", each) for index, each in enumerate(values))


HALF = Tiers(short_epochs=1, eta=2, minimum=2)
LINE = rung_of((1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 4.0))  # each dominates the next


@pytest.mark.parametrize(
    ("value", "goes_on"), [(0.5, True), (1.5, True), (2.5, True), (3.5, False), (9.0, False)]
)
def test_the_better_half_goes_on(value: float, goes_on: bool) -> None:
    """Of five candidates three."""
    assert (left_behind(Peer("new", (value, value)), LINE, HALF) is None) == goes_on


def test_who_is_left_behind_is_told_how_many_dominate_it() -> None:
    assert left_behind(Peer("new", (3.5, 3.5)), LINE, HALF) == (
        "place 4 of 5 after short training, and 3 go on: 3 of them dominate it, 00000000 among "
        "them"
    )


def test_within_a_rank_the_one_with_more_room_goes_on() -> None:
    front = rung_of((0.0, 10.0), (10.0, 0.0), (1.0, 8.0), (2.0, 7.0))
    crowded, alone = Peer("new", (1.5, 7.5)), Peer("new", (5.0, 3.0))

    assert left_behind(alone, front, HALF) is None
    assert left_behind(crowded, front, HALF) == (
        "place 5 of 5 after short training, and 3 go on: 00000000 is the next before it"
    )


@pytest.mark.parametrize("known", [0, 1, 2, 3])
def test_nobody_is_left_behind_before_enough_are_known(known: int) -> None:
    worst = Peer("new", (99.0, 99.0))

    assert left_behind(worst, LINE[:known], Tiers(short_epochs=1, minimum=4)) is None
    assert left_behind(worst, LINE, Tiers(short_epochs=1, minimum=4)) is not None


@pytest.mark.parametrize("eta", [1.5, 2.0, 3.0, 4.0])
def test_the_share_that_goes_on_is_one_in_eta(eta: float) -> None:
    rung = rung_of(*((float(index), float(index)) for index in range(59)))
    tiers = Tiers(short_epochs=1, eta=eta, minimum=1)
    going_on = [
        value
        for value in range(60)
        if left_behind(Peer("new", (value - 0.5, value - 0.5)), rung, tiers) is None
    ]

    assert going_on == list(range(math.ceil(60 / eta)))


values = st.tuples(*[st.sampled_from([0.0, 1.0, 2.0, 3.0])] * 3)


@given(values, st.lists(values, min_size=1, max_size=12))
def test_what_dominates_all_goes_on_and_what_is_dominated_by_all_does_not(
    value: tuple[float, ...], others: list[tuple[float, ...]]
) -> None:
    tiers = Tiers(short_epochs=1, eta=2, minimum=1)
    rung = rung_of(*others)
    best, worst = (Peer("new", tuple(v + by for v in value)) for by in (-9.0, 9.0))

    assert left_behind(best, rung, tiers) is None
    assert left_behind(worst, rung, tiers) is not None


def test_an_equal_that_came_later_has_no_precedence() -> None:
    rung = rung_of((1.0, 1.0), (1.0, 1.0), (1.0, 1.0))

    assert left_behind(Peer("new", (1.0, 1.0)), rung, HALF) is not None


def test_peers_are_those_that_were_short_trained() -> None:
    measured = make_measurement(cycles=5000)
    stopped = make_rejected(tier="short", untrained=measured, short_error=0.5)
    trained = make_evaluation(untrained=measured, short_error=0.25, cycles=7000)

    for outcome, error in ((stopped, 0.5), (trained, 0.25)):
        peer = peer_of(outcome, ("val_error", "latency_us"))
        assert peer == Peer(outcome.archid, (error, 50.0)), "short error, untrained measurement"
    assert peer_of(make_evaluation(), ("val_error",)) is None
    assert peer_of(make_rejected(tier="measured", untrained=measured), ("val_error",)) is None
