"""How do a user's arrays become samples? Whatever numpy holds, checked; knows no file.

Images: (n, height, width, channels), or (n, height, width) with one channel, or (n, length), a
series of one value. uint8 values are pixels; floating-point ones are quantised to 8 bits, because
that is what the network will see on the board: their range, and with it scale and zero point, is
that of the training samples. Labels: (n,) whole numbers from 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DatasetError
from search.data.dataset import PIXELS, Encoding, Labels, Split, encoding_of

MOST_CLASSES = 4095  # of the engine's softmax

_CHUNK = 1 << 14  # samples looked at at once: temporaries stay small beside a mapped file


def to_split(
    images: object, labels: object, *, where: object, encoding: Encoding | None = None
) -> Split:
    """`encoding`: that of the training samples, for any other split.

    Raises:
        DatasetError: no arrays, or of shapes, types or values that are no samples.
    """
    x = _check_images(images, where)
    y = _check_labels(labels, len(x), where)
    if encoding is not None and (encoding == PIXELS) != (x.dtype == np.uint8):
        raise DatasetError(
            "has images of another type than the training split",
            where=where,
            expected="uint8" if encoding == PIXELS else "floating-point numbers",
            got=x.dtype,
            hint="bring both to one type",
        )
    if x.dtype == np.uint8:
        return Split(x, y)
    low, high = _range_of(x, where)
    if encoding is None:
        try:
            encoding = encoding_of(low, high)
        except ValueError as error:
            raise DatasetError(
                str(error), where=where, hint="subtract the mean and scale the values"
            ) from None
    return Split(encoding.from_reals(x), y, encoding)


def _check_images(images: object, where: object) -> NDArray[Any]:
    expected = "an array (n, height, width, channels), (n, height, width) or (n, length)"
    hint = "see docs/data.md"
    if not isinstance(images, np.ndarray) or images.ndim not in (2, 3, 4):
        got = f"shape {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise DatasetError("has no images", where=where, expected=expected, got=got, hint=hint)
    if images.size == 0:
        raise DatasetError("holds no values", where=where, got=f"shape {images.shape}", hint=hint)
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise DatasetError(
            "has images of a type that is no pixel and no measurement",
            where=where,
            expected="uint8 (pixels) or floating-point numbers",
            got=images.dtype,
            hint="convert them",
        )
    if images.ndim == 2:
        return images[:, :, np.newaxis, np.newaxis]
    return images[..., np.newaxis] if images.ndim == 3 else images


def _check_labels(labels: object, count: int, where: object) -> Labels:
    hint = "see docs/data.md"
    if isinstance(labels, np.ndarray) and labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DatasetError(
            "has no labels",
            where=where,
            expected="an array (n,) of whole numbers",
            got=f"shape {labels.shape} of {labels.dtype}"
            if isinstance(labels, np.ndarray)
            else type(labels).__name__,
            hint=hint,
        )
    if len(labels) != count:
        raise DatasetError(
            "has not a label for each image",
            where=where,
            expected=f"{count} labels",
            got=len(labels),
            hint=hint,
        )
    wrong = labels[(labels < 0) | (labels >= MOST_CLASSES)]
    if len(wrong):
        raise DatasetError(
            "has a label out of range",
            where=where,
            expected=f"0 to {MOST_CLASSES - 1}",
            got=int(wrong[0]),
            hint="number the classes from 0",
        )
    return labels.astype(np.int64)


def _range_of(values: NDArray[Any], where: object) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for start in range(0, len(values), _CHUNK):
        part = values[start : start + _CHUNK]
        if not np.isfinite(part).all():
            sample = start + int(np.flatnonzero(~np.isfinite(part).all(axis=(1, 2, 3)))[0])
            raise DatasetError(
                f"sample {sample} holds a value that is not finite",
                where=where,
                expected="numbers",
                hint="replace it or leave the sample out",
            )
        low, high = min(low, float(part.min())), max(high, float(part.max()))
    return low, high
