"""numpy's files and a user's own function: arrays that are samples are taken, others refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from harness.errors import DatasetError
from search.config import Data
from search.data.arrays import to_split
from search.data.dataset import PIXELS, Dataset
from search.data.load import load_dataset

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
SERIES = RNG.normal(0, 2, (40, 16)).astype(np.float32)
LABELS = np.arange(40) % 4


def write_npz(path: Path, x: np.ndarray = PICTURES, **changes: np.ndarray) -> Path:
    members = {"x_train": x, "y_train": LABELS, "x_test": x[:8], "y_test": LABELS[:8]}
    np.savez_compressed(path, **{**members, **changes})
    return path


def load(path: Path, *, name: str = "numpy", **options: object) -> Dataset:
    return load_dataset(Data(name, path=str(path), **options), seed=0)


# Arrays.


def test_pixels_stay_as_they_are() -> None:
    split = to_split(PICTURES, LABELS, where="here")
    assert split.images is PICTURES and split.encoding == PIXELS


@pytest.mark.parametrize(
    ("shape", "found"),
    [((40, 16), (16, 1, 1)), ((40, 7, 5), (7, 5, 1)), ((40, 7, 1, 6), (7, 1, 6))],
)
def test_series_and_grey_images_get_the_axes_they_lack(shape: tuple, found: tuple) -> None:
    split = to_split(np.zeros(shape, np.uint8), LABELS, where="here")
    assert split.images.shape == (40, *found)


@given(
    values=arrays.arrays(
        np.float32, (6, 4, 2), elements=st.floats(-1000, 1000, width=32), fill=st.nothing()
    )
)
def test_real_values_are_kept_to_half_a_step(values: np.ndarray) -> None:
    values[0, 0] = -1, 1
    split = to_split(values, np.arange(6) % 2, where="here")
    reals = split.encoding.to_reals(split.images)[..., 0]
    assert np.abs(reals - values).max() <= split.encoding.scale * 0.51
    test = to_split(values * 3, np.arange(6) % 2, where="here", encoding=split.encoding)
    assert test.encoding == split.encoding, "whatever the values of the test split"


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ([1, 2], LABELS, r"has no images .*got list"),
        (np.zeros(40, np.uint8), LABELS, r"has no images .*got shape \(40,\)"),
        (np.zeros((0, 4, 4), np.uint8), LABELS[:0], "holds no values"),
        (np.zeros((40, 4, 4), np.int64), LABELS, "no pixel and no measurement .*got int64"),
        (np.zeros((40, 4, 4), object), LABELS, "got object"),
        (np.full((40, 4), np.nan), LABELS, "sample 0 holds a value that is not finite"),
        (np.vstack([SERIES[:39], np.full((1, 16), np.inf)]), LABELS, "sample 39 holds"),
        (np.ones((40, 4)), LABELS, "values from 1 to 1 have no range; subtract the mean"),
        (SERIES + 1e4, LABELS, "lie too far from zero for 8 bits"),
        (PICTURES, LABELS[:39], r"not a label for each image \(expected 40 labels, got 39\)"),
        (PICTURES, LABELS - 1, r"label out of range \(expected 0 to 4094, got -1\)"),
        (PICTURES, LABELS * 2000, "got 6000"),
        (PICTURES, LABELS / 2, r"has no labels .*got shape \(40,\) of float64"),
        (PICTURES, np.eye(4)[LABELS], r"has no labels .*got shape \(40, 4\)"),
        (PICTURES, LABELS.tolist(), "has no labels .*got list"),
    ],
)
def test_arrays_that_are_no_samples_are_refused(
    images: object, labels: object, message: str
) -> None:
    with pytest.raises(DatasetError, match=f"^here: .*{message}"):
        to_split(images, labels, where="here")


def test_a_column_of_labels_is_a_row() -> None:
    assert to_split(PICTURES, LABELS[:, None], where="").labels.tolist() == LABELS.tolist()


def test_splits_must_be_of_one_type() -> None:
    learned = to_split(SERIES, LABELS, where="").encoding
    with pytest.raises(DatasetError, match="another type .*expected floating-point .*got uint8"):
        to_split(PICTURES, LABELS, where="", encoding=learned)
    with pytest.raises(DatasetError, match="another type .*expected uint8, got float32"):
        to_split(SERIES, LABELS, where="", encoding=PIXELS)


# Files.


def test_an_npz_with_both_splits_is_a_set(tmp_path: Path) -> None:
    dataset = load(write_npz(tmp_path / "a.npz"))
    assert (dataset.input_shape, dataset.classes) == ((6, 5, 3), 4)
    assert (len(dataset.train), len(dataset.validation)) == (36, 4)
    assert np.array_equal(dataset.load_test().images, PICTURES[:8])


def test_real_values_of_a_file_share_the_training_splits_scale(tmp_path: Path) -> None:
    dataset = load(write_npz(tmp_path / "a.npz", SERIES, x_test=SERIES[:8] / 2))
    assert dataset.input_shape == (16, 1, 1) and dataset.encoding != PIXELS
    test = dataset.load_test()
    assert test.encoding == dataset.encoding
    reals = test.encoding.to_reals(test.images)[:, :, 0, 0]
    assert np.abs(reals - SERIES[:8] / 2).max() <= test.encoding.scale * 0.51


def test_a_heap_is_split_the_same_whatever_the_seed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=PICTURES, y=LABELS)
    data = Data("numpy", path=str(tmp_path / "a.npz"), test_fraction=0.4)
    once, other = (load_dataset(data, seed=seed) for seed in (0, 1))
    assert np.bincount(once.load_test().labels).tolist() == [4] * 4
    assert np.array_equal(once.load_test().images, other.load_test().images)
    assert len(once.train) + len(once.validation) == 24


def test_a_folder_of_npy_files_is_mapped(tmp_path: Path) -> None:
    for name, array in (("x", PICTURES), ("y", LABELS)):
        for split in ("train", "test"):
            np.save(tmp_path / f"{name}_{split}.npy", array)
    dataset = load(tmp_path)
    assert np.array_equal(dataset.load_test().images, PICTURES)
    assert isinstance(dataset.load_test().images, np.memmap)


def test_test_arrays_are_not_read_before_they_are_asked_for(tmp_path: Path) -> None:
    dataset = load(write_npz(tmp_path / "a.npz", y_test=LABELS[:3]))
    with pytest.raises(DatasetError, match="a.npz: test: has not a label for each image"):
        dataset.load_test()


def test_a_file_with_other_arrays_says_what_was_expected(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=PICTURES)
    with pytest.raises(DatasetError, match="x_train, y_train, x_test, y_test, or x and y, got im"):
        load(tmp_path / "a.npz")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatasetError, match="folder: holds other arrays .*got none"):
        load(tmp_path / "folder")


def test_files_that_are_no_archives_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere.npz: no such file or folder"):
        load(tmp_path / "nowhere.npz")
    (tmp_path / "a.npz").write_bytes(b"hello")
    with pytest.raises(DatasetError, match="is no .npz file: File is not a zip file"):
        load(tmp_path / "a.npz")


def _npy(header: str) -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (b"", "EOF"),
        (b"hello, world", "magic string is not correct"),
        (_npy("hello"), "malformed node or string"),
        (_npy("{'shape': ("), "multi-line statement"),
        (
            _npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1048576, 1048576)}"),
            "its header asks for 1099511627776 bytes, 0 are there",
        ),
        (_npy("{'descr': '|O', 'fortran_order': False, 'shape': (0,)}"), "pickled objects"),
        (_npy("{'descr': '<U4', 'fortran_order': False, 'shape': (0,)}"), "not numbers"),
    ],
    ids=["empty", "text", "header", "open header", "terabyte", "objects", "strings"],
)
def test_members_that_are_no_arrays_are_refused(
    tmp_path: Path, member: bytes, message: str
) -> None:
    write_npz(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        for name in ("y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", b"")
        archive.writestr("x_train.npy", member)
    with pytest.raises(DatasetError, match=f"x_train.npy: cannot be read: .*{message}"):
        load(tmp_path / "b.npz")


def test_pickled_objects_of_a_folder_are_refused(tmp_path: Path) -> None:
    for name in ("x", "y"):
        np.save(tmp_path / f"{name}.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(DatasetError, match="x.npy: cannot be read: .*Python objects in dtype"):
        load(tmp_path)


def test_mutated_archives_are_read_or_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=PICTURES[:, :2, :2], y=LABELS)
    whole = buffer.getvalue()
    rng = np.random.default_rng(0)
    for _ in range(1000):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data))] = rng.integers(256)
        (tmp_path / "a.npz").write_bytes(data)
        try:
            dataset = load(tmp_path / "a.npz")
        except DatasetError as error:
            assert "a.npz" in str(error)
        else:
            assert dataset.train.images.dtype == np.uint8


@pytest.mark.parametrize("packed", [True, False])
def test_mutated_headers_are_read_or_refused(tmp_path: Path, packed: bool) -> None:
    buffers = {}
    for name, array in (("x", PICTURES[:, :2, :2, 0]), ("y", LABELS)):
        buffer = io.BytesIO()
        np.save(buffer, array)
        buffers[name] = buffer.getvalue()
    (tmp_path / "set").mkdir()
    rng = np.random.default_rng(0)
    for _ in range(500):
        data = {name: bytearray(whole) for name, whole in buffers.items()}
        for _ in range(rng.integers(1, 4)):
            data["xy"[rng.integers(2)]][rng.integers(6, 80)] = rng.choice(
                [*b"()[]{}'\"0,:<|x\n \0"]
            )
        if packed:
            with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
                for name, content in data.items():
                    archive.writestr(f"{name}.npy", bytes(content))
        else:
            for name, content in data.items():
                (tmp_path / "set" / f"{name}.npy").write_bytes(content)
        try:
            load(tmp_path / ("set.npz" if packed else "set"))
        except DatasetError as error:
            assert str(tmp_path) in str(error)


# A user's own function.


def write_hook(path: Path, body: str) -> Path:
    path.write_text(f"import numpy as np\n\ndef load(split):\n    {body}\n")
    return path


def test_a_function_of_three_lines_is_a_set(tmp_path: Path) -> None:
    body = "n = 40 if split == 'train' else 8\n    "
    body += "return np.ones((n, 4, 4), np.uint8), np.arange(n) % 2"
    dataset = load(write_hook(tmp_path / "my_data.py", body), name="python")
    assert (dataset.input_shape, dataset.classes) == ((4, 4, 1), 2)
    assert len(dataset.load_test()) == 8


def test_the_function_is_asked_for_the_test_split_at_the_end(tmp_path: Path) -> None:
    body = "return {'train': (np.zeros((8, 4, 4), np.uint8), np.arange(8) % 2)}[split]"
    dataset = load(write_hook(tmp_path / "my_data.py", body), name="python")
    with pytest.raises(
        DatasetError, match=r"my_data.py:4: load\('test'\) raised KeyError: 'test'"
    ):
        dataset.load_test()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("1 / 0", r"my_data.py:4: load\('train'\) raised ZeroDivisionError: division by zero"),
        ("return 3", r"load\('train'\) returned something else \(expected \(images, labels\)"),
        ("return np.zeros((4, 4)), 3", r"my_data.py: load\('train'\): has no labels"),
        ("return (", r"my_data.py:4: the file raised SyntaxError"),
    ],
)
def test_what_goes_wrong_in_it_names_the_line(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load(write_hook(tmp_path / "my_data.py", body), name="python")


def test_a_file_without_the_function_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def loader(split): ...\n")
    with pytest.raises(DatasetError, match=r"has no function 'load' .*def load\(split\)"):
        load(tmp_path / "a.py", name="python")
    with pytest.raises(DatasetError, match="nowhere.py: no such file"):
        load(tmp_path / "nowhere.py", name="python")


@pytest.mark.parametrize(
    "name", ["cifar10", "cifar100", "image_folder", "numpy", "python", "speech_commands"]
)
def test_a_set_without_a_place_of_its_own_needs_a_path(name: str) -> None:
    with pytest.raises(DatasetError, match=rf"'{name}' has no path .*\[data\] path: "):
        load_dataset(Data(name), seed=0)
