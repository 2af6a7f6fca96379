"""A teacher has its share in the loss, is asked once a run, and is refused when it is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from harness.errors import DatasetError, JournalError
from search import distill, keeping, teachers
from search.config import Distillation, Training
from search.distill import TEACHER_NAME, Teacher, open_teacher
from search.export import export_untrained, int8_error
from search.network import Network
from search.teachers import ask_teacher
from search.train import float_error, train
from tests.search.idx_files import make_dataset, make_samples
from tests.search.networks import EVERY_OPERATOR

FILES = make_samples(300)  # what make_dataset splits
DATASET = make_dataset()
RNG = np.random.default_rng(0)


def write_predictions(folder: Path, **changes: np.ndarray) -> Distillation:
    arrays = {"logits": RNG.normal(0, 1, (300, 3)).astype(np.float32), "labels": FILES.labels}
    np.savez(folder / "predictions.npz", **{**arrays, **changes})
    return Distillation(str(folder / "predictions.npz"))


def write_function(folder: Path, body: str) -> Distillation:
    (folder / "mine.py").write_text(f"import numpy as np\nimport torch\n\ndef teacher():\n{body}")
    return Distillation(f"{folder / 'mine.py'}:teacher")


@given(alpha=st.floats(0.01, 1), temperature=st.floats(0.5, 8), seed=st.integers(0, 2**32 - 1))
def test_the_loss_is_hintons(alpha: float, temperature: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    theirs, mine = rng.normal(0, 3, (2, 6, 4)).astype(np.float32)
    samples, labels = torch.tensor([4, 0, 5]), torch.tensor([1, 3, 0])
    logits = torch.from_numpy(mine[:3])
    hard = functional.cross_entropy(logits, labels)
    teacher = Teacher(theirs, alpha=alpha, temperature=temperature)

    def soften(x: np.ndarray) -> np.ndarray:
        e = np.exp(x.astype(float) / temperature)
        return e / e.sum(axis=1, keepdims=True)

    p, q = soften(theirs[[4, 0, 5]]), soften(mine[:3])
    divergence = (p * np.log(p / q)).sum(axis=1).mean()
    expected = (1 - alpha) * float(hard) + alpha * temperature**2 * divergence
    assert float(teacher.blend(hard, logits, samples)) == pytest.approx(
        expected, rel=1e-3, abs=1e-4
    )


def test_a_pupil_of_one_mind_with_its_teacher_has_nothing_to_learn_from_it() -> None:
    logits = RNG.normal(0, 2, (5, 3)).astype(np.float32)
    mine = torch.from_numpy(logits).requires_grad_()
    loss = Teacher(logits, alpha=1.0, temperature=3.0).blend(
        torch.zeros(()), mine, torch.arange(5)
    )
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert mine.grad is not None and float(mine.grad.abs().max()) < 1e-6


def test_a_network_learns_from_its_teacher_alone_what_the_labels_would_have_told() -> None:
    train_split = DATASET.train
    told = 8 * np.eye(3, dtype=np.float32)[train_split.labels]
    unlabelled = replace(train_split, labels=np.zeros_like(train_split.labels))
    network = Network(EVERY_OPERATOR, seed=1)
    recipe = Training(epochs=6, batch_size=32, learning_rate=0.1)
    teacher = Teacher(told, alpha=1.0, temperature=2.0)
    train(network, unlabelled, DATASET.validation, recipe, seed=0, teacher=teacher)
    assert float_error(network, DATASET.validation) < 0.1


def test_no_teacher_is_named_by_default(tmp_path: Path) -> None:
    assert open_teacher(Distillation(), DATASET, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_predictions_are_matched_to_the_samples_however_they_were_split(tmp_path: Path) -> None:
    by_row = np.arange(900, dtype=np.float32).reshape(300, 3)
    logits = ask_teacher(write_predictions(tmp_path, logits=by_row), DATASET)
    for sample in (0, 7, 100):
        row = int(logits[sample, 0]) // 3
        assert np.array_equal(FILES.images[row], DATASET.train.images[sample])
    assert logits.dtype == np.float32 and logits.shape == (len(DATASET.train), 3)


def test_predictions_in_another_order_are_refused(tmp_path: Path) -> None:
    settings = write_predictions(tmp_path, labels=np.roll(FILES.labels, 1))
    with pytest.raises(DatasetError, match=r"240 of 240 labels are not the data set's \(expected"):
        ask_teacher(settings, DATASET)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": np.zeros((30, 3))}, r"has not one row for each training sample.*\(30, 3\)"),
        ({"logits": np.zeros((9, 3)), "labels": np.zeros(9)}, "n above 29"),
        ({"logits": np.zeros((300, 4))}, r"another shape \(expected 240 samples of 3 classes"),
        ({"logits": np.full((300, 3), np.nan)}, "for sample 0 are not finite"),
    ],
)
def test_predictions_of_another_shape_are_refused(
    tmp_path: Path, changes: dict, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        ask_teacher(write_predictions(tmp_path, **changes), DATASET)


def test_predictions_without_labels_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "bare.npz", logits=np.zeros((300, 3)))
    with pytest.raises(DatasetError, match=r"expected logits and labels, got logits\)"):
        ask_teacher(Distillation(str(tmp_path / "bare.npz")), DATASET)


def test_predictions_that_are_not_there_are_missed_by_name(tmp_path: Path) -> None:
    message = r"none.npz: no such file or folder; check \[distillation\] teacher"
    with pytest.raises(DatasetError, match=message):
        ask_teacher(Distillation(str(tmp_path / "none.npz")), DATASET)


def test_a_users_module_is_asked_in_evaluation_mode(tmp_path: Path) -> None:
    body = """    class Mine(torch.nn.Module):
        def forward(self, images):
            assert not self.training and not torch.is_grad_enabled()
            return images.mean((1, 2, 3))[:, None] * torch.tensor([1.0, 2.0, 3.0])
    return Mine()
