"""What is a data set to the search, and what does a network see of it? Pixels stay uint8 until the
last moment; their scaling is written here and nowhere else. Knows no file format, no torch and no
tensorflow.

Splits: the validation split is drawn from the training images, class by class, with a seed. The
test split is loaded only by the explicit call `load_test`, because it is to be touched once, at
the end of a search.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import DatasetError

Images = NDArray[np.uint8]  # (n, height, width, channels)
Labels = NDArray[np.int64]  # (n,)

# A network's float input is pixel / 255, in [0, 1]. As int8 with scale 1/255 and zero point -128
# that is exactly pixel - 128: quantising the input loses nothing.
PIXEL_SCALE = 1.0 / 255.0
PIXEL_ZERO_POINT = -128


def scale_pixels(images: Images) -> NDArray[np.float32]:
    """uint8 pixels -> float32 in [0, 1], any shape: what a float network sees."""
    return images.astype(np.float32) / np.float32(255)


def quantise_pixels(images: Images) -> NDArray[np.int8]:
    """uint8 pixels -> int8, any shape: what an int8 model sees. The same reals as scale_pixels."""
    return (images.astype(np.int16) + PIXEL_ZERO_POINT).astype(np.int8)


@dataclass(frozen=True, eq=False)
class Split:
    """images: (n, height, width, channels) uint8. labels: (n,) int64, 0 <= label < classes."""

    images: Images
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, limit: int) -> Split:
        """The first `limit` samples; all of them for 0."""
        if limit == 0:
            return self
        return Split(self.images[:limit], self.labels[:limit])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A classification task on images. notice: a sentence the user must be shown, or ""."""

    name: str
    input_shape: tuple[int, int, int]
    classes: int
    train: Split
    validation: Split
    load_test: Callable[[], Split]
    notice: str = ""


def split_validation(samples: Split, *, fraction: float, seed: int) -> tuple[Split, Split]:
    """Split into (train, validation), both shuffled; each class gives round(fraction * its count)
    samples to validation, but at least one, and keeps at least one.

    Raises:
        DatasetError: a class has fewer than two samples.
    """
    rng = np.random.default_rng(seed)
    train: list[NDArray[np.int64]] = []
    validation: list[NDArray[np.int64]] = []
    for label in np.unique(samples.labels):
        members = rng.permutation(np.flatnonzero(samples.labels == label))
        if len(members) < 2:
            raise DatasetError(
                f"class {label} cannot be split into training and validation",
                expected="at least 2 samples",
                got=len(members),
                hint="add samples or leave the class out",
            )
        taken = min(max(round(fraction * len(members)), 1), len(members) - 1)
        validation.append(members[:taken])
        train.append(members[taken:])
    return _shuffled(samples, train, rng), _shuffled(samples, validation, rng)


def _shuffled(samples: Split, parts: list[NDArray[np.int64]], rng: np.random.Generator) -> Split:
    order = rng.permutation(np.concatenate(parts))
    return Split(samples.images[order], samples.labels[order])
