"""Which clips does a Speech Commands folder hold, for which split, and as which class?

The data set (arXiv 1804.03209; its README): one folder of .wav files a word, one second each, of
many speakers; validation_list.txt and testing_list.txt name the clips of those splits, no speaker
being in two. Without the lists the README's rule gives the same: the SHA-1 of a clip's name up to
"_nohash_", which names the speaker, decides. `_background_noise_` holds minutes of noise.

With `words`, classes are "silence" (cuts of the noise), "unknown" (other words) and the words, as
in the reference of the data set's author; of the first two each split has as many clips as of an
average word. Which these are depends on nothing but the folder.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

from harness.errors import DatasetError
from search.config import Sound
from search.data import front_end, wav
from search.data.cache import Arrays, cached
from search.data.class_folders import Files, class_names, list_files
from search.data.dataset import Encoding, Labels, Split, encoding_of
from search.data.source import Source

NOISE = "_background_noise_"
SPLITS = ("training", "validation", "testing")
LISTS = {"validation": "validation_list.txt", "testing": "testing_list.txt"}
# Of each noise file: its beginning is for training, its end for the test.
_NOISE_PARTS = {"training": (0.0, 0.8), "validation": (0.8, 0.9), "testing": (0.9, 1.0)}
_VALIDATION_SHARE = _TESTING_SHARE = 0.1
_CALIBRATION_CLIPS = 1000  # whose extremes fix the encoding, as TensorFlow Lite's converter does
_CHUNK = 256  # clips transformed at once: some 30 MB


@dataclass(frozen=True)
class Clip:
    """A file; or a cut of it at `share` of the room there is within (low, high) shares of it, at
    `volume`."""

    path: Path
    within: tuple[float, float] | None = None
    share: float = 0.0
    volume: float = 1.0


@dataclass(frozen=True, eq=False)
class Clips:
    """clips and labels (n,), shuffled."""

    clips: tuple[Clip, ...]
    labels: Labels


def load_speech_commands(root: Path, sound: Sound) -> Source:
    """Features of the training and validation clips: images (frames, values, 1).

    Raises:
        DatasetError: no such layout, a list that names what is not there, a word without a folder,
            a class without clips in a split, or a clip that cannot be read.
    """
    words = class_names(root)
    if missing := [word for word in sound.words if word not in words]:
        raise DatasetError(
            f"has no folder for the word {missing[0]!r}",
            where=root,
            expected=f"one of {', '.join(words)}",
            hint="check [data.sound] words",
        )
    files = list_files(root, words, (".wav",))
    split_of = _split_of(root, files)
    chosen = {name: _choose(root, files, words, split_of, name, sound) for name in SPLITS}
    names = chosen["training"][1]
    training, validation, testing = (chosen[name][0] for name in SPLITS)
    samples = _features(training, sound, None)
    return Source(
        samples,
        len(names),
        partial(_features, testing, sound, samples.encoding),
        names,
        _features(validation, sound, samples.encoding),
        is_picture=False,
    )


def split_by_name(name: str) -> str:
    """The README's rule: a share of [0, 1] from the hash of what stands before "_nohash_"."""
    speaker = re.sub(r"_nohash_.*$", "", name)
    largest = 2**27 - 1
    share = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % (largest + 1) / largest
    if share < _VALIDATION_SHARE:
        return "validation"
    return "testing" if share < _VALIDATION_SHARE + _TESTING_SHARE else "training"


def _split_of(root: Path, files: Files) -> NDArray[np.str_]:
    """The split of each file."""
    names = [f"{path.parent.name}/{path.name}" for path in files.paths]
    there = [name for name in LISTS.values() if (root / name).is_file()]
    if not there:
        return np.array([split_by_name(path.name) for path in files.paths])
    positions = {name: place for place, name in enumerate(names)}
    splits = np.full(len(names), "training", "<U10")
    for split, list_name in LISTS.items():
        try:
            lines = (root / list_name).read_text("utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(
                f"cannot be read: {getattr(error, 'strerror', error)}",
                where=root / list_name,
                hint=f"{' and '.join(LISTS.values())} belong together",
            ) from None
        for line in lines:
            if line not in positions or splits[positions[line]] != "training":
                listed = line in positions
                raise DatasetError(
                    f"names {line!r}, which is {'listed twice' if listed else 'not there'}",
                    where=root / list_name,
                    hint="unpack the set again",
                )
            splits[positions[line]] = split
    return splits


