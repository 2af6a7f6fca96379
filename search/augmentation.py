"""How does a small set of images become more? Each is moved a little and mirrored whenever it is
shown, on bytes, before anything is computed. Must not know what a byte stands for but for zero.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from harness.errors import ConfigError
from search.config import Training
from search.data.dataset import Dataset, Images


def check_flip(recipe: Training, dataset: Dataset) -> None:
    """Raises ConfigError where what is to be mirrored is known to be no picture."""
    if recipe.flip and not dataset.is_picture:
        raise ConfigError(
            f"flip mirrors pictures, and {dataset.name} holds sound: its frequencies would be "
            "turned round",
            where="[training] flip",
            hint="set it to false",
        )


def augment(
    images: Images, rng: np.random.Generator, *, shift: int, flip: bool, background: int
) -> Images:
    """A batch (n, h, w, c), each image moved by up to `shift` pixels along each axis, but never
    more than a quarter of it, what comes in being `background`; and, where `flip`, half of them
    mirrored left to right. Advances `rng`; `images` is not changed."""
    if shift:
        images = _moved(images, rng, shift, background)
    if flip:
        mirrored = rng.integers(0, 2, len(images), dtype=bool)
        images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    return images


def _moved(images: Images, rng: np.random.Generator, shift: int, background: int) -> Images:
    count, height, width, channels = images.shape
    down, right = min(shift, height // 4), min(shift, width // 4)
    wide = np.full(
        (count, height + 2 * down, width + 2 * right, channels), background, dtype=np.uint8
    )
    wide[:, down : down + height, right : right + width] = images
    windows = sliding_window_view(wide, (height, width), axis=(1, 2))
    tops, lefts = (rng.integers(0, 2 * reach + 1, count) for reach in (down, right))
    moved: Images = windows[np.arange(count), tops, lefts]  # (n, c, h, w)
    return moved.transpose(0, 2, 3, 1)
