"""Weights come back from their file as they went in, and a file that is another one is refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import JournalError
from search import keeping
from search.channels import filter_shape
from search.weights import filters_of, load_weights, save_weights
from tests.search.genotypes import conv, depthwise, network, series
from tests.search.networks import EVERY_OPERATOR, used
from tests.search.spaces.spaces import SMALL_MUNAS

GENOTYPE = network(series(conv(4, batch_norm=True), depthwise()), dense=(10,))
SHAPE, CLASSES = (8, 7, 2), 3


def saved(folder: Path) -> Path:
    path = folder / "weights" / "a.npz"
    save_weights(path, GENOTYPE, used(SMALL_MUNAS.lower(GENOTYPE, SHAPE, CLASSES), seed=3))
    return path


def rewritten(path: Path, **changes: np.ndarray | None) -> Path:
    """The file with some arrays replaced, or left out."""
    with np.load(path) as archive:
        arrays = {**archive, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_what_is_saved_is_loaded_to_the_bit(tmp_path: Path) -> None:
    genotype, loaded = load_weights(saved(tmp_path), SMALL_MUNAS, SHAPE, CLASSES)

    assert genotype == GENOTYPE
    before = used(SMALL_MUNAS.lower(GENOTYPE, SHAPE, CLASSES), seed=3).state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in loaded.state_dict().items())
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["a.npz"]


def test_a_file_holds_float32_by_operator_and_no_pickle(tmp_path: Path) -> None:
    with np.load(saved(tmp_path), allow_pickle=False) as archive:
        assert str(archive["genotype"]) == GENOTYPE.canonical()
        assert archive["block0_layer0/0.weight"].shape == (4, 2, 3, 3)
        assert archive["block0_layer0/1.running_var"].dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"genotype": None}, "names no genotype"),
        ({"genotype": np.array("{")}, "is no file of weights: Expecting property name"),
        ({"genotype": np.array("[]")}, "is no file of weights: genotype is not a table"),
        ({"genotype": np.array([object()])}, "is no file of weights: Object arrays cannot"),
        ({"dense0/0.bias": None}, "array 'dense0/0.bias' is missing"),
        ({"extra": np.zeros(3, np.float32)}, "array 'extra' belongs to no operator"),
        (
            {"dense0/0.bias": np.zeros(9, np.float32)},
            r"array 'dense0/0.bias' is another one than the genotype asks for "
            r"\(expected float32 \(10,\), got float32 \(9,\)\)",
        ),
        ({"dense0/0.bias": np.zeros(10)}, r"expected float32 \(10,\), got float64 \(10,\)"),
    ],
)
def test_a_file_that_is_another_one_is_refused(
    tmp_path: Path, changes: dict[str, np.ndarray | None], message: str
) -> None:
    path = rewritten(saved(tmp_path), **changes)
    with pytest.raises(JournalError, match=message) as caught:
        load_weights(path, SMALL_MUNAS, SHAPE, CLASSES)
    assert str(path) in str(caught.value)
    assert "restore it from a copy, or start a new run" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"not an archive"])
def test_a_torn_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(JournalError, match="is no file of weights"):
        load_weights(path, SMALL_MUNAS, SHAPE, CLASSES)


def test_weights_for_another_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="another one than the genotype asks for"):
        load_weights(saved(tmp_path), SMALL_MUNAS, (8, 7, 3), CLASSES)


def test_a_file_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no such file"):
        load_weights(tmp_path / "a.npz", SMALL_MUNAS, SHAPE, CLASSES)


def test_a_full_disk_leaves_neither_half_a_file_nor_the_old_one_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()

    def fill_up(file: int) -> None:
        os.ftruncate(file, 4)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keeping.os, "fsync", fill_up)
    with pytest.raises(JournalError, match="cannot be written: No space left on device"):
        saved(tmp_path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_filters_are_views_of_one_layout() -> None:
    module = used(EVERY_OPERATOR, seed=0)
    for name in ("conv", "depthwise", "pointwise", "dense", "classifier"):
        assert tuple(filters_of(module, name).shape) == filter_shape(EVERY_OPERATOR, name)
    filters_of(module, "dense")[2, 1, 0, 2] = 7.0
    assert module.layer_of("dense")[0].weight[2, 2 * 4 + 1] == 7.0
