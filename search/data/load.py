"""Which data set does a configuration name, and where is it? Loaders by name; the fallback that is
said aloud; what every set must hold, whichever loader read it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from harness.errors import DatasetError
from search.config import Data
from search.data.dataset import Dataset, Split, split_validation
from search.data.idx import find_idx, read_samples
from search.data.source import Source

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
            hint="docs/data.md says what each of them reads",
        )
    return _build(data, seed, _LOADERS[data.name](data))


def _path_of(data: Data, what: str) -> Path:
    if not data.path:
        raise DatasetError(
            f"data set {data.name!r} has no path",
            expected=f"[data] path: {what}",
            hint="add it to the configuration",
        )
    return Path(data.path)


def _fashion_mnist(data: Data) -> Source:
    if data.path or FASHION_MNIST_DIR.is_dir():
        return _idx(Path(data.path) if data.path else FASHION_MNIST_DIR)
    notice = (
        f"Fashion-MNIST is not there ({FASHION_MNIST_DIR}): this run uses scikit-learn's digits "
        "instead; install Debian's package dataset-fashion-mnist (non-free) for the real thing."
    )
    return _digits(notice)


def _mnist_like(data: Data) -> Source:
    return _idx(_path_of(data, "the folder of the four idx files"))


def _idx(folder: Path) -> Source:
    if not folder.is_dir():
        raise DatasetError("no such folder", where=folder, hint="check [data] path")
    samples = read_samples(folder, "train")
    for name, dimensions in (("t10k-images", 3), ("t10k-labels", 1)):
        find_idx(folder, name, dimensions)  # not opened, but missed before the search, not after
    classes = int(samples.labels.max()) + 1
    return Source(samples, classes, partial(read_samples, folder, "t10k"))


def _digits(notice: str = "") -> Source:
    """scikit-learn's 1797 hand-written digits, 8 x 8, 0..16 -> 0..255. They come as one heap; the
    last fifth in their own order is the test split (by other writers than the rest)."""
    from sklearn.datasets import load_digits  # seconds to import, needed only here

    heap = load_digits()
    images = np.round(heap.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    labels = heap.target.astype(np.int64)
    cut = len(labels) * 4 // 5
    test = Split(images[cut:], labels[cut:])
    samples = Split(images[:cut], labels[:cut])
    return Source(samples, 10, lambda: test, name="digits", notice=notice)


def _cifar(kind: str, data: Data) -> Source:
    from search.data import cifar

    path = _path_of(data, "the archive as it is published, or its unpacked folder")
    return cifar.load_cifar(path, getattr(cifar, kind))


def _speech_commands(data: Data) -> Source:
    from search.data.speech_commands import load_speech_commands  # scipy

    return load_speech_commands(_path_of(data, "the folder of one folder a word"), data.sound)


def _image_folder(data: Data) -> Source:
    from search.data.image_folder import load_image_folder  # Pillow

    path = _path_of(data, "the folder of one folder a class")
    return load_image_folder(path, data.image, data.test_fraction)


def _numpy(data: Data) -> Source:
    from search.data.numpy_files import load_numpy

    return load_numpy(_path_of(data, "a .npz file or a folder of .npy files"), data.test_fraction)


def _python(data: Data) -> Source:
    from search.data.python_hook import load_python

    return load_python(_path_of(data, "a Python file with a function load(split)"))


def _build(data: Data, seed: int, source: Source) -> Dataset:
    where = data.path or data.name
    if len(np.unique(source.samples.labels)) < 2:
        raise DatasetError(
            "all training images are of one class",
            where=where,
            expected="at least 2 classes",
            hint="there is nothing to learn",
        )
    if source.validation is None:
        train, validation = split_validation(
            source.samples,
            fraction=data.validation_fraction,
            seed=seed,
            train_limit=data.train_limit,
            validation_limit=data.validation_limit,
        )
    else:
        rng = np.random.default_rng(seed)
        train = source.samples.take(
            rng.permutation(len(source.samples))[: data.train_limit or None]
        )
        shape = source.samples.images.shape[1:]
        _check_alike(source.validation, shape, source.classes, "validation", where)
        validation = source.validation.first(data.validation_limit)
    if len(np.unique(train.labels)) < 2:
        raise DatasetError(
            "all training images within the limit are of one class",
            where=where,
            expected="at least 2 classes",
            got=f"train_limit {data.train_limit}",
            hint="raise [data] train_limit",
        )
    height, width, channels = source.samples.images.shape[1:]
    return Dataset(
        name=source.name or data.name,
        input_shape=(height, width, channels),
        classes=source.classes,
        train=train,
        validation=validation,
        load_test=_load_test(
            source.load_test, source.samples, source.classes, data.test_limit, where
        ),
        notice=source.notice,
        class_names=source.class_names,
        is_picture=source.is_picture,
    )


def _load_test(
    load: Callable[[], Split], like: Split, classes: int, limit: int, where: str
) -> Callable[[], Split]:
    """`load`, checked and capped. Only facts about `like` are kept, not its images."""
    shape, encoding = like.images.shape[1:], like.encoding

    def load_checked() -> Split:
        test = load()
        _check_alike(test, shape, classes, "test", where)
        assert test.encoding == encoding, "a loader encodes all splits alike"
        return test.first(limit)

    return load_checked


def _check_alike(
    split: Split, shape: tuple[int, ...], classes: int, name: str, where: str
) -> None:
    if split.images.shape[1:] != shape:
        raise DatasetError(
            f"{name} images differ from the training images",
            where=where,
            expected=f"shape {shape}",
            got=f"{split.images.shape[1:]}",
            hint="the files are not of one set",
        )
    if int(split.labels.max()) >= classes:
        raise DatasetError(
            f"a {name} label has no training image",
            where=where,
            expected=f"labels 0 to {classes - 1}",
            got=int(split.labels.max()),
            hint="the files are not of one set",
        )


_LOADERS: dict[str, Callable[[Data], Source]] = {
    "cifar10": partial(_cifar, "CIFAR10"),
    "cifar100": partial(_cifar, "CIFAR100"),
    "cifar100_coarse": partial(_cifar, "CIFAR100_COARSE"),
    "digits": lambda data: _digits(),
    "fashion_mnist": _fashion_mnist,
    "image_folder": _image_folder,
    "mnist_like": _mnist_like,
    "numpy": _numpy,
    "python": _python,
    "speech_commands": _speech_commands,
}
