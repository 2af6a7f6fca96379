"""Which files of a folder belong to which class? One folder a class, named after it. Knows nothing
of what is in the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import DatasetError
from search.data.dataset import Labels

_LEFT_BY_DESKTOPS = ("Thumbs.db", "desktop.ini")


@dataclass(frozen=True, eq=False)
class Files:
    """paths and labels (n,), in one order."""

    paths: tuple[Path, ...]
    labels: Labels

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, chosen: np.ndarray) -> Files:
        """Those at these positions, in this order."""
        return Files(tuple(self.paths[i] for i in chosen), self.labels[chosen])


def class_names(root: Path) -> tuple[str, ...]:
    """The names of the folders in `root`, sorted; those that begin with a dot or an underscore are
    none.

    Raises:
        DatasetError: `root` is no folder that can be read, or has fewer than two.
    """
    try:
        names = sorted(p.name for p in root.iterdir() if p.is_dir() and p.name[0] not in "._")
    except OSError as error:
        raise DatasetError(
            f"cannot be read: {error.strerror}",
            where=root,
            expected="a folder of folders, one a class",
            hint="check [data] path",
        ) from None
    if len(names) < 2:
        raise DatasetError(
            "has no two classes to tell apart",
            where=root,
            expected="a folder for each of at least 2 classes",
            got=names[0] if names else "none",
            hint="check [data] path",
        )
    return tuple(names)


def list_files(root: Path, names: tuple[str, ...], suffixes: tuple[str, ...]) -> Files:
    """The files of each class, sorted by class and name.

    Raises:
        DatasetError: a class has no folder or none that can be read, no files, or one of another
            kind than `suffixes`, hidden files and those that desktops leave behind aside.
    """
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        found = _files_in(root / name, suffixes)
        paths += found
        labels += [label] * len(found)
    return Files(tuple(paths), np.array(labels, np.int64))


def shuffled(files: Files) -> Files:
    """In an order that depends on their number alone: the first few are of all classes."""
    return files.take(np.random.default_rng(0).permutation(len(files)))


def _files_in(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    try:
        entries = sorted(
            p for p in folder.iterdir() if p.name[0] != "." and p.name not in _LEFT_BY_DESKTOPS
        )
    except OSError as error:
        raise DatasetError(
            f"cannot be read: {error.strerror}",
            where=folder,
            expected="the folder of a class",
            hint="check [data] path",
        ) from None
    kinds = f"files of {', '.join(suffixes)}"
    for path in entries:
        if path.suffix.lower() not in suffixes or path.is_dir():
            raise DatasetError(
                "does not belong into the folder of a class",
                where=path,
                expected=kinds,
                hint="move it away",
            )
    if not entries:
        raise DatasetError("is empty", where=folder, expected=kinds, hint="remove the folder")
    return entries
