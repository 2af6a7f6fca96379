"""Which data set does a configuration name, and where is it? Loaders by name; the fallback that is
said aloud."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.errors import DatasetError
from search.config import Data
from search.data.dataset import Dataset, Split, split_validation
from search.data.idx import find_idx, read_samples

FASHION_MNIST_DIR = Path("/usr/share/datasets/fashion-mnist")  # Debian: dataset-fashion-mnist


def load_dataset(data: Data, *, seed: int) -> Dataset:
    """The data set `data` describes; limits applied after the seeded, stratified split.

    Raises:
        DatasetError: unknown name, files not there or not what they say.
    """
    if data.name not in _LOADERS:
        raise DatasetError(
            f"unknown data set {data.name!r}",
            expected=f"one of {', '.join(sorted(_LOADERS))}",
            hint='any four idx files load as "mnist_like" with [data] path',
        )
    return _LOADERS[data.name](data, seed)


def _load_fashion_mnist(data: Data, seed: int) -> Dataset:
    folder = Path(data.path) if data.path else FASHION_MNIST_DIR
    if not data.path and not folder.is_dir():
        notice = (
            f"Fashion-MNIST is not there ({folder}): this run uses scikit-learn's digits instead; "
            "install Debian's package dataset-fashion-mnist (non-free) for the real thing."
        )
        return _load_digits(data, seed, notice)
    return _load_idx(data, seed, folder)


def _load_mnist_like(data: Data, seed: int) -> Dataset:
    if not data.path:
        raise DatasetError(
            'data set "mnist_like" has no folder',
            expected="[data] path: the folder of the four idx files",
            hint="add it to the configuration",
        )
    return _load_idx(data, seed, Path(data.path))


def _load_idx(data: Data, seed: int, folder: Path) -> Dataset:
    if not folder.is_dir():
        raise DatasetError("no such folder", where=folder, hint="check [data] path")
    samples = read_samples(folder, "train")
    for name, dimensions in (("t10k-images", 3), ("t10k-labels", 1)):
        find_idx(folder, name, dimensions)  # not opened, but missed before the search, not after
    classes = int(samples.labels.max()) + 1

    def load_test() -> Split:
        test = read_samples(folder, "t10k")
        if test.images.shape[1:] != samples.images.shape[1:]:
            raise DatasetError(
                "test images differ from the training images",
                where=folder,
                expected=f"shape {samples.images.shape[1:]}",
                got=f"{test.images.shape[1:]}",
                hint="the files are not of one set",
            )
        if int(test.labels.max()) >= classes:
            raise DatasetError(
                "a test label has no training image",
                where=folder,
                expected=f"labels 0 to {classes - 1}",
                got=int(test.labels.max()),
                hint="the files are not of one set",
            )
        return test.first(data.test_limit)

    return _build(data, seed, samples, classes, load_test)


def _load_digits(data: Data, seed: int, notice: str = "") -> Dataset:
    """scikit-learn's 1797 hand-written digits, 8 x 8, 0..16 -> 0..255. They come as one heap; the
    last fifth in their own order is the test split (by other writers than the rest)."""
    from sklearn.datasets import load_digits  # seconds to import, needed only here

    heap = load_digits()
    images = np.round(heap.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    labels = heap.target.astype(np.int64)
    cut = len(labels) * 4 // 5
    test = Split(images[cut:], labels[cut:]).first(data.test_limit)
    return _build(data, seed, Split(images[:cut], labels[:cut]), 10, lambda: test, notice)


def _build(
    data: Data,
    seed: int,
    samples: Split,
    classes: int,
    load_test: Callable[[], Split],
    notice: str = "",
) -> Dataset:
    if len(np.unique(samples.labels)) < 2:
        raise DatasetError(
            "all training images are of one class",
            where=data.path or data.name,
            expected="at least 2 classes",
            hint="there is nothing to learn",
        )
    train, validation = split_validation(
        samples,
        fraction=data.validation_fraction,
        seed=seed,
        train_limit=data.train_limit,
        validation_limit=data.validation_limit,
    )
    height, width, channels = samples.images.shape[1:]
    return Dataset(
        name="digits" if notice else data.name,
        input_shape=(height, width, channels),
        classes=classes,
        train=train,
        validation=validation,
        load_test=load_test,
        notice=notice,
    )


_LOADERS: dict[str, Callable[[Data, int], Dataset]] = {
    "fashion_mnist": _load_fashion_mnist,
    "mnist_like": _load_mnist_like,
    "digits": _load_digits,
}
