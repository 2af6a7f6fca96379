"""What a run leaves behind is what was measured, and the test split is used once."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from harness.board import load_board
from harness.errors import JournalError
from harness.session import open_session
from search.config import Bounds, Budget, Data, Device, SearchConfig, Training
from search.data.dataset import Dataset
from search.evaluate import evaluate_in
from search.evaluation import Evaluation
from search.export import int8_error
from search.report import artefacts
from search.report.artefacts import ship_front
from search.report.run_folder import read_front, read_run
from search.report.write import write_report
from search.workers import Task
from search.workplace import Workplace
from tests.search.evaluations import make_rejected
from tests.search.genotypes import conv, depthwise, network, pointwise, series
from tests.search.idx_files import make_dataset
from tests.search.runs import write_run

GENOTYPES = (
    network(series(conv(2, stride=2, kernel=7)), dense=(10,)),
    network(series(conv(6, batch_norm=True), depthwise()), series(pointwise(8)), dense=(16,)),
)
CONFIG = SearchConfig(
    name="bars",
    search=Budget(population=5, sample_size=2),
    device=Device("nucleo_f412zg"),
    data=Data("digits"),
    training=Training(epochs=4, batch_size=32, learning_rate=0.1),
    bounds=Bounds(latency_us=50_000.0),
)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Evaluation]]:
    """A folder with the models of two candidates evaluated on the virtual board."""
    folder = tmp_path_factory.mktemp("evaluated")
    board = load_board("nucleo_f412zg")
    workplace = Workplace(make_dataset(), lambda: open_session(board, "virtual"))
    found = []
    for index, genotype in enumerate(GENOTYPES):
        outcome = evaluate_in(workplace, Task(index, genotype.to_json()), folder, CONFIG)
        assert isinstance(outcome, Evaluation), outcome
        # Whatever they learned, both are on the front: the smaller is the less exact one.
        found.append(replace(outcome, val_error=0.2 - 0.1 * index))
    workplace.close()
    return folder, found


@pytest.fixture
def run_dir(evaluated: tuple[Path, list[Evaluation]], tmp_path: Path) -> Path:
    folder, found = evaluated
    write_run(tmp_path, [make_rejected(), *found], config=CONFIG)
    (tmp_path / "models").mkdir()
    for evaluation in found:
        (tmp_path / evaluation.model).write_bytes((folder / evaluation.model).read_bytes())
    return tmp_path


def test_what_another_version_of_the_engine_measured_is_not_shipped(
    evaluated: tuple[Path, list[Evaluation]], tmp_path: Path
) -> None:
    folder, found = evaluated
    older = replace(found[0], measured=replace(found[0].measured, engine_version="0"))
    write_run(tmp_path, [older], config=CONFIG)
    (tmp_path / "models").mkdir()
    (tmp_path / older.model).write_bytes((folder / older.model).read_bytes())
    message = r"was measured with another engine .* \(expected aot, 0, got aot, 1\)"
    with pytest.raises(JournalError, match=message):
        ship_front(tmp_path, make_dataset())
    assert not (tmp_path / "front").exists()


def test_each_member_gets_its_model_firmware_and_c(run_dir: Path) -> None:
    steps: list[str] = []
    dataset = replace(make_dataset(), class_names=("left", "middle", "right"))
    run = ship_front(run_dir, dataset, workers=2, on_step=steps.append)
    assert len(run.front) == 2 and (run.dataset, run.test_images) == ("bars", 90)
    test = dataset.load_test()
    for evaluation in run.front:
        folder = run_dir / "front" / evaluation.archid
        model = (folder / "model.tflite").read_bytes()
        assert hashlib.sha256(model).hexdigest() == evaluation.measured.model_sha256
        assert json.loads((folder / "genotype.json").read_text()) == evaluation.genotype
        measurement = json.loads((folder / "measurement.json").read_text())
        assert measurement["model_sha256"] == evaluation.measured.model_sha256
        assert (folder / "firmware.elf").read_bytes().startswith(b"\x7fELF")
        assert list((folder / "deploy").rglob("*.c"))
        tested = run.tested[evaluation.archid]
        assert tested.test_error == int8_error(model, test.images, test.labels)
        assert tested.folder == f"front/{evaluation.archid}"
    assert (run_dir / "front" / "labels.txt").read_text() == "left\nmiddle\nright\n"
    assert steps[0].startswith("building 1 of 2") and steps[-1].startswith("testing 2 of 2")
    assert "int8 test accuracy" in write_report(run_dir, read_run(run_dir)).read_text()


def test_what_was_tested_once_is_not_tested_again(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ship_front(run_dir, make_dataset())
    monkeypatch.setattr(artefacts, "int8_error", None)  # calling it would raise
    assert ship_front(run_dir, make_dataset()).tested == first.tested


def test_ctrl_c_stops_testing_at_the_next_batch(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    testing, batches = threading.Event(), []

    def endless(model, images, labels, *, before_batch):
        while True:
            before_batch()
            batches.append(model)
            testing.set()

    def interrupt(step: str) -> None:
        assert testing.wait(30)
        raise KeyboardInterrupt

    monkeypatch.setattr(artefacts, "int8_error", endless)
    with pytest.raises(KeyboardInterrupt):
        ship_front(run_dir, make_dataset(), on_step=interrupt)
    assert len(set(batches)) == 1, "the second model waited, and was never begun"
    assert read_run(run_dir).tested == {}


def test_another_test_split_is_tested_anew(run_dir: Path) -> None:
    ship_front(run_dir, make_dataset())
    dataset = make_dataset()
    shorter: Dataset = replace(dataset, load_test=lambda: dataset.load_test().first(30))
    assert ship_front(run_dir, shorter).test_images == 30


def test_folders_of_former_members_are_removed(run_dir: Path) -> None:
    (run_dir / "front" / "former").mkdir(parents=True)
    ship_front(run_dir, make_dataset())
    assert not (run_dir / "front" / "former").exists()


def test_a_notice_about_the_data_reaches_the_page(run_dir: Path) -> None:
    ship_front(run_dir, replace(make_dataset(), notice="not the real thing"))
    assert "not the real thing" in write_report(run_dir, read_run(run_dir)).read_text()


def test_a_model_that_is_missing_or_changed_is_named(run_dir: Path) -> None:
    path = run_dir / read_run(run_dir).front[0].model
    model = path.read_bytes()
    path.write_bytes(model + b"x")
    with pytest.raises(JournalError, match="is not the model that was measured .*sha256"):
        ship_front(run_dir, make_dataset())
    path.unlink()
    with pytest.raises(JournalError, match=r"\.tflite: cannot be read: No such file"):
        ship_front(run_dir, make_dataset())
    assert read_front(run_dir).members == ()


def test_a_run_without_a_front_ships_nothing(tmp_path: Path) -> None:
    write_run(tmp_path, [make_rejected()], config=CONFIG)
    run = ship_front(tmp_path, make_dataset())
    assert run.front == () and run.tested == {}