def _choose(
    root: Path,
    files: Files,
    words: tuple[str, ...],
    split_of: NDArray[np.str_],
    split: str,
    sound: Sound,
) -> tuple[Clips, tuple[str, ...]]:
    """The clips of a split, and the names of the classes."""
    mine = files.take(np.flatnonzero(split_of == split))
    rng = np.random.default_rng(SPLITS.index(split))
    clips: list[Clip] = []
    labels: list[int] = []
    names: list[str] = []

    def add(name: str, found: Sequence[Clip]) -> None:
        if not found:
            raise DatasetError(
                f"the {split} split has no clip of class {name!r}",
                where=root,
                hint="add clips, by other speakers than those of the other splits",
            )
        labels.extend([len(names)] * len(found))
        clips.extend(found)
        names.append(name)

    by_word = {
        word: [Clip(mine.paths[i]) for i in np.flatnonzero(mine.labels == label)]
        for label, word in enumerate(words)
    }
    listed = sound.words or words
    average = -(-sum(len(by_word[word]) for word in listed) // len(listed))
    if sound.words and (root / NOISE).is_dir():
        add("silence", _silence(root / NOISE, split, average, rng))
    if sound.words and (others := [c for w in words if w not in listed for c in by_word[w]]):
        picked = rng.permutation(len(others))[:average]
        add("unknown", [others[i] for i in picked])
    for word in listed:
        add(word, by_word[word])
    order = rng.permutation(len(clips))
    return Clips(tuple(clips[i] for i in order), np.array(labels)[order]), tuple(names)


def _silence(folder: Path, split: str, count: int, rng: np.random.Generator) -> list[Clip]:
    """Cuts of the noise, at any volume from nothing to its own."""
    noises = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".wav")
    if not noises:
        raise DatasetError("holds no .wav file", where=folder, hint="remove it or fill it")
    return [
        Clip(noises[rng.integers(len(noises))], _NOISE_PARTS[split], rng.random(), rng.random())
        for _ in range(count)
    ]


def _features(clips: Clips, sound: Sound, encoding: Encoding | None) -> Split:
    """As bytes of `encoding`; without one, of the encoding that holds the features of some of
    these clips."""
    parameters = {
        "clips": [(str(c.path), c.within, c.share, c.volume) for c in clips.clips],
        "sound": [str(value) for value in vars(sound).values()],
        "encoding": encoding and (encoding.scale, encoding.zero_point),
        "versions": (scipy.__version__, np.__version__),
    }
    files = list(dict.fromkeys(clip.path for clip in clips.clips))
    modules = [front_end, wav, sys.modules[__name__]]
    names = ("images", "encoding")
    made = cached(files, parameters, modules, names, lambda: _compute(clips, sound, encoding))
    scale, zero_point = made["encoding"].tolist()
    return Split(made["images"], clips.labels, Encoding(scale, int(zero_point)))


def _compute(clips: Clips, sound: Sound, encoding: Encoding | None) -> Arrays:
    transform = front_end.FrontEnd(sound)
    noises: dict[Path, NDArray[np.int16]] = {}

    def read(chosen: Sequence[Clip]) -> NDArray[np.float32]:
        samples = np.zeros((len(chosen), transform.clip_samples), np.float32)
        for row, clip in zip(samples, chosen, strict=True):
            _fill(row, clip, sound.rate_hz, noises)
        return transform(samples)

    if encoding is None:
        encoding = _calibrate(clips.clips[:_CALIBRATION_CLIPS], read)
    images: NDArray[np.uint8] | None = None
    for start in range(0, len(clips.clips), _CHUNK):
        part = slice(start, start + _CHUNK)
        values = encoding.from_reals(read(clips.clips[part]))[..., np.newaxis]
        if images is None:
            images = np.empty((len(clips.clips), *values.shape[1:]), np.uint8)
        images[part] = values
    assert images is not None, "a split has clips"
    return {"images": images, "encoding": np.array([encoding.scale, encoding.zero_point])}


def _calibrate(
    clips: Sequence[Clip], read: Callable[[Sequence[Clip]], NDArray[np.float32]]
) -> Encoding:
    low, high = np.inf, -np.inf
    for start in range(0, len(clips), _CHUNK):
        values = read(clips[start : start + _CHUNK])
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    try:
        return encoding_of(low, high)
    except ValueError:
        raise DatasetError(
            "all clips sound the same",
            where=clips[0].path.parent.parent,
            hint="the files are damaged, or hold nothing but silence",
        ) from None


def _fill(
    row: NDArray[np.float32], clip: Clip, rate_hz: int, noises: dict[Path, NDArray[np.int16]]
) -> None:
    """The clip's samples into `row`, cut or padded with silence to its length."""
    if clip.within is None:
        samples = wav.read_wav(clip.path, rate_hz)
    else:
        if clip.path not in noises:
            noises[clip.path] = wav.read_wav(clip.path, rate_hz)
        samples = _cut(noises[clip.path], clip, len(row))
    count = min(len(samples), len(row))
    row[:count] = samples[:count] * np.float32(clip.volume / 32768)


def _cut(noise: NDArray[np.int16], clip: Clip, length: int) -> NDArray[np.int16]:
    assert clip.within is not None
    first, last = (int(share * len(noise)) for share in clip.within)
    room = last - first - length
    if room < 0:
        raise DatasetError(
            "is too short to cut clips for every split from it",
            where=clip.path,
            expected=f"at least {10 * length + 10} samples",
            got=len(noise),
            hint="use a longer recording",
        )
    start = first + int(clip.share * room)
    return noise[start : start + length]
