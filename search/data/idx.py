"""What do the four idx files of an MNIST-like set hold? Nothing in a header is believed before the
bytes behind it are there.

Format (yann.lecun.com/exdb/mnist, "THE IDX FILE FORMAT"): two zero bytes, the element type (0x08 =
unsigned byte), the number of dimensions, then each dimension as a big-endian uint32, then the data
in row-major order. Files may be gzip-compressed.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import DatasetError
from search.data.dataset import Split

_UNSIGNED_BYTE = 0x08
_LARGEST_BYTES = 1 << 31  # a header that asks for more is a broken or hostile file


def read_idx(path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """The array of an idx file of unsigned bytes; gzip is recognised by its content.

    Raises:
        DatasetError: not there, not idx, another type or number of dimensions, truncated, longer
            than its header says, or damaged gzip data.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            header = file.read(4 + 4 * dimensions)
            shape = _parse_header(header, path, dimensions)
            size = math.prod(shape)
            if size > _LARGEST_BYTES:
                raise DatasetError(
                    f"header asks for {' x '.join(map(str, shape))} bytes",
                    where=path,
                    expected=f"at most {_LARGEST_BYTES} bytes",
                    got=size,
                    hint="the file is damaged, fetch it again",
                )
            data = file.read(size + 1)
    except FileNotFoundError:
        raise DatasetError("no such file", where=path, hint="check [data] path") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(
            f"cannot be read: {error}", where=path, hint="the file is damaged, fetch it again"
        ) from None
    if len(data) != size:
        raise DatasetError(
            "is truncated" if len(data) < size else "has bytes behind its data",
            where=path,
            expected=f"{size} bytes of data",
            got=len(data) if len(data) < size else f"more than {size}",
            hint="the file is damaged, fetch it again",
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def _parse_header(header: bytes, path: Path, dimensions: int) -> tuple[int, ...]:
    expected = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if header[:4] != expected:
        raise DatasetError(
            "is no idx file of this kind",
            where=path,
            expected=f"magic {expected.hex()} (unsigned bytes, {dimensions} dimensions)",
            got=header[:4].hex() or "an empty file",
            hint="check that images and labels are not swapped",
        )
    if len(header) != 4 + 4 * dimensions:
        raise DatasetError(
            "is truncated",
            where=path,
            expected=f"a header of {4 + 4 * dimensions} bytes",
            got=len(header),
            hint="the file is damaged, fetch it again",
        )
    return struct.unpack(f">{dimensions}I", header[4:])


def find_idx(folder: Path, prefix: str, dimensions: int) -> Path:
    """The file of `prefix` ("train-images", "t10k-labels", ...) under its usual names.

    Raises:
        DatasetError: none of the names is there.
    """
    names = [
        f"{prefix}{separator}idx{dimensions}-ubyte{suffix}"
        for separator in ("-", ".")
        for suffix in ("", ".gz")
    ]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DatasetError(
        "file is not there",
        where=folder,
        expected=f"one of {', '.join(names)}",
        hint="check [data] path",
    )


def read_samples(folder: Path, prefix: str) -> Split:
    """Images and labels of one half of the set; `prefix` is "train" or "t10k".

    Raises:
        DatasetError: either file is not as it should be, or their counts differ.
    """
    images_path = find_idx(folder, f"{prefix}-images", 3)
    labels_path = find_idx(folder, f"{prefix}-labels", 1)
    images = read_idx(images_path, dimensions=3)
    labels = read_idx(labels_path, dimensions=1)
    if len(images) != len(labels):
        raise DatasetError(
            "count differs from that of the images",
            where=labels_path,
            expected=f"{len(images)} labels for {images_path.name}",
            got=len(labels),
            hint="the files are not of one set",
        )
    if images.size == 0:
        raise DatasetError(
            "holds no pixels",
            where=images_path,
            expected="at least one image",
            got=f"shape {images.shape}",
            hint="check [data] path",
        )
    return Split(images[..., np.newaxis], labels.astype(np.int64))
