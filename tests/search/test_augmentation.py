"""Augmented images are the old ones, moved and mirrored no further than was asked."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search.augmentation import augment


def images_of(height: int, width: int, *, count: int = 20) -> np.ndarray:
    """Bytes of which no two in a picture are equal, none 0."""
    numbers = np.arange(1, height * width + 1, dtype=np.uint8).reshape(height, width, 1)
    return np.repeat(numbers[None], count, axis=0)


def augmented(images: np.ndarray, *, seed: int = 0, shift: int = 0, flip: bool = False):
    return augment(images, np.random.default_rng(seed), shift=shift, flip=flip, background=0)


@given(
    height=st.integers(1, 15), width=st.integers(1, 15), shift=st.integers(1, 6),
    seed=st.integers(0, 2**32),
)  # fmt: skip
def test_an_image_is_moved_within_reach_and_the_background_comes_in(
    height: int, width: int, shift: int, seed: int
) -> None:
    images = images_of(height, width)
    down, right = min(shift, height // 4), min(shift, width // 4)

    moved = augmented(images, seed=seed, shift=shift)

    assert moved.shape == images.shape and moved.dtype == np.uint8
    wide = np.pad(images[0], ((down, down), (right, right), (0, 0)))
    reachable = {
        wide[top : top + height, left : left + width].tobytes()
        for top in range(2 * down + 1)
        for left in range(2 * right + 1)
    }
    assert all(np.ascontiguousarray(image).tobytes() in reachable for image in moved)


def test_every_shift_is_drawn() -> None:
    moved = augmented(images_of(8, 8, count=500), shift=1)
    assert len({np.ascontiguousarray(image).tobytes() for image in moved}) == 9


def test_an_axis_of_one_stays() -> None:
    series = images_of(16, 1)
    assert {image.shape for image in augmented(series, shift=3)} == {(16, 1, 1)}
    assert all((image > 0).sum() >= 13 for image in augmented(series, shift=3))


def test_about_half_are_mirrored_left_to_right() -> None:
    images = images_of(4, 5, count=400)
    flipped = augmented(images, flip=True)
    mirrored = (flipped == images[:, :, ::-1]).all((1, 2, 3))
    same = (flipped == images).all((1, 2, 3))
    assert (mirrored ^ same).all()
    assert 150 < mirrored.sum() < 250


def test_the_background_is_the_byte_that_stands_for_zero() -> None:
    images = images_of(8, 8)
    moved = augment(images, np.random.default_rng(0), shift=2, flip=False, background=200)
    assert (moved == 200).any() and not (moved == 0).any()


def test_the_same_generator_gives_the_same_and_the_images_stay() -> None:
    images = images_of(8, 8)
    before = images.copy()
    assert np.array_equal(
        augmented(images, shift=2, flip=True), augmented(images, shift=2, flip=True)
    )
    assert np.array_equal(images, before)
