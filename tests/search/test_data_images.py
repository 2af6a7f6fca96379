"""Image folders: both layouts, each kind of file, and each fault by the name of its file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pillow

from harness.errors import DatasetError
from search.config import Data, Image
from search.data.dataset import Dataset
from search.data.image_folder import read_image
from search.data.load import load_dataset

COLOURS = {"blue": (0, 0, 250), "green": (0, 250, 0), "red": (250, 0, 0)}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HILNAS_CACHE", str(tmp_path_factory.mktemp("cache")))


def write_classes(root: Path, count: int, *, size: int = 12, suffix: str = "png") -> Path:
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            shade = tuple(max(c - 5 * i, 0) for c in colour)
            pillow.new("RGB", (size, size), shade).save(root / name / f"{i:03}.{suffix}")
    return root


@pytest.fixture
def heap(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "set", 10)


@pytest.fixture
def split_set(tmp_path: Path) -> Path:
    write_classes(tmp_path / "set" / "train", 6)
    write_classes(tmp_path / "set" / "test", 3)
    return tmp_path / "set"


def load(root: Path, *, seed: int = 0, **options: object) -> Dataset:
    image = Image(**{k: v for k, v in options.items() if k in ("size", "grey")})
    others = {k: v for k, v in options.items() if k not in ("size", "grey")}
    return load_dataset(Data("image_folder", path=str(root), image=image, **others), seed=seed)


def test_folders_of_a_heap_are_classes_and_a_part_is_held_out(heap: Path) -> None:
    dataset = load(heap, test_fraction=0.3)
    assert (dataset.input_shape, dataset.classes) == ((12, 12, 3), 3)
    assert dataset.class_names == ("blue", "green", "red")
    assert (len(dataset.train), len(dataset.validation)) == (18, 3)
    test = dataset.load_test()
    assert np.bincount(test.labels).tolist() == [3, 3, 3]
    assert np.all(test.images[test.labels == 2, 0, 0, 0] > 200)
    seen = {(*image[0, 0],) for image in test.images}
    learned = np.concatenate([dataset.train.images, dataset.validation.images])
    assert not seen & {(*image[0, 0],) for image in learned}


def test_what_is_held_out_does_not_depend_on_the_seed(heap: Path) -> None:
    once, other = load(heap, seed=1), load(heap, seed=2)
    assert np.array_equal(once.load_test().images, other.load_test().images)
    assert not np.array_equal(once.train.images, other.train.images)


def test_train_and_test_folders_are_kept_apart(split_set: Path) -> None:
    dataset = load(split_set)
    assert (len(dataset.train), len(dataset.validation), len(dataset.load_test())) == (15, 3, 9)


def test_a_validation_folder_is_used_as_it_is(split_set: Path) -> None:
    write_classes(split_set / "validation", 2)
    dataset = load(split_set, validation_limit=4)
    assert (len(dataset.train), len(dataset.validation)) == (18, 4)


def test_test_images_are_not_decoded_before_they_are_asked_for(split_set: Path) -> None:
    (split_set / "test" / "red" / "001.png").write_bytes(b"nonsense")
    dataset = load(split_set)
    with pytest.raises(DatasetError, match="test/red/001.png: is no image"):
        dataset.load_test()


def test_grey_images_have_one_channel(heap: Path) -> None:
    assert load(heap, grey=True).input_shape == (12, 12, 1)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA"], ids=lambda mode: f"mode-{mode}"
)
def test_every_mode_of_8_bits_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    pillow.new("RGB", (4, 3), (255, 255, 255)).convert(mode).save(path)
    pixels = read_image(path, Image())
    assert pixels.shape == (3, 4, 3) and np.all(pixels == 255)


def test_a_photograph_is_turned_upright_cut_to_shape_and_scaled(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    image = np.zeros((300, 600, 3), np.uint8)
    image[:, 200:400] = 255  # the middle third of a landscape
    exif = pillow.Exif()
    exif[0x0112] = 6  # turned by 90 degrees: the viewer sees a portrait with a bar across
    pillow.fromarray(image).save(path, exif=exif, quality=95)
    whole = read_image(path, Image())
    assert whole.shape == (600, 300, 3) and whole[300].min() > 240 and whole[100].max() < 15
    pixels = read_image(path, Image(size=(32, 32), grey=True))
    assert pixels.shape == (32, 32, 1)
    assert pixels[16].min() > 240 and pixels[1].max() < 15


def test_mixed_sizes_need_a_size_to_be_brought_to(heap: Path) -> None:
    pillow.new("RGB", (20, 16)).save(heap / "red" / "004.png")
    message = r"004.png: has another size .*expected 12 x 12 as .*/blue/.*, got 20 x 16\); set"
    with pytest.raises(DatasetError, match=message):
        load(heap, test_fraction=0.1)
    assert load(heap, size=(8, 10)).input_shape == (8, 10, 3)


def _png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no image that can be read: cannot identify"),
        (b"hello", "is no image that can be read: cannot identify image file; |expected PNG"),
        (_png_header(20_000, 5_000), "is too large .*got 20000 x 5000"),
        (_png_header(100_000, 100_000), "is no image .*decompression bomb"),
        (_png_header(100, 100), "is no image that can be read"),
    ],
    ids=["empty", "text", "large", "bomb", "hollow"],
)
def test_a_file_that_is_no_image_is_named(heap: Path, content: bytes, message: str) -> None:
    for path in (heap / "green").iterdir():
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"green/00\d.png: {message}"):
        load(heap)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_truncated_image_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    pillow.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DatasetError, match=f"a.{suffix}: is no image .*truncated"):
        read_image(path, Image())


def test_wide_samples_are_refused_rather_than_clipped(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pillow.fromarray(np.full((4, 4), 40_000, np.uint16)).save(path)
    with pytest.raises(DatasetError, match="more than 8 bits a sample .*mode I;16"):
        read_image(path, Image())


def test_other_formats_are_refused_whatever_their_name(tmp_path: Path) -> None:
    pillow.new("RGB", (4, 4)).save(tmp_path / "a.bmp")
    (tmp_path / "a.bmp").rename(tmp_path / "a.png")
    with pytest.raises(DatasetError, match="cannot identify image file"):
        read_image(tmp_path / "a.png", Image())


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_mutated_images_are_read_or_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    exif = pillow.Exif()
    exif[0x0112] = 3
    pillow.fromarray(noise).save(path, exif=exif)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(800):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(data[: rng.integers(1, len(data))] if rng.integers(3) == 0 else data)
        try:
            pixels = read_image(path, Image(size=(5, 7)))
        except DatasetError as error:
            assert f"a.{suffix}" in str(error)
        else:
            assert pixels.shape == (5, 7, 3) and pixels.dtype == np.uint8


def test_folders_that_are_no_set_say_what_was_expected(tmp_path: Path, heap: Path) -> None:
    with pytest.raises(DatasetError, match="a folder of folders, one a class"):
        load(tmp_path / "nowhere")
    (tmp_path / "one" / "cat").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"no two classes .*got cat"):
        load(tmp_path / "one")
    (heap / "red" / "notes.txt").write_text("")
    with pytest.raises(DatasetError, match=r"notes.txt: does not belong .*\.png, \.jpg, \.jpeg"):
        load(heap)
    (heap / "red" / "notes.txt").unlink()
    (heap / "red" / ".hidden").write_text("")
    (heap / "red" / "Thumbs.db").write_text("")
    (heap / "README.md").write_text("")
    (heap / "__MACOSX").mkdir()
    assert load(heap).classes == 3
    (heap / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty: is empty"):
        load(heap)


def test_a_class_without_training_folder_is_refused(split_set: Path) -> None:
    (split_set / "test" / "red").rename(split_set / "test" / "violet")
    with pytest.raises(DatasetError, match="test/red: cannot be read: No such file"):
        load(split_set)


def test_a_class_of_one_image_cannot_be_split(heap: Path) -> None:
    for path in sorted((heap / "red").iterdir())[1:]:
        path.unlink()
    with pytest.raises(DatasetError, match="class 2 cannot be split .* at least 2 samples, got 1"):
        load(heap)
