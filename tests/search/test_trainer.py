"""A trainer on another machine hands back all that its candidates leave behind, and keeps
nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BoardError, JournalError, MeasurementRefusedError
from search import trainer as module
from search.carried import put, read, take
from search.config import Data, SpaceChoice
from search.data.load import load_dataset
from search.environment import identity
from search.evaluation import Evaluation
from search.space import open_space
from search.trainer import Report, Trainer
from search.workers import Task
from tests.measurements import make_measurement
from tests.search import cluster_evaluation, fake_evaluation
from tests.search.genotypes import conv, network, series
from tests.search.test_run import CONFIG


def task_that_is_trained() -> Task:
    """The first of a few that the fake evaluation neither rejects nor lets fail."""
    for filters in range(1, 40):
        task = Task(0, network(series(conv(filters))).to_json(), parent="a" * 16)
        if isinstance(fake_evaluation.evaluate(task, Path(), CONFIG), Evaluation):
            return task
    raise AssertionError("none")


TASK = task_that_is_trained()
PARENT_WEIGHTS = {f"weights/{'a' * 16}.npz": b"w"}


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Iterator[Trainer]:
    evaluate = getattr(request, "param", cluster_evaluation.leave_files)
    trainer = Trainer(evaluate, CONFIG, deadline_s=60.0, prepare=None, space_file=None)
    yield trainer
    trainer.close()


def work(trainer: Trainer, task: Task = TASK) -> Report:
    """The report of a task's end, with the log of all steps to there."""
    report = trainer.step(task, PARENT_WEIGHTS, 1.0)
    log = report.log
    while not report.done and report.error is None:
        report = trainer.step(None, {}, 1.0)
        log += report.log
    return replace(report, log=log)


def test_an_outcome_comes_with_its_files_and_leaves_none(opened: Trainer) -> None:
    report = work(opened)

    ((index, outcome),) = report.done
    assert index == 0 and isinstance(outcome, Evaluation)
    found = f"{outcome.archid} True".encode()
    assert report.files == {
        f"models/{outcome.archid}.tflite": found,
        f"weights/{outcome.archid}.npz": found,
    }
    assert not list(opened._run_dir.glob("*/*")), "neither its own nor its parent's"


def test_a_greeting_says_what_decides_results(opened: Trainer) -> None:
    host, found = opened.greet()

    assert host and found == identity()
    assert {"python", "torch", "arm-none-eabi-gcc", "hilnas's files"} <= set(found)


@pytest.mark.parametrize(
    "opened", [partial(fake_evaluation.give_up, broken_index=0)], indirect=True
)
def test_an_error_of_the_run_says_on_which_machine_it_arose(opened: Trainer) -> None:
    error = work(opened).error

    assert isinstance(error, BoardError)
    assert str(error) == f"on {opened.greet()[0]}: nucleo: the board is gone; plug it in"


def ask_and_wait(trainer: Trainer) -> tuple[Report, str]:
    report = trainer.step(TASK, {}, 1.0)
    while report.wanted is None and not report.done and report.error is None:
        report = trainer.step(None, {}, 1.0)
    return report, "" if report.wanted is None else report.wanted.name


@pytest.mark.parametrize("opened", [cluster_evaluation.ask], indirect=True)
def test_a_candidate_gets_the_answer_to_what_it_wants_measured(opened: Trainer) -> None:
    report, name = ask_and_wait(opened)
    assert name == "untrained" and not report.done
    assert opened.step(None, {}, 0.1).wanted is None, "it is told once"
    untrained, final = make_measurement(cycles=1), make_measurement(cycles=2)
    report = opened.step(None, {}, 60.0, untrained)
    assert report.wanted is not None and report.wanted.name == "trained"
    ((_, outcome),) = opened.step(None, {}, 60.0, final).done
    assert isinstance(outcome, Evaluation)
    assert (outcome.untrained, outcome.measured) == (untrained, final)
    assert not opened.step(None, {}, 0.0, final).done, "nobody waits for it"


@pytest.mark.parametrize("opened", [cluster_evaluation.ask], indirect=True)
def test_an_answer_may_be_an_error(opened: Trainer) -> None:
    ask_and_wait(opened)
    error = opened.step(None, {}, 60.0, MeasurementRefusedError("outputs differ")).error
    assert str(error) == f"on {opened.greet()[0]}: outputs differ"


@pytest.mark.parametrize("opened", [fake_evaluation.print_much], indirect=True)
def test_a_long_log_keeps_its_end(opened: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOG_LIMIT_BYTES", 10)

    assert work(opened).log == b"framework\n"
    assert work(opened).log == b"framework\n", "of each step its own"


def test_a_space_file_travels_with_the_configuration(tmp_path: Path) -> None:
    described = Path(module.__file__).parent / "spaces" / "mlp.toml"
    config = replace(CONFIG, space=SpaceChoice(file=str(tmp_path / "elsewhere" / "mlp.toml")))
    trainer = Trainer(
        cluster_evaluation.name_space,
        config,
        deadline_s=60.0,
        prepare=None,
        space_file=described.read_bytes(),
    )

    ((_, failure),) = work(trainer).done
    trainer.close()

    expected = open_space(SpaceChoice(file=str(described))).sha256
    assert failure.reason.startswith(f"RuntimeError: space {expected};")  # type: ignore[union-attr]
    assert not trainer._run_dir.exists()


def test_files_are_told_by_their_archid(tmp_path: Path) -> None:
    files = {"models/ab.tflite": b"1", "weights/ab.npz": b"2", "weights/cd.npz": b"3"}
    put(tmp_path, files)

    assert read(tmp_path, "ab", "weights") == {"weights/ab.npz": b"2"}
    assert take(tmp_path, "ab") == {"models/ab.tflite": b"1", "weights/ab.npz": b"2"}
    assert [path.name for path in tmp_path.glob("*/*")] == ["cd.npz"]


@pytest.mark.parametrize("name", ["../x", "/x", "journal.jsonl", "a/b/c", "/etc/x", "a/.."])
def test_a_name_outside_the_folders_of_a_run_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is no file of a candidate"):
        put(tmp_path / "run", {name: b""})


def test_a_file_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")

    with pytest.raises(JournalError, match=r"models/ab.tflite: cannot be written: .*; make room"):
        put(tmp_path, {"models/ab.tflite": b""})


def test_a_digest_tells_data_sets_apart() -> None:
    digits = load_dataset(Data("digits"), seed=0)
    flipped = digits.train.images ^ 1
    others: list[Any] = [
        load_dataset(Data("digits"), seed=1),
        load_dataset(Data("digits", train_limit=100), seed=0),
        replace(digits, train=replace(digits.train, images=flipped)),
        replace(digits, classes=11),
    ]

    assert load_dataset(Data("digits"), seed=0).sha256 == digits.sha256
    assert len({digits.sha256, *(other.sha256 for other in others)}) == 5
