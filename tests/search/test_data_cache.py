"""Decoded samples are kept once, whole, and never when they could be stale."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.errors import DatasetError
from search.config import Image
from search.data import cache, image_folder
from search.data.cache import Arrays, cached
from tests.search.test_data_images import write_classes

HERE = [sys.modules[__name__]]
NAMES = ("images", "encoding")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HILNAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SETTLED_S", -1.0)
    return tmp_path / "cache" / "data"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").write_bytes(b"abc")
    return tmp_path / "source"


class Maker:
    """Counts how often it was asked."""

    def __init__(self, source: Path) -> None:
        self.source, self.calls = source, 0

    def __call__(self) -> Arrays:
        self.calls += 1
        images = np.frombuffer(self.source.read_bytes(), np.uint8)
        return {"images": images, "encoding": np.array([1.0, 2.0])}

    def get(self, **parameters: object) -> bytes:
        return cached([self.source], parameters, HERE, NAMES, self)["images"].tobytes()


def test_the_second_call_maps_what_the_first_one_made(source: Path) -> None:
    make = Maker(source)
    assert make.get() == make.get() == b"abc" and make.calls == 1
    again = cached([source], {}, HERE, NAMES, make)["images"]
    assert isinstance(again, np.memmap) and not again.flags.writeable


def test_other_parameters_are_another_entry(source: Path) -> None:
    make = Maker(source)
    make.get(size=1), make.get(size=2), make.get(size=1)
    assert make.calls == 2


def test_another_decoder_is_another_entry(source: Path) -> None:
    make = Maker(source)
    make.get()
    cached([source], {}, [cache], NAMES, make)
    assert make.calls == 2


def test_a_changed_file_is_read_again_even_with_its_old_size_and_time(source: Path) -> None:
    make = Maker(source)
    make.get()
    before = source.stat()
    source.write_bytes(b"xyz")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert make.get() == b"xyz"


def test_a_replaced_file_is_read_again(source: Path, tmp_path: Path) -> None:
    make = Maker(source)
    make.get()
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "new").replace(source)
    assert make.get() == b"new"


def test_files_that_changed_a_moment_ago_are_not_kept(
    source: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "SETTLED_S", 60.0)
    make = Maker(source)
    make.get(), make.get()
    assert make.calls == 2 and not root.exists()


def test_files_that_change_while_they_are_read_are_not_kept(source: Path, root: Path) -> None:
    def make() -> Arrays:
        source.write_bytes(b"changed")
        return {"images": np.zeros(3)}

    cached([source], {}, HERE, NAMES, make)
    assert not root.exists()


@pytest.mark.parametrize("damage", ["truncated", "empty", "removed"])
def test_a_damaged_entry_is_made_again(source: Path, root: Path, damage: str) -> None:
    make = Maker(source)
    make.get()
    (path,) = root.rglob("images.npy")
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] if damage == "truncated" else b"")
    assert make.get() == b"abc" == make.get() and make.calls == 2


def test_what_fails_leaves_nothing_behind(
    source: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(DatasetError, match="No space left on device; make room, or set HILNAS_C"):
        Maker(source).get()
    assert list(root.iterdir()) == []


def test_a_faster_process_wins_and_its_entry_stays(
    source: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Maker(source)
    original = cache._rename

    def overtaken(folder: Path, entry: Path) -> None:
        entry.mkdir()
        np.save(entry / "images.npy", np.frombuffer(b"abc", np.uint8))
        np.save(entry / "encoding.npy", np.zeros(2))
        original(folder, entry)

    monkeypatch.setattr(cache, "_rename", overtaken)
    assert make.get() == make.get() == b"abc" and make.calls == 1


def test_an_entry_that_appeared_meanwhile_is_left_alone(source: Path, root: Path) -> None:
    make, kept = Maker(source), []

    def slower() -> Arrays:
        make.get()  # as another process would
        kept.extend(root.iterdir())
        kept.append(kept[0].stat().st_ino)
        return make()

    cached([source], {}, HERE, NAMES, slower)
    assert kept[0].stat().st_ino == kept[1] and list(root.iterdir()) == kept[:1]


def test_entries_not_used_for_a_month_are_deleted(source: Path, root: Path) -> None:
    make = Maker(source)
    make.get(size=1)
    (old,) = root.iterdir()
    os.utime(old, (0, 0))
    make.get(size=2)
    assert not old.exists() and len(list(root.iterdir())) == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere: cannot be read: No such file"):
        cached([tmp_path / "nowhere"], {}, HERE, NAMES, dict)


def test_images_are_decoded_once_and_again_when_one_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, decoded = write_classes(tmp_path / "set", 4), []
    original = image_folder.read_image
    monkeypatch.setattr(
        image_folder, "read_image", lambda path, o: decoded.append(path) or original(path, o)
    )
    once = image_folder.load_image_folder(root, Image(), 0.25)
    again = image_folder.load_image_folder(root, Image(), 0.25)
    assert np.array_equal(once.samples.images, again.samples.images)
    assert len(set(decoded)) == 9 and len(decoded) == 10  # the first also says the size
    image_folder.load_image_folder(root, Image(grey=True), 0.25)
    assert len(decoded) == 20
