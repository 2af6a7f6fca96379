"""Wall time: every second of a candidate is counted once, by tier and by activity."""

from __future__ import annotations

import pytest

from search import wall_time
from search.wall_time import Stopwatch, WallTime
from tests.measurements import make_measurement
from tests.search.evaluations import make_evaluation, make_rejected


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its only element is the time."""
    now = [100.0]
    monkeypatch.setattr(wall_time.time, "monotonic", lambda: now[0])
    return now


def test_each_lap_begins_where_the_last_one_ended(clock: list[float]) -> None:
    watch = Stopwatch()
    clock[0] += 2
    watch.lap("measured", "exporting")
    clock[0] += 5
    watch.lap("full", "training")
    clock[0] += 1
    watch.lap("full", "exporting")

    assert watch.spent == {"measured": 2.0, "full": 6.0}
    assert watch.activities == {"exporting": 3.0, "training": 5.0}


@pytest.mark.parametrize(("build_s", "compiling"), [(1.5, 1.5), (0.0, 0.0), (9.0, 4.0)])
def test_a_measurement_is_compiled_first(
    clock: list[float], build_s: float, compiling: float
) -> None:
    watch = Stopwatch()
    clock[0] += 4
    watch.lap_measurement("measured", make_measurement(build_s=build_s))

    assert watch.spent == {"measured": 4.0}
    assert watch.activities == {"compiling": compiling, "measuring": 4.0 - compiling}


OUTCOMES = (
    make_rejected(tier="analytic", spent={"analytic": 0.25}),
    make_rejected(
        tier="measured", spent={"measured": 2.0}, activities={"exporting": 1.0, "measuring": 1.0}
    ),
    make_evaluation(
        spent={"measured": 2.0, "full": 12.0},
        activities={"exporting": 2.0, "measuring": 2.0, "training": 10.0},
    ),
)


def test_a_run_is_the_sum_of_its_candidates() -> None:
    wall = WallTime.of(OUTCOMES, workers_s=20.0)

    assert wall.tiers == {"analytic": 0.25, "measured": 4.0, "full": 12.0}
    assert wall.activities == {"exporting": 3.0, "measuring": 3.0, "training": 10.0}
    assert wall.useful_share == pytest.approx(13 / 20)
    assert wall.overhead_s == pytest.approx(3.0), "of the two past the analytic tier"
    assert wall.sentence == (
        "65.0% of the workers' wall time went into training and measuring (training 50.0%, "
        "exporting 15.0%, measuring 15.0%); a candidate cost 3.00 s beside its training."
    )


@pytest.mark.parametrize("outcomes", [(), OUTCOMES[:1]])
def test_where_nothing_was_done_nothing_is_said(outcomes: tuple) -> None:
    assert WallTime.of(outcomes, workers_s=2.0).sentence == ""
    assert WallTime.of(outcomes, workers_s=0.0).useful_share is None
