"""The idx reader believes nothing that is not there."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DatasetError
from search.data.idx import find_idx, read_idx, read_samples
from tests.search.idx_files import idx_bytes, write_set


def test_images_come_back_as_they_were_written(tmp_path: Path) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a").write_bytes(idx_bytes(images))
    assert np.array_equal(read_idx(tmp_path / "a", dimensions=3), images)


def test_gzip_is_recognised_by_content_not_by_name(tmp_path: Path) -> None:
    images = np.ones((1, 2, 2), np.uint8)
    (tmp_path / "plain-name").write_bytes(gzip.compress(idx_bytes(images)))
    assert np.array_equal(read_idx(tmp_path / "plain-name", dimensions=3), images)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere: no such file; check \[data\] path"):
        read_idx(tmp_path / "nowhere", dimensions=1)


def test_swapped_images_and_labels_are_told_by_their_magic(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(idx_bytes(np.zeros((2, 3, 4), np.uint8)))
    with pytest.raises(DatasetError, match=r"expected magic 00000801 .* got 00000803\); check"):
        read_idx(tmp_path / "a", dimensions=1)


def test_another_element_type_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0\0\x0d\x01" + struct.pack(">I", 0))  # float32
    with pytest.raises(DatasetError, match="got 00000d01"):
        read_idx(tmp_path / "a", dimensions=1)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(DatasetError, match="got an empty file"):
        read_idx(tmp_path / "a", dimensions=1)


@given(cut=st.integers(4, 39))
def test_a_truncated_file_is_refused_wherever_it_ends(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("idx") / "a"
    path.write_bytes(idx_bytes(np.zeros((2, 3, 4), np.uint8))[:cut])
    with pytest.raises(DatasetError, match="is truncated"):
        read_idx(path, dimensions=3)


def test_bytes_behind_the_data_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(idx_bytes(np.zeros(3, np.uint8)) + b"x")
    with pytest.raises(DatasetError, match=r"has bytes behind its data \(expected 3 bytes"):
        read_idx(tmp_path / "a", dimensions=1)


def test_a_header_that_asks_for_terabytes_is_refused_before_reading(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 1 << 20, 1 << 12, 1 << 12))
    with pytest.raises(DatasetError, match="header asks for 1048576 x 4096 x 4096 bytes"):
        read_idx(tmp_path / "a", dimensions=3)


@pytest.mark.parametrize("cut", [3, 12, 30], ids=["magic", "header", "stream"])
def test_damaged_gzip_is_refused_in_one_sentence(tmp_path: Path, cut: int) -> None:
    rng = np.random.default_rng(0)
    data = gzip.compress(idx_bytes(rng.integers(0, 256, 500, dtype=np.uint8)))
    (tmp_path / "a").write_bytes(data[:cut])
    with pytest.raises(DatasetError, match="cannot be read: .*; the file is damaged"):
        read_idx(tmp_path / "a", dimensions=1)


def test_files_are_found_plain_zipped_and_with_a_dot(tmp_path: Path) -> None:
    for name in ("a-idx1-ubyte", "b-idx1-ubyte.gz", "c.idx1-ubyte"):
        (tmp_path / name).write_bytes(b"")
    assert [find_idx(tmp_path, prefix, 1).name for prefix in "abc"] == [
        "a-idx1-ubyte",
        "b-idx1-ubyte.gz",
        "c.idx1-ubyte",
    ]
    with pytest.raises(
        DatasetError, match="file is not there .*one of d-idx1-ubyte, d-idx1-ubyte"
    ):
        find_idx(tmp_path, "d", 1)


def test_samples_have_a_channel_axis_and_int64_labels(tmp_path: Path) -> None:
    write_set(tmp_path, "train", count=6)
    samples = read_samples(tmp_path, "train")
    assert samples.images.shape == (6, 8, 8, 1) and samples.images.dtype == np.uint8
    assert samples.labels.shape == (6,) and samples.labels.dtype == np.int64


def test_counts_of_images_and_labels_must_agree(tmp_path: Path) -> None:
    write_set(tmp_path, "train", count=6)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(5, np.uint8)))
    with pytest.raises(DatasetError, match="expected 6 labels for train-images.*, got 5"):
        read_samples(tmp_path, "train")


def test_a_set_without_pixels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((0, 8, 8), np.uint8)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(0, np.uint8)))
    with pytest.raises(DatasetError, match="holds no pixels"):
        read_samples(tmp_path, "train")