"""
    logits = ask_teacher(write_function(tmp_path, body), DATASET)
    mean = DATASET.train.images.mean((1, 2, 3)) / 255
    assert np.allclose(logits, mean[:, None] * [1, 2, 3], atol=1e-5)


def test_a_users_function_may_answer_in_numpy(tmp_path: Path) -> None:
    body = "    return lambda images: images.numpy().max((2, 3)).repeat(3, axis=1)\n"
    assert ask_teacher(write_function(tmp_path, body), DATASET).shape == (len(DATASET.train), 3)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "    raise ValueError('no weights')\n",
            r"mine.py:5: teacher\(\) raised ValueError: no w",
        ),
        ("    return 7\n", r"teacher\(\) returned something else.*got int"),
        ("    return lambda x: x[:, 0, 0, 99]\n", "mine.py:5: the teacher raised IndexError"),
        ("    return lambda x: x\n", "the teacher returned no logits"),
        ("    return lambda x: torch.zeros(1, 3)\n", "the teacher returned no logits"),
        ("    return lambda x: torch.zeros(len(x), 2)\n", "240 samples of 3 classes"),
    ],
)
def test_a_users_function_that_is_no_teacher_is_refused(
    tmp_path: Path, body: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        ask_teacher(write_function(tmp_path, body), DATASET)


def test_a_function_that_is_not_there_is_missed_by_name(tmp_path: Path) -> None:
    settings = write_function(tmp_path, "    return None\n")
    with pytest.raises(DatasetError, match="has no function 'tutor'"):
        ask_teacher(Distillation(settings.teacher.replace(":teacher", ":tutor")), DATASET)
    with pytest.raises(DatasetError, match=r"no such file; check \[distillation\] teacher"):
        ask_teacher(Distillation(f"{tmp_path / 'other.py'}:teacher"), DATASET)


def keep_model(run_dir: Path, model: bytes) -> Distillation:
    (run_dir / "models").mkdir(parents=True)
    (run_dir / "models" / "0123456789abcdef.tflite").write_bytes(model)
    return Distillation(f"{run_dir}:0123456789abcdef")


def test_a_candidate_of_an_earlier_run_teaches_what_its_int8_model_says(tmp_path: Path) -> None:
    model = export_untrained(EVERY_OPERATOR, seed=0)
    logits = ask_teacher(keep_model(tmp_path, model), DATASET)
    wrong = np.mean(logits.argmax(axis=1) != DATASET.train.labels)
    exact = int8_error(model, DATASET.train.images, DATASET.train.labels)
    assert wrong == pytest.approx(exact, abs=0.05)


def test_a_candidate_of_a_run_on_other_data_is_refused(tmp_path: Path) -> None:
    settings = keep_model(tmp_path, export_untrained(EVERY_OPERATOR, seed=0))
    with pytest.raises(DatasetError, match="is a network for other data.*12, 12"):
        ask_teacher(settings, make_dataset(size=12))
    with pytest.raises(DatasetError, match="4 classes"):
        ask_teacher(settings, make_dataset(classes=4))
    with pytest.raises(DatasetError, match="cannot be read: No such file"):
        ask_teacher(Distillation(f"{tmp_path}:other"), DATASET)


def test_a_run_asks_its_teacher_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, run_dir = write_predictions(tmp_path), tmp_path / "run"
    first = open_teacher(settings, DATASET, run_dir)
    monkeypatch.setattr(teachers, "ask_teacher", None)  # calling it would raise
    again = open_teacher(settings, DATASET, run_dir)
    assert first is not None and again is not None
    assert torch.equal(first._log_targets, again._log_targets)
    names = {path.name for path in run_dir.iterdir()}
    assert names - {f"{TEACHER_NAME}.lock"} == {TEACHER_NAME}


def test_logits_of_another_teacher_or_of_other_samples_are_not_taken(tmp_path: Path) -> None:
    settings = write_predictions(tmp_path)
    open_teacher(settings, DATASET, tmp_path)
    other = write_function(tmp_path, "    return 1\n")
    for wanted, dataset in ((other, DATASET), (settings, make_dataset(270))):
        with pytest.raises(
            JournalError, match="holds the logits of another teacher, or for other"
        ):
            open_teacher(wanted, dataset, tmp_path)


def test_alpha_and_temperature_are_no_part_of_what_is_kept(tmp_path: Path) -> None:
    settings = write_predictions(tmp_path)
    open_teacher(settings, DATASET, tmp_path)
    warm = open_teacher(replace(settings, temperature=4.0, alpha=0.9), DATASET, tmp_path)
    assert warm is not None and (warm.alpha, warm.temperature) == (0.9, 4.0)


def test_a_half_written_file_of_logits_is_never_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(fd: int) -> None:
        raise OSError(28, "No space left on device")

    settings = write_predictions(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(keeping.os, "fsync", die)
        message = "cannot be written: No space left on device; make room, then resume the run"
        with pytest.raises(JournalError, match=message):
            open_teacher(settings, DATASET, tmp_path)
    assert not (tmp_path / TEACHER_NAME).exists()
    assert open_teacher(settings, DATASET, tmp_path) is not None


def test_waiting_for_another_process_has_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distill, "WAIT_S", 0.01)
    with (
        distill.FileLock(tmp_path / f"{TEACHER_NAME}.lock"),
        pytest.raises(JournalError, match="another process has been asking the teacher"),
    ):
        open_teacher(write_predictions(tmp_path), DATASET, tmp_path)
