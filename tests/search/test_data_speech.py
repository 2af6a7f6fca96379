"""A Speech Commands folder becomes features, by its own splits, and each fault names its file."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DatasetError
from search.config import Data, Sound
from search.data import speech_commands
from search.data.dataset import Dataset
from search.data.front_end import FrontEnd
from search.data.load import load_dataset
from search.data.speech_commands import split_by_name
from search.data.wav import read_wav
from tests.search.sound_files import tone, write_speech_commands, write_wav

WORDS = ("go", "no", "stop", "yes")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HILNAS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_speech_commands(tmp_path_factory.mktemp("speech") / "set")


@pytest.fixture
def folder(shared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared, tmp_path / "set"))


def load(root: Path, *words: str, **options: object) -> Dataset:
    sound = Sound(words=words, **options)
    return load_dataset(Data("speech_commands", path=str(root), sound=sound), seed=0)


def test_every_word_is_a_class_and_the_lists_decide_the_split(shared: Path) -> None:
    dataset = load(shared)
    assert (dataset.input_shape, dataset.classes) == ((49, 40, 1), 4)
    assert dataset.class_names == WORDS
    assert (len(dataset.train), len(dataset.validation)) == (4 * 24, 4 * 3)
    test = dataset.load_test()
    assert np.bincount(test.labels).tolist() == [3] * 4
    assert dataset.train.images.dtype == np.uint8 and test.encoding == dataset.encoding


def test_features_are_those_of_the_front_end_to_half_a_step(shared: Path) -> None:
    dataset = load(shared)
    clip = tone(600, seed=7).astype(np.float32) / 32768  # "no" by speaker 7
    wanted = FrontEnd(Sound())(clip[np.newaxis])[0, :, :, np.newaxis]
    candidates = dataset.train.images[dataset.train.labels == 1]
    errors = np.abs(dataset.encoding.to_reals(candidates) - wanted).max(axis=(1, 2, 3))
    assert errors.min() <= dataset.encoding.scale * 0.51


def test_words_make_silence_and_unknown_classes_of_average_size(shared: Path) -> None:
    dataset = load(shared, "yes", "go", front_end="mfcc")
    assert dataset.class_names == ("silence", "unknown", "yes", "go")
    assert dataset.input_shape == (49, 10, 1)
    for split, each in ((dataset.train, 24), (dataset.validation, 3), (dataset.load_test(), 3)):
        assert np.bincount(split.labels).tolist() == [each] * 4


def test_the_first_few_samples_of_each_split_are_of_several_classes(shared: Path) -> None:
    dataset = load(shared)
    for split in (dataset.train, dataset.validation, dataset.load_test()):
        assert len(np.unique(split.first(6).labels)) > 1


def test_the_test_split_does_not_depend_on_the_seed(shared: Path) -> None:
    data = Data("speech_commands", path=str(shared), sound=Sound(words=("yes", "no")))
    once, other = (load_dataset(data, seed=seed) for seed in (0, 1))
    assert np.array_equal(once.load_test().images, other.load_test().images)
    assert not np.array_equal(once.train.labels, other.train.labels)


def test_without_noise_or_other_words_these_classes_are_left_out(tmp_path: Path) -> None:
    root = write_speech_commands(tmp_path / "set", ("go", "no"), speakers=7, noise=False)
    assert load(root, "no", "go").class_names == ("no", "go")


def test_without_lists_the_rule_of_the_readme_decides_by_speaker(tmp_path: Path) -> None:
    root = write_speech_commands(tmp_path / "set", ("go", "no"), speakers=40, lists=False)
    dataset = load(root)
    expected = [split_by_name(f"{speaker:08x}_nohash_0.wav") for speaker in range(40)]
    assert len(dataset.validation) == 2 * expected.count("validation") > 0
    assert len(dataset.load_test()) == 2 * expected.count("testing") > 0


def test_the_rule_is_that_of_the_readme() -> None:
    for number in range(5000):
        speaker = f"{number:08x}"
        digest = int(hashlib.sha1(speaker.encode()).hexdigest(), 16)
        percentage = (digest % 2**27) * (100.0 / (2**27 - 1))
        expected = (
            "validation" if percentage < 10 else "testing" if percentage < 20 else "training"
        )
        assert split_by_name(f"{speaker}_nohash_{number % 5}.wav") == expected


def test_short_clips_are_padded_and_long_ones_cut(folder: Path) -> None:
    for name, count in (("short", 9000), ("long", 30_000)):
        write_wav(folder / "go" / f"{name}_nohash_0.wav", tone(300, count))
    assert len(load(folder).train) == 4 * 24 + 2


def test_only_test_clips_are_left_unread(folder: Path) -> None:
    (folder / "go" / "00000003_nohash_0.wav").write_bytes(b"RIFF")
    dataset = load(folder)
    with pytest.raises(DatasetError, match="00000003_nohash_0.wav: is no .wav file"):
        dataset.load_test()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f.write_bytes(b""), "is no .wav file that can be read: it ends within"),
        (lambda f: f.write_bytes(b"hello, world"), "file does not start with RIFF id"),
        (
            lambda f: f.write_bytes(f.read_bytes()[:5000]),
            r"is truncated .*16000 samples.*got 2478",
        ),
        (lambda f: write_wav(f, np.zeros(0, np.int16)), r"is empty \(expected some samples"),
        (lambda f: write_wav(f, tone(300), rate_hz=8000), r"at 16000 Hz, got 1 of 16 at 8000"),
        (lambda f: write_wav(f, tone(300), channels=2), r"got 2 of 16 at 16000.*ffmpeg"),
        (lambda f: write_wav(f, tone(300), width=1), "got 1 of 8 at 16000"),
    ],
    ids=["empty", "text", "truncated", "silent", "rate", "stereo", "8 bits"],
)
def test_a_clip_that_is_damaged_or_of_another_form_is_named(
    folder: Path, damage, message: str
) -> None:
    path = folder / "stop" / "0000000a_nohash_0.wav"
    damage(path)
    with pytest.raises(DatasetError, match=f"stop/0000000a_nohash_0.wav: .*{message}"):
        load(folder)


def test_lists_that_do_not_fit_the_folder_are_refused(folder: Path) -> None:
    testing = folder / "testing_list.txt"
    whole = testing.read_text()
    testing.write_text(whole + "go/missing.wav\n")
    with pytest.raises(
        DatasetError, match="testing_list.txt: names 'go/missing.wav', which is not"
    ):
        load(folder)
    testing.write_text(whole + "go/00000000_nohash_0.wav\n")
    with pytest.raises(DatasetError, match="which is listed twice"):
        load(folder)
    testing.unlink()
    with pytest.raises(DatasetError, match="validation_list.txt and testing_list.txt belong"):
        load(folder)


def test_folders_that_are_no_set_say_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="a folder of folders, one a class"):
        load(tmp_path / "nowhere")
    (tmp_path / "go").mkdir()
    with pytest.raises(DatasetError, match=r"no two classes .*at least 2 classes, got go"):
        load(tmp_path)
    (tmp_path / "no").mkdir()
    with pytest.raises(DatasetError, match=r"go: is empty \(expected files of .wav\)"):
        load(tmp_path)
    (tmp_path / "go" / "notes.txt").write_text("")
    with pytest.raises(DatasetError, match="notes.txt: does not belong"):
        load(tmp_path)


def test_a_word_without_a_folder_is_named(shared: Path) -> None:
    with pytest.raises(DatasetError, match="no folder for the word 'left' .*go, no, stop, yes"):
        load(shared, "yes", "left")


def test_a_split_without_a_class_is_refused(tmp_path: Path) -> None:
    root = write_speech_commands(tmp_path / "set", ("go", "no"), speakers=8)
    names = "".join(f"no/{speaker:08x}_nohash_0.wav\n" for speaker in range(3))
    (root / "validation_list.txt").write_text(names)
    with pytest.raises(DatasetError, match="the validation split has no clip of class 'go'"):
        load(root)


def test_noise_must_be_long_enough_for_each_split(folder: Path) -> None:
    noise = folder / "_background_noise_" / "white_noise.wav"
    write_wav(noise, tone(300, 5 * 16000))
    with pytest.raises(DatasetError, match="too short to cut clips .*at least 160010 samples"):
        load(folder, "yes")
    noise.unlink()
    with pytest.raises(DatasetError, match="_background_noise_: holds no .wav file"):
        load(folder, "yes")


def test_clips_of_nothing_but_silence_are_refused(tmp_path: Path) -> None:
    root = write_speech_commands(tmp_path / "set", ("go", "no"), speakers=7)
    for path in root.glob("[gn]o/*.wav"):
        write_wav(path, np.zeros(16000, np.int16))
    with pytest.raises(DatasetError, match="all clips sound the same"):
        load(root)


def test_noise_of_different_splits_does_not_overlap() -> None:
    parts = sorted(speech_commands._NOISE_PARTS.values())
    assert all(a[1] <= b[0] for a, b in zip(parts, parts[1:], strict=False))
    noise = np.arange(1000, dtype=np.int16)
    for low, high in parts:
        for share in (0.0, 0.5, np.nextafter(1, 0)):
            clip = speech_commands.Clip(Path(), (low, high), share)
            cut = speech_commands._cut(noise, clip, 100)
            assert len(cut) == 100 and cut[0] >= low * 1000 and cut[-1] < high * 1000


@given(samples=st.lists(st.integers(-32768, 32767), min_size=1, max_size=50))
def test_samples_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, samples: list[int]
) -> None:
    path = tmp_path_factory.mktemp("wav") / "a.wav"
    write_wav(path, np.array(samples, np.int16))
    assert read_wav(path, 16000).tolist() == samples


def test_mutated_wav_files_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, tone(300, 100))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(1000):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(0, 48)] = rng.integers(256)
        path.write_bytes(data[: rng.integers(1, len(data) + 1)] if rng.integers(2) else data)
        try:
            samples = read_wav(path, 16000)
        except DatasetError as error:
            assert "a.wav" in str(error)
        else:
            assert samples.dtype == np.int16 and 1 <= len(samples) <= 122
