"""Small MNIST-like sets for tests: images that a tiny network can learn within seconds."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from search.data.dataset import Dataset, Split, split_validation


def idx_bytes(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def make_samples(count: int, *, classes: int = 3, size: int = 8, seed: int = 0) -> Split:
    """Class k has a bright bar at its own place, on noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = rng.integers(0, 80, (count, size, size, 1), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, size * label // classes] = rng.integers(180, 256, (size, 1))
    return Split(images, labels.astype(np.int64))


def make_dataset(count: int = 300, *, classes: int = 3, size: int = 8) -> Dataset:
    train, validation = split_validation(
        make_samples(count, classes=classes, size=size), fraction=0.2, seed=0
    )
    test = make_samples(90, classes=classes, size=size, seed=1)
    return Dataset("bars", (size, size, 1), classes, train, validation, lambda: test)


def write_set(folder: Path, prefix: str, *, count: int, classes: int = 3, size: int = 8) -> None:
    samples = make_samples(count, classes=classes, size=size)
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(samples.images[..., 0]))
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(
        idx_bytes(samples.labels.astype(np.uint8))
    )
