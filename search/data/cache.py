"""Where are decoded samples kept, so that pictures and sound are decoded once and not by every
process of a search? Under the cache folder, by what they were made of. Knows no format.

A key is a digest of the files (as git's index knows them: name, size, times of change, inode), of
the parameters, and of the source of the modules that decode. An entry is a folder that appears
whole, by rename, or not at all; what is not whole is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DatasetError
from harness.workspace import cache_dir

Arrays = dict[str, NDArray[Any]]

# A file changed again within the clock's step keeps its time: git calls such an entry racy. What
# is younger than this when it is read is not kept.
SETTLED_S = 2.0
_STALE_S = 30 * 24 * 3600.0  # an entry not used for this long is deleted


def cached(
    files: Sequence[Path],
    parameters: Mapping[str, object],
    modules: Iterable[ModuleType],
    names: Sequence[str],
    make: Callable[[], Arrays],
) -> Arrays:
    """What `make` returns for `files` and `parameters`; from the second call on, by any process,
    memory-mapped and read-only instead.

    Args:
        files: all that `make` reads, in the order that matters to it.
        modules: those whose code decides what it returns.
        names: of the arrays that it returns.

    Raises:
        DatasetError: a file is not there, or the cache folder cannot be written; and what `make`
            raises.
    """
    print_before, newest = _fingerprint(files)
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    for module in modules:
        assert module.__file__ is not None
        digest.update(Path(module.__file__).read_bytes())
    digest.update(print_before)
    entry = cache_dir() / "data" / digest.hexdigest()[:32]
    if (found := _open(entry, names)) is not None:
        return found
    settled = newest < time.time() - SETTLED_S
    made = make()
    if settled and _fingerprint(files)[0] == print_before:
        _keep(made, entry)
    return made


def _fingerprint(files: Sequence[Path]) -> tuple[bytes, float]:
    """A digest of names, sizes, times and inodes, and the time of the last change of any."""
    digest, newest = hashlib.sha256(), 0.0
    for path in files:
        try:
            state = path.stat()
        except OSError as error:
            raise DatasetError(
                f"cannot be read: {error.strerror}", where=path, hint="check [data] path"
            ) from None
        facts = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, state.st_dev)
        digest.update(f"{path.absolute()}\0{facts}\n".encode(errors="surrogateescape"))
        newest = max(newest, state.st_ctime)
    return digest.digest(), newest


def _open(entry: Path, names: Sequence[str]) -> Arrays | None:
    """The arrays of an entry, or None when there is none that is whole."""
    try:
        arrays = {
            name: np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in names
        }
        os.utime(entry)
    except (OSError, ValueError, EOFError):
        return None
    return arrays


def _keep(arrays: Arrays, entry: Path) -> None:
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        _delete_stale(entry.parent)
        with tempfile.TemporaryDirectory(dir=entry.parent, prefix="new-") as new:
            folder = Path(new) / "entry"
            folder.mkdir()
            for name, array in arrays.items():
                with (folder / f"{name}.npy").open("wb") as file:
                    np.save(file, array, allow_pickle=False)
                    file.flush()
                    os.fsync(file.fileno())
            if _open(entry, tuple(arrays)) is None:  # or another process was faster
                shutil.rmtree(entry, ignore_errors=True)
                _rename(folder, entry)
    except OSError as error:
        raise DatasetError(
            f"the cache of decoded samples cannot be used: {error.strerror or error}",
            where=error.filename or entry,
            hint="make room, or set HILNAS_CACHE to a folder you may write",
        ) from None


def _rename(folder: Path, entry: Path) -> None:
    try:
        folder.rename(entry)
    except OSError:
        if not entry.is_dir():  # another process, between the look and the renaming
            raise


def _delete_stale(root: Path) -> None:
    for entry in root.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process is tidying up, too
            if time.time() - entry.stat().st_mtime > _STALE_S:
                shutil.rmtree(entry, ignore_errors=True)
