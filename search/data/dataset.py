"""What is a data set to the search, and what does a network see of it? Every value is one byte
until the last moment; what a byte stands for is written here and nowhere else. Knows no file
format, no torch and no tensorflow.

Splits: the validation split is drawn from the training samples, class by class, with a seed, where
the set brings none of its own. The test split is loaded only by the explicit call `load_test`,
because it is to be touched once, at the end of a search.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.errors import DatasetError

Images = NDArray[np.uint8]  # (n, height, width, channels)
Labels = NDArray[np.int64]  # (n,)

_CHUNK = 1 << 16  # samples quantised at once: what is wider than a byte stays small


@dataclass(frozen=True)
class Encoding:
    """What a byte of an image stands for: v is the real number scale * (v - 128 - zero_point), and
    the int8 v - 128 of a model whose input has this scale and zero point. Both say the same, so
    quantising the input of a trained network loses nothing."""

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if not (0 < self.scale < math.inf and -128 <= self.zero_point <= 127):
            raise ValueError(f"no int8 encoding: scale {self.scale}, zero point {self.zero_point}")

    @property
    def reals(self) -> NDArray[np.float32]:
        """(256,): the real number of each byte."""
        integers = np.arange(256) - 128 - self.zero_point
        return (integers * self.scale).astype(np.float32)

    def to_reals(self, images: Images) -> NDArray[np.float32]:
        """Bytes -> real numbers, any shape: what a float network sees."""
        return np.take(self.reals, images)

    def from_reals(self, values: NDArray[np.floating]) -> Images:
        """Real numbers -> the nearest bytes, any shape; what lies outside becomes the extreme."""
        images = np.empty(values.shape, np.uint8)
        for start in range(0, len(values), _CHUNK):
            part = slice(start, start + _CHUNK)
            integers = np.rint(values[part] / self.scale) + (self.zero_point + 128)
            images[part] = np.clip(integers, 0, 255)
        return images


def to_int8(images: Images) -> NDArray[np.int8]:
    """Bytes -> what an int8 model's input takes, any shape and any encoding."""
    return (images ^ np.uint8(0x80)).view(np.int8)  # v - 128 without a wider type


# Of pictures: a float network sees pixel / 255, in [0, 1].
PIXELS = Encoding(1.0 / 255.0, -128)


def encoding_of(low: float, high: float) -> Encoding:
    """The int8 encoding of the reals in [low, high], extended to hold zero as TensorFlow Lite
    demands (its 8-bit quantisation specification: zero has an exact zero point).

    Raises:
        ValueError: a range that is empty or not finite, or so far from zero that less than a
            quarter of the 256 values would lie in it.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"values from {low:g} to {high:g} have no range")
    bottom, top = min(low, 0.0), max(high, 0.0)
    if (high - low) * 4 < top - bottom:
        raise ValueError(f"values from {low:g} to {high:g} lie too far from zero for 8 bits")
    # Scales of 12 significant bits: 255 steps and their sums are then exact in float32, and the
    # converter, which divides the range by 255 again, finds the same scale.
    mantissa, exponent = math.frexp((top - bottom) / 255)
    scale = math.ldexp(math.ceil(mantissa * 4096), exponent - 12)
    return Encoding(scale, min(max(round(-128 - bottom / scale), -128), 127))


@dataclass(frozen=True, eq=False)
class Split:
    """images: (n, height, width, channels) uint8, whose meaning is `encoding`'s; sound is an image
    of (time, frequency, 1). labels: (n,) int64, 0 <= label < classes. rows: (n,) int64, where each
    sample stands among those of the files it was read from; None: in their order."""

    images: Images
    labels: Labels
    encoding: Encoding = PIXELS
    rows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, limit: int) -> Split:
        """The first `limit` samples; all of them for 0."""
        if limit == 0:
            return self
        return self.take(np.arange(min(limit, len(self))))

    def take(self, chosen: NDArray[np.integer]) -> Split:
        """The samples at these positions, in this order, copied."""
        rows = chosen.astype(np.int64) if self.rows is None else self.rows[chosen]
        return Split(self.images[chosen], self.labels[chosen], self.encoding, rows)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A classification task. class_names: in the order of the labels, or empty where the set has
    none. notice: a sentence the user must be shown, or "". is_picture: whether left and right may
    be all that a mirror changes; not of sound."""

    name: str
    input_shape: tuple[int, int, int]
    classes: int
    train: Split
    validation: Split
    load_test: Callable[[], Split]
    notice: str = ""
    class_names: tuple[str, ...] = ()
    is_picture: bool = True

    @property
    def encoding(self) -> Encoding:
        """Of every split."""
        return self.train.encoding

    @cached_property
    def sha256(self) -> str:
        """Of what candidates are trained and judged on: all but the test split and names."""
        digest = hashlib.sha256(f"{self.classes} {self.encoding}".encode())
        for split in (self.train, self.validation):
            digest.update(f"{split.images.shape}".encode())
            digest.update(np.ascontiguousarray(split.images).data)
            digest.update(np.ascontiguousarray(split.labels).data)
        return digest.hexdigest()


def split_validation(
    samples: Split,
    *,
    fraction: float,
    seed: int,
    train_limit: int = 0,
    validation_limit: int = 0,
) -> tuple[Split, Split]:
    """Split into (train, validation), both shuffled and then capped (0: not at all); each class
    gives round(fraction * its count) samples to validation, but at least one, and keeps at least
    one.

    Raises:
        DatasetError: a class has fewer than two samples.
    """
    rng = np.random.default_rng(seed)
    train, validation = stratify(samples.labels, fraction=fraction, rng=rng)
    return (
        samples.take(rng.permutation(train)[: train_limit or None]),
        samples.take(rng.permutation(validation)[: validation_limit or None]),
    )


def stratify(
    labels: Labels, *, fraction: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions (kept, taken), class by class: round(fraction * count) of each are taken, at least
    one, and at least one is kept.

    Raises:
        DatasetError: a class has fewer than two samples.
    """
    kept: list[NDArray[np.int64]] = []
    taken: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            raise DatasetError(
                f"class {label} cannot be split into training and validation",
                expected="at least 2 samples",
                got=len(members),
                hint="add samples or leave the class out",
            )
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        taken.append(members[:count])
        kept.append(members[count:])
    return np.concatenate(kept), np.concatenate(taken)
