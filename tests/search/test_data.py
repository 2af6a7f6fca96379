"""Data sets by name, splits that leak nothing, pixels that quantise without loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.errors import DatasetError
from search.config import Data
from search.data import load
from search.data.dataset import PIXELS, Split, encoding_of, split_validation, to_int8
from search.data.load import load_dataset
from tests.search.idx_files import idx_bytes, write_set


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_set(tmp_path, "train", count=60)
    write_set(tmp_path, "t10k", count=12)
    return tmp_path


def mnist_like(folder: Path, **changes: object) -> Data:
    return replace(Data("mnist_like", path=str(folder)), **changes)


def test_quantised_and_float_pixels_are_the_same_reals() -> None:
    pixels = np.arange(256, dtype=np.uint8)
    reals = (to_int8(pixels).astype(int) - PIXELS.zero_point) * PIXELS.scale
    assert np.array_equal(reals.astype(np.float32), PIXELS.to_reals(pixels))
    assert np.array_equal(PIXELS.to_reals(pixels), pixels / np.float32(255))
    assert to_int8(pixels).tolist() == list(range(-128, 128))


@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-6, 1e6))
def test_an_encoding_covers_its_range_to_half_a_step(low: float, width: float) -> None:
    high = low + width
    try:
        encoding = encoding_of(low, high)
    except ValueError:
        assume(min(abs(low), abs(high)) > width * 2)
        return
    values = np.linspace(low, high, 500).reshape(-1, 1, 1, 1)
    errors = encoding.to_reals(encoding.from_reals(values)) - values
    assert np.abs(errors).max() <= encoding.scale * 0.51 + abs(width) * 1e-6
    assert encoding.scale <= 4 * width / 255 * 1.001
    bytes_ = np.arange(256, dtype=np.uint8)
    assert np.array_equal(encoding.from_reals(encoding.to_reals(bytes_)), bytes_)
    zero = encoding.from_reals(np.zeros(1))
    assert encoding.to_reals(zero) == 0, "as TensorFlow Lite demands"


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (1.0, 1.0, "have no range"),
        (0.0, float("inf"), "have no range"),
        (float("nan"), 1.0, "have no range"),
        (1000.0, 1100.0, "values from 1000 to 1100 lie too far from zero for 8 bits"),
    ],
)
def test_values_that_8_bits_cannot_hold_are_refused(low: float, high: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoding_of(low, high)


@given(
    counts=st.lists(st.integers(2, 40), min_size=2, max_size=6),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 9),
)
def test_the_validation_split_takes_its_share_of_every_class_and_nothing_twice(
    counts: list[int], fraction: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    samples = Split(np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1), labels)
    train, validation = split_validation(samples, fraction=fraction, seed=seed)
    together = np.concatenate([train.images.ravel(), validation.images.ravel()])
    assert np.array_equal(np.sort(together), samples.images.ravel())
    for label, count in enumerate(counts):
        taken = int((validation.labels == label).sum())
        assert taken == min(max(round(fraction * count), 1), count - 1)
    assert all(
        labels[i] == label for i, label in zip(train.images.ravel(), train.labels, strict=True)
    )


def test_a_split_depends_on_its_seed_alone() -> None:
    samples = Split(np.zeros((40, 1, 1, 1), np.uint8), np.arange(40) % 2)
    samples.images[:, 0, 0, 0] = np.arange(40)
    once, again, other = (
        split_validation(samples, fraction=0.25, seed=seed)[1].images for seed in (1, 1, 2)
    )
    assert np.array_equal(once, again) and not np.array_equal(once, other)


def test_a_class_with_one_sample_is_refused() -> None:
    samples = Split(np.zeros((3, 1, 1, 1), np.uint8), np.array([0, 0, 1]))
    with pytest.raises(DatasetError, match="class 1 cannot be split .* at least 2 samples, got 1"):
        split_validation(samples, fraction=0.5, seed=0)


def test_four_idx_files_become_a_dataset(folder: Path) -> None:
    dataset = load_dataset(mnist_like(folder), seed=0)
    assert (dataset.name, dataset.input_shape, dataset.classes) == ("mnist_like", (8, 8, 1), 3)
    assert (len(dataset.train), len(dataset.validation), dataset.notice) == (54, 6, "")
    assert len(dataset.load_test()) == 12


def test_limits_cap_each_split_and_zero_means_all(folder: Path) -> None:
    data = mnist_like(folder, train_limit=10, validation_limit=3, test_limit=5)
    dataset = load_dataset(data, seed=0)
    assert (len(dataset.train), len(dataset.validation), len(dataset.load_test())) == (10, 3, 5)


def test_the_test_files_are_not_touched_before_they_are_asked_for(folder: Path) -> None:
    (folder / "t10k-images-idx3-ubyte").write_bytes(b"nonsense")
    dataset = load_dataset(mnist_like(folder), seed=0)
    with pytest.raises(DatasetError, match="t10k-images-idx3-ubyte: is no idx file"):
        dataset.load_test()


@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_missing_test_files_are_noticed_before_the_search(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DatasetError, match=f"file is not there .*{name}"):
        load_dataset(mnist_like(folder), seed=0)


def test_a_test_label_without_training_images_is_refused(folder: Path) -> None:
    labels = np.full(12, 7, np.uint8)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    with pytest.raises(DatasetError, match="expected labels 0 to 2, got 7"):
        load_dataset(mnist_like(folder), seed=0).load_test()


def test_test_images_of_another_size_are_refused(folder: Path) -> None:
    write_set(folder, "t10k", count=12, size=9)
    with pytest.raises(DatasetError, match=r"expected shape \(8, 8, 1\), got \(9, 9, 1\)"):
        load_dataset(mnist_like(folder), seed=0).load_test()


def test_a_limit_that_leaves_one_class_leaves_nothing_to_learn(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"of one class .*got train_limit 1\); raise \[data\]"):
        load_dataset(replace(mnist_like(folder), train_limit=1), seed=0)


def test_images_of_one_class_are_nothing_to_learn(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(60, np.uint8)))
    with pytest.raises(DatasetError, match="all training images are of one class"):
        load_dataset(mnist_like(folder), seed=0)


def test_a_folder_must_be_given_and_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="'mnist_like' has no path"):
        load_dataset(Data("mnist_like"), seed=0)
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        load_dataset(mnist_like(tmp_path / "nowhere"), seed=0)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(DatasetError, match="'cifar' .*one of cifar10, .*digits, .*mnist_like"):
        load_dataset(Data("cifar"), seed=0)


def test_without_fashion_mnist_digits_are_used_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "FASHION_MNIST_DIR", tmp_path / "not-installed")
    dataset = load_dataset(Data("fashion_mnist"), seed=0)
    assert dataset.name == "digits" and dataset.input_shape == (8, 8, 1)
    assert "uses scikit-learn's digits instead; install" in dataset.notice


def test_fashion_mnist_in_a_given_folder_never_falls_back(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        load_dataset(Data("fashion_mnist", path=str(tmp_path / "no")), seed=0)


def test_fashion_mnist_is_read_from_its_folder(folder: Path) -> None:
    assert load_dataset(Data("fashion_mnist", path=str(folder)), seed=0).classes == 3


def test_digits_span_all_pixel_values() -> None:
    dataset = load_dataset(Data("digits"), seed=0)
    assert (dataset.classes, dataset.notice) == (10, "")
    assert dataset.train.images.min() == 0 and dataset.train.images.max() == 255
    assert len(dataset.train) + len(dataset.validation) + len(dataset.load_test()) == 1797
