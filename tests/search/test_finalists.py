"""Finalists: the front's best are trained on, each is in the file when it is done, and takes its
candidate's place only where it is no worse."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from harness.errors import BoardError, JournalError
from search.carried import weights_path
from search.config import Bounds, Finalists, Pruning
from search.evaluation import Evaluation, Outcome, Rejected, outcome_to_json
from search.finalists import FINALISTS_NAME, better_of, choose, read_finalists, train_finalists
from search.report.run_folder import read_run
from tests.search import fake_evaluation as fake
from tests.search.evaluations import make_evaluation
from tests.search.genotypes import conv, network, series
from tests.search.open_workers import open_workers
from tests.search.runs import CONFIG, write_run

ON = replace(CONFIG, finalists=Finalists(epochs=3, count=3), bounds=Bounds(latency_us=80_000.0))
FRONT = tuple(
    make_evaluation(
        network(series(conv(width))),
        val_error=0.5 - 0.1 * number,
        cycles=10**6 + 10**5 * number,
        parent="a" * 16,
        short_error=0.75,
    )
    for number, width in enumerate((4, 6, 8, 10))
)


def train_on(run_dir: Path, config=ON, evaluate=fake.improve, front=FRONT) -> list[Outcome]:
    for each in front:
        path = weights_path(run_dir, each.archid, slimmed=config.pruning.enabled)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return train_where_weights_are(run_dir, config, evaluate, front)


def train_where_weights_are(
    run_dir: Path, config=ON, evaluate=fake.improve, front=FRONT
) -> list[Outcome]:
    seen: list[Outcome] = []
    with open_workers(config, run_dir, evaluate) as workers:
        train_finalists(
            config, run_dir, front, workers, on_finalist=lambda done, count, o: seen.append(o)
        )
    return seen


def test_the_best_are_trained_on_and_stand_in_the_file(tmp_path: Path) -> None:
    seen = train_on(tmp_path)

    found = read_finalists(tmp_path, 3)
    assert set(found) == {e.archid for e in FRONT[1:]}, "the three of the least error"
    assert {o.archid: o for o in seen} == found
    for before in FRONT[1:]:
        after = found[before.archid]
        assert isinstance(after, Evaluation)
        assert after.val_error == 0.0 and after.model == "finalists/example.tflite"
        assert after.plain_val_error == 0.5, "that it was fine-tuned"
        assert (after.untrained, after.parent, after.short_error) == (
            before.untrained,
            before.parent,
            before.short_error,
        ), "what the search knew of it"


def test_what_is_in_the_file_is_not_trained_again(tmp_path: Path) -> None:
    give_up = partial(fake.give_up, broken_index=3)
    with pytest.raises(BoardError, match="the board is gone"):
        train_on(tmp_path, replace(ON, search=replace(ON.search, workers=1)), give_up)
    before = (tmp_path / FINALISTS_NAME).read_bytes()
    (tmp_path / FINALISTS_NAME).write_bytes(before + b'{"torn')

    seen = train_on(tmp_path)

    lines = (tmp_path / FINALISTS_NAME).read_bytes()
    assert before.count(b"\n") == 2 and lines.startswith(before), "append-only"
    assert len(seen) == 1 and lines.count(b"\n") == 3
    assert train_on(tmp_path) == [], "nothing is left to do"


def test_more_epochs_are_another_training(tmp_path: Path) -> None:
    train_on(tmp_path)
    longer = replace(ON, finalists=Finalists(epochs=5, count=1))

    assert len(train_on(tmp_path, longer)) == 1
    assert len(read_finalists(tmp_path, 3)) == 3 and len(read_finalists(tmp_path, 5)) == 1


@pytest.mark.parametrize("pruning", [False, True])
def test_weights_that_are_not_there_are_said_before_anything_is_trained(
    tmp_path: Path, pruning: bool
) -> None:
    config = replace(ON, pruning=Pruning(enabled=pruning))
    for each in FRONT[1:]:
        path = weights_path(tmp_path, each.archid, slimmed=not pruning)  # the other network's
        path.parent.mkdir(exist_ok=True)
        path.touch()
    weights_path(tmp_path, FRONT[3].archid, slimmed=pruning).touch()

    lost = f"weights/{FRONT[2].archid}{'.slim' if pruning else ''}.npz"
    message = f"{lost}: the weights of 2 of 3 finalists are not there; restore them .* epochs = 0"
    with pytest.raises(JournalError, match=message):
        train_where_weights_are(tmp_path, config)
    assert not (tmp_path / FINALISTS_NAME).exists() and not (tmp_path / "workers.log").exists()


def test_nothing_is_trained_on_where_it_is_not_asked_for(tmp_path: Path) -> None:
    assert train_on(tmp_path, CONFIG) == [] and train_on(tmp_path, front=()) == []
    assert read_finalists(tmp_path, 3) == {} and not (tmp_path / FINALISTS_NAME).exists()


@pytest.mark.parametrize(
    ("evaluate", "reason"),
    [
        (fake.die, "its worker was killed by SIGKILL"),
        (fake.answer_for_another, "its outcome is that of archid ffffffffffffffff"),
        (fake.answer_nan, "its outcome has no JSON"),
    ],
)
def test_a_finalist_that_goes_wrong_is_recorded_and_its_candidate_stays(
    tmp_path: Path, evaluate, reason: str
) -> None:
    seen = train_on(tmp_path, evaluate=partial(evaluate, broken_index=1))

    (failed,) = [o for o in seen if o.archid == FRONT[3].archid]
    assert isinstance(failed, Rejected) and failed.tier == "failed"
    assert failed.reason.startswith(reason)
    assert better_of(FRONT[3], failed, ON.bounds) == FRONT[3]
    assert len(read_finalists(tmp_path, 3)) == 3


def test_those_of_the_least_error_are_chosen() -> None:
    assert choose(FRONT, Finalists(count=2), Bounds()) == [FRONT[3], FRONT[2]]
    assert len(choose(FRONT, Finalists(count=9), Bounds())) == 4


def test_the_spread_is_of_those_that_add_the_most_beside_the_best() -> None:
    """The best, one much like it, a far smaller one, one that is smaller still and useless."""
    best, alike, small, useless = (
        make_evaluation(
            network(series(conv(width))),
            val_error=val_error,
            cycles=cycles,
            flash_bytes=flash_bytes,
        )
        for width, val_error, cycles, flash_bytes in (
            (4, 0.070, 900_000, 40_000),
            (5, 0.071, 890_000, 39_900),
            (6, 0.095, 200_000, 17_000),
            (7, 0.119, 190_000, 16_900),
        )
    )
    front = (useless, alike, small, best)
    bounds = Bounds(val_error=0.1, latency_us=10_000.0, sram_bytes=20_000, flash_bytes=65_536)

    assert choose(front, Finalists(count=1, spread=1), bounds) == [best, small]
    assert choose(front, Finalists(count=1, spread=9), bounds) == [best, small, alike, useless]
    assert choose(front, Finalists(count=1, spread=1), Bounds()) == [best, small]
    assert choose(front, Finalists(count=4, spread=2), bounds) == [best, alike, small, useless]


@pytest.mark.parametrize(
    ("val_error", "cycles", "takes_place"),
    [(0.1, 10**6, True), (0.2, 10**6, True), (0.21, 10**6, False), (0.1, 9 * 10**6, False)],
)
def test_a_finalist_that_is_worse_or_breaks_a_bound_does_not_take_its_candidates_place(
    val_error: float, cycles: int, takes_place: bool
) -> None:
    before, after = make_evaluation(), make_evaluation(val_error=val_error, cycles=cycles)

    assert (better_of(before, after, ON.bounds) is after) == takes_place


def test_the_front_of_a_run_holds_its_finalists(tmp_path: Path) -> None:
    write_run(tmp_path, list(FRONT), config=ON)
    without = read_run(tmp_path).front
    better = replace(FRONT[0], val_error=0.01, model="finalists/x.tflite")
    record = {"epochs": 3, "outcome": outcome_to_json(better)}
    (tmp_path / FINALISTS_NAME).write_text(json.dumps(record) + "\n")

    assert without == FRONT
    assert read_run(tmp_path).front == (better,), "it is the fastest, too"
    assert read_run(tmp_path).outcomes == FRONT, "the search's outcomes stay"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "finalists.jsonl:1: is not JSON"),
        ("{}", r"finalists.jsonl:1: is no finalist: KeyError\('outcome'\); restore"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / FINALISTS_NAME).write_text(text + "\n")

    with pytest.raises(JournalError, match=message):
        read_finalists(tmp_path, 3)
