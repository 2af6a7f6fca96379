"""Which images does a folder of folders hold? PNG and JPEG files, decoded by Pillow, each checked
before its pixels are: a file of a few bytes may ask for gigabytes.

Layouts: train/<class>/* and test/<class>/*, with validation/<class>/* or without; or <class>/*
alone, of which a part is held out as the test split, the same whatever the seed.
"""

from __future__ import annotations

import struct
import sys
import warnings
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image as pillow
from PIL import ImageOps

from harness.errors import DatasetError
from search.config import Image
from search.data.cache import cached
from search.data.class_folders import Files, class_names, list_files, shuffled
from search.data.dataset import Split, stratify
from search.data.source import Source

SUFFIXES = (".png", ".jpg", ".jpeg")
MOST_PIXELS = 1 << 26  # of one file: 8192 x 8192
# Those whose samples have 8 bits or fewer; Pillow clips wider ones instead of scaling them.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr")


def load_image_folder(root: Path, options: Image, test_fraction: float) -> Source:
    """All images of the training split, and of the validation split if there is one.

    Raises:
        DatasetError: the folder has neither layout, or a file is no image, damaged, too large, or
            of another size than the first where `options` names none.
    """
    validation: Files | None = None
    if (root / "train").is_dir() and (root / "test").is_dir():
        names = class_names(root / "train")
        train, test = (list_files(root / part, names, SUFFIXES) for part in ("train", "test"))
        if (root / "validation").is_dir():
            validation = shuffled(list_files(root / "validation", names, SUFFIXES))
    else:
        names = class_names(root)
        heap = list_files(root, names, SUFFIXES)
        kept, held_out = stratify(
            heap.labels, fraction=test_fraction, rng=np.random.default_rng(0)
        )
        train, test = heap.take(np.sort(kept)), heap.take(np.sort(held_out))
    return Source(
        _decode(train, options),
        len(names),
        partial(_decode, shuffled(test), options),
        names,
        None if validation is None else _decode(validation, options),
    )


def _decode(files: Files, options: Image) -> Split:
    parameters = {
        "size": options.size,
        "grey": options.grey,
        "versions": (PIL.__version__, np.__version__),
    }

    def make() -> dict[str, NDArray[np.uint8]]:
        first = read_image(files.paths[0], options)
        images = np.empty((len(files), *first.shape), np.uint8)
        for place, path in enumerate(files.paths):
            image = read_image(path, options)
            if image.shape != first.shape:
                raise DatasetError(
                    "has another size than the first image",
                    where=path,
                    expected=f"{first.shape[1]} x {first.shape[0]} as {files.paths[0]}",
                    got=f"{image.shape[1]} x {image.shape[0]}",
                    hint="set [data.image] size = [height, width]",
                )
            images[place] = image
        return {"images": images}

    modules = [sys.modules[__name__]]
    images = cached(files.paths, parameters, modules, ("images",), make)["images"]
    return Split(images, files.labels)


def read_image(path: Path, options: Image) -> NDArray[np.uint8]:
    """(height, width, 1 or 3): turned upright as its EXIF says, an alpha channel left out, cut to
    the middle of the size's proportions and scaled, if `options` names one.

    Raises:
        DatasetError: no PNG or JPEG, damaged, truncated, too large, or of more than 8 bits.
    """
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # of sizes and EXIF, both checked here
            pillow.open(path, formats=("PNG", "JPEG")) as image,
        ):
            _check(image, path)
            mode = "L" if options.grey else "RGB"
            if options.size:  # JPEG decodes at a half, a quarter or an eighth, still large enough
                image.draft(mode, (max(options.size), max(options.size)))
            upright = ImageOps.exif_transpose(image).convert(mode)
            if options.size:
                height, width = options.size
                upright = ImageOps.fit(upright, (width, height), pillow.Resampling.BILINEAR)
            pixels = np.asarray(upright)
    except (
        OSError,
        SyntaxError,  # Pillow's name for a broken PNG
        ValueError,
        EOFError,
        struct.error,
        zlib.error,
        pillow.DecompressionBombError,
    ) as error:
        what = getattr(error, "strerror", None) or str(error).removesuffix(f" {str(path)!r}")
        raise DatasetError(
            f"is no image that can be read: {what}",
            where=path,
            expected="PNG or JPEG",
            hint="the file is damaged, replace or remove it",
        ) from None
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _check(image: pillow.Image, path: Path) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise DatasetError(
            "is too large",
            where=path,
            expected=f"at most {MOST_PIXELS} pixels",
            got=f"{image.width} x {image.height}",
            hint="scale it down or remove it",
        )
    if image.mode not in _MODES:
        raise DatasetError(
            "has more than 8 bits a sample",
            where=path,
            expected="8 bits",
            got=f"Pillow's mode {image.mode}",
            hint="convert it",
        )
