"""What do numpy's files hold? x_train, y_train, x_test and y_test, or x and y alone, of which a
part is held out as the test split. Either members of one .npz, or .npy files in a folder, which
are memory-mapped. No pickled object is ever loaded, and no header is believed before the bytes
behind it are there (numpy.lib.format describes both).
"""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from harness.errors import DatasetError
from search.data.arrays import to_split
from search.data.dataset import Encoding, Split, stratify
from search.data.source import Source

SPLIT_NAMES = ("x_train", "y_train", "x_test", "y_test")
HEAP_NAMES = ("x", "y")

_LARGEST_BYTES = 1 << 33  # of one array: more is a broken or hostile file
_READ_BYTES = 1 << 20  # at once, so that an array is not held twice
_LONGEST_HEADER = 10_000  # numpy's own limit

_DAMAGES = (  # what zipfile and numpy.lib.format raise at files that are not as they should be
    OSError,
    ValueError,
    EOFError,
    KeyError,
    NotImplementedError,  # a version or a compression that zipfile does not know
    RuntimeError,  # a password, or a header nested too deeply
    MemoryError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,  # numpy looks for Python 2's numbers in a header that it cannot parse
    zipfile.BadZipFile,
    zlib.error,
)

Read = Callable[[str], NDArray[np.generic]]


def load_numpy(path: Path, test_fraction: float) -> Source:
    """Raises DatasetError: not there, not of this kind, damaged, or arrays that are no samples."""
    names, read = open_arrays(path, "[data] path")
    if set(SPLIT_NAMES) <= names:
        samples = to_split(read("x_train"), read("y_train"), where=path)
        load_test = partial(_load_test, read, path, samples.encoding)
        return Source(samples, int(samples.labels.max()) + 1, load_test)
    if not set(HEAP_NAMES) <= names:
        raise DatasetError(
            "holds other arrays",
            where=path,
            expected=f"{', '.join(SPLIT_NAMES)}, or {' and '.join(HEAP_NAMES)}",
            got=", ".join(sorted(names)[:8]) or "none",
            hint="see docs/data.md",
        )
    heap = to_split(read("x"), read("y"), where=path)
    rng = np.random.default_rng(0)  # not the search's: the test split is one and the same
    kept, held_out = stratify(heap.labels, fraction=test_fraction, rng=rng)
    test = heap.take(rng.permutation(held_out))
    return Source(heap.take(np.sort(kept)), int(heap.labels.max()) + 1, lambda: test)


def _load_test(read: Read, path: Path, encoding: Encoding) -> Split:
    return to_split(read("x_test"), read("y_test"), where=f"{path}: test", encoding=encoding)


def open_arrays(path: Path, named_by: str) -> tuple[set[str], Read]:
    """The names of the arrays in a file or folder, and what reads one of them; both raise
    DatasetError at files that are not there or damaged. `named_by`: what to check then."""
    try:
        if path.is_dir():
            return {file.stem for file in path.glob("*.npy")}, partial(_map, path)
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
        return names, partial(_read_member, path)
    except FileNotFoundError:
        raise DatasetError(
            "no such file or folder", where=path, hint=f"check {named_by}"
        ) from None
    except _DAMAGES as error:
        raise DatasetError(
            f"is no .npz file: {getattr(error, 'strerror', None) or error}",
            where=path,
            expected="an archive that numpy.savez wrote, or a folder of .npy files",
            hint=f"check {named_by}",
        ) from None


def _map(folder: Path, name: str) -> NDArray[np.generic]:
    path = folder / f"{name}.npy"
    try:
        array: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except _DAMAGES as error:
        raise _damaged(path, error) from None
    return array


def _read_member(path: Path, name: str) -> NDArray[np.generic]:
    where = f"{path}: {name}.npy"
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
            return _read_array(file, archive.getinfo(f"{name}.npy").file_size)
    except _DAMAGES as error:
        raise _damaged(where, error) from None


def _read_array(file: IO[bytes], size: int) -> NDArray[np.generic]:
    """Raises ValueError: no array, one of objects, or of another size than its header says."""
    if size > _LARGEST_BYTES:
        raise ValueError(f"it has {size} bytes, at most {_LARGEST_BYTES} are read")
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"version {version} of the format")
    shape, by_columns, dtype = readers[version](file, max_header_size=_LONGEST_HEADER)
    if dtype.hasobject:
        raise ValueError("it holds pickled objects, which are never loaded")
    if dtype.kind not in "uif":
        raise ValueError(f"it holds {dtype}, not numbers")
    expected = math.prod(shape) * dtype.itemsize
    if file.tell() + expected != size:
        raise ValueError(f"its header asks for {expected} bytes, {size - file.tell()} are there")
    raw = np.empty(expected, np.uint8)
    filled = 0
    while part := file.read(min(_READ_BYTES, expected - filled)):
        raw[filled : filled + len(part)] = np.frombuffer(part, np.uint8)
        filled += len(part)
    if filled != expected:
        raise ValueError(f"it ends after {filled} of {expected} bytes")
    return raw.view(dtype).reshape(shape, order="F" if by_columns else "C")


def _damaged(where: object, error: Exception) -> DatasetError:
    what = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DatasetError(
        f"cannot be read: {what}", where=where, hint="the file is damaged, write it again"
    )
