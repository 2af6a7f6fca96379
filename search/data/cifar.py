"""What do CIFAR's files hold? Both published forms, "python" and "binary", packed or unpacked.

Format (www.cs.toronto.edu/~kriz/cifar.html): an image is 3072 bytes, 1024 red, 1024 green, 1024
blue, each 32 rows of 32. A python batch is a pickled dictionary of `data`, one image a row, and of
lists of labels. A binary batch is a row of records, one byte a label, then the image; CIFAR-100
has two labels, the coarse one first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DatasetError
from search.data.archive import walk
from search.data.cifar_pickle import read_batch
from search.data.dataset import Split
from search.data.source import Source

_PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class _Form:
    """One form of one set: its place, its files, and where in them a label stands."""

    folder: str
    archive: str
    train: tuple[str, ...]
    test: str
    names: str  # the file of class names
    labels: str  # key of a python batch; binary: ""
    label_names: str  # key of the file of class names; binary: ""
    label_bytes: int = 0  # of a binary record
    label_at: int = 0


@dataclass(frozen=True)
class Kind:
    """A set in each of its forms."""

    classes: int
    forms: tuple[_Form, ...]


def _cifar10() -> Kind:
    batches = tuple(f"data_batch_{i}" for i in range(1, 6))
    return Kind(
        10,
        (
            _Form(
                *("cifar-10-batches-py", "cifar-10-python.tar.gz", batches),
                *("test_batch", "batches.meta", "labels", "label_names"),
            ),
            _Form(
                *("cifar-10-batches-bin", "cifar-10-binary.tar.gz"),
                tuple(f"{name}.bin" for name in batches),
                *("test_batch.bin", "batches.meta.txt", "", ""),
                label_bytes=1,
            ),
        ),
    )


def _cifar100(level: str, classes: int, label_at: int) -> Kind:
    return Kind(
        classes,
        (
            _Form(
                *("cifar-100-python", "cifar-100-python.tar.gz", ("train",)),
                *("test", "meta", f"{level}_labels", f"{level}_label_names"),
            ),
            _Form(
                *("cifar-100-binary", "cifar-100-binary.tar.gz", ("train.bin",)),
                *("test.bin", f"{level}_label_names.txt", "", ""),
                label_bytes=2,
                label_at=label_at,
            ),
        ),
    )


CIFAR10 = _cifar10()
CIFAR100 = _cifar100("fine", 100, label_at=1)
CIFAR100_COARSE = _cifar100("coarse", 20, label_at=0)


def load_cifar(path: Path, kind: Kind) -> Source:
    """`path`: the archive, its unpacked folder, or the folder that holds either.

    Raises:
        DatasetError: nothing of the kind is there, a file is missing or damaged, or a label is
            none of the set's.
    """
    place = _find(path, kind)
    wanted = {name for form in kind.forms for name in (*form.train, form.names)}
    tests = {form.test for form in kind.forms}
    batches: dict[str, Split] = {}
    class_names: tuple[str, ...] = ()
    seen = set()
    for name, data in walk(place, read=wanted, note=tests):
        form = next(f for f in kind.forms if name in (*f.train, f.names, f.test))
        seen.add(name)
        if name == form.names:
            class_names = _read_names(data, form, kind.classes, where=f"{place}: {name}")
        elif name in form.train:
            batches[name] = _read(data, form, kind.classes, where=f"{place}: {name}")
    form = _complete_form(place, kind, seen)
    samples = Split(
        np.concatenate([batches[name].images for name in form.train]),
        np.concatenate([batches[name].labels for name in form.train]),
    )
    return Source(samples, kind.classes, partial(_load_test, place, form, kind), class_names)


def _load_test(place: Path, form: _Form, kind: Kind) -> Split:
    for name, data in walk(place, read={form.test}):
        return _read(data, form, kind.classes, where=f"{place}: {name}")
    raise DatasetError("file is not there", where=place, expected=form.test, hint="restore it")


def _find(path: Path, kind: Kind) -> Path:
    """The archive, or the folder with the batches in it."""
    if path.is_file():
        return path
    for form in kind.forms:
        if (path / form.train[0]).is_file():
            return path
        if (path / form.folder).is_dir():
            return path / form.folder
        if (path / form.archive).is_file():
            return path / form.archive
    raise DatasetError(
        "holds no such set" if path.is_dir() else "no such file or folder",
        where=path,
        expected=" or ".join(f"{form.archive} (or {form.folder}/)" for form in kind.forms),
        hint="check [data] path",
    )


def _complete_form(place: Path, kind: Kind, seen: set[str]) -> _Form:
    """The form all of whose files were seen."""
    missing = [[n for n in (*form.train, form.test) if n not in seen] for form in kind.forms]
    for form, lacking in zip(kind.forms, missing, strict=True):
        if not lacking:
            return form
    fewest = min(missing, key=len)
    raise DatasetError(
        "files are not there",
        where=place,
        expected=", ".join(fewest),
        hint="check [data] path, or fetch the set again",
    )


def _read(data: bytes, form: _Form, classes: int, *, where: str) -> Split:
    if form.labels:
        rows, labels = _read_python(data, form.labels, where=where)
    else:
        rows, labels = _read_binary(data, form, where=where)
    if len(labels) == 0:
        raise DatasetError("holds no images", where=where, hint="fetch the set again")
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise DatasetError(
            "holds a label of no class",
            where=where,
            expected=f"0 to {classes - 1}",
            got=int(wrong[0]),
            hint="the file is damaged or of another set",
        )
    images = rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # (n, 32, 32, 3)
    return Split(np.ascontiguousarray(images), labels)


def _read_python(
    data: bytes, key: str, *, where: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    batch = read_batch(data, where=where)
    rows, labels = batch.get("data"), batch.get(key)
    if not isinstance(rows, np.ndarray) or rows.shape[1:] != (_PIXELS,):
        raise DatasetError(
            "has no images of 32 x 32 pixels",
            where=where,
            expected=f"`data` of shape (n, {_PIXELS})",
            got=_describe(rows),
            hint="the file is of another set",
        )
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DatasetError(
            "has no labels",
            where=where,
            expected=f"`{key}`, a list of whole numbers",
            got=_describe(labels),
            hint="the file is of another set",
        )
    if len(labels) != len(rows):
        raise DatasetError(
            "has not a label for each image",
            where=where,
            expected=f"{len(rows)} labels",
            got=len(labels),
            hint="the file is damaged, fetch it again",
        )
    return rows, np.array(labels, np.int64)


def _read_binary(
    data: bytes, form: _Form, *, where: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    record = form.label_bytes + _PIXELS
    if len(data) % record:
        raise DatasetError(
            "ends within a record",
            where=where,
            expected=f"a multiple of {record} bytes",
            got=len(data),
            hint="the file is damaged or of another set",
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, record)
    return records[:, form.label_bytes :], records[:, form.label_at].astype(np.int64)


def _read_names(data: bytes, form: _Form, classes: int, *, where: str) -> tuple[str, ...]:
    names: Any
    if form.label_names:
        names = read_batch(data, where=where).get(form.label_names, [])
    else:
        names = data.decode("utf-8", "replace").split()
    if not isinstance(names, list) or len(names) != classes:
        raise DatasetError(
            "does not name the classes",
            where=where,
            expected=f"{classes} names",
            got=_describe(names),
            hint="the file is damaged or of another set",
        )
    return tuple(map(str, names))


def _describe(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "nothing" if value is None else f"a {type(value).__name__}"
