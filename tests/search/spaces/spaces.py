"""Spaces for tests: all that come with hilnas, and some small enough to be walked through."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from search.config import SpaceChoice
from search.genotype import Genotype
from search.lowering import Shape
from search.space import SPACES, Space, open_space
from search.spaces.munas.space import Munas
from search.spaces.staged.description import Description, read_description
from search.spaces.staged.space import Staged

NAMES = ("munas", *sorted(path.stem for path in SPACES.glob("*.toml")))

# What each is meant for, small: (height, width, channels).
SHAPES: dict[str, Shape] = {
    "cnn1d": (96, 1, 2),
    "ds_cnn": (21, 10, 1),
    "mlp": (4, 3, 2),
    "mobile": (13, 12, 3),
    "munas": (12, 11, 1),
    "resnet": (12, 13, 2),
}

# A few hundred networks each; every kind of block and every key stands in one of them.
TINY: dict[str, dict] = {
    "convolutions": {
        "stage": [
            {"block": "conv", "filters": [2, 3], "kernel": [[3, 2], 1], "stride": [1, [2, 1]]},
            {"block": "conv1d", "repeat": [0, 1, 2], "filters": 2, "kernel": 3, "pool": [1, 2],
             "skip": [True, False]},
        ],
        "head": {"pooling": ["none", "average", "max"]},
    },
    "separable": {
        "stage": [
            {"block": "conv", "filters": {"from": 2, "to": 4, "step": 2}, "kernel": 3},
            {"block": "separable", "repeat": {"from": 1, "to": 2}, "filters": [2, 4],
             "kernel": [2, 3], "stride": [1, 2], "skip": [False, True]},
        ],
    },
    "inverted": {
        "stage": [
            {"block": "conv", "filters": [2, 3], "kernel": 1, "padding": "valid"},
            {"block": "inverted_residual", "repeat": [1, 3], "filters": [2, 3], "kernel": 3,
             "stride": [1, 2], "expansion": [1, 2]},
        ],
        "head": {"pooling": "average"},
    },
    "residual": {
        "stage": [
            {"block": "conv", "repeat": [0, 1], "filters": [2, 3], "kernel": 3},
            {"block": "residual", "repeat": [0, 1, 3], "filters": [2, 3], "kernel": 2,
             "stride": [1, 2], "pool": [1, 2]},
            {"block": "residual", "repeat": [0, 1], "filters": [3, 4], "kernel": 3},
        ],
    },
    "dense": {
        "stage": [
            {"block": "separable", "repeat": [0, 1], "filters": 2, "kernel": 3,
             "padding": "valid"},
            {"block": "dense", "repeat": [0, 1, 2], "units": {"from": 2, "to": 5}},
        ],
        "head": {"pooling": ["max", "none"]},
    },
}  # fmt: skip


def shipped(name: str) -> Space:
    return open_space(SpaceChoice(name=name))


def description(name: str) -> Description:
    return read_description(TINY[name])


def tiny(name: str) -> Staged:
    return Staged(name, "0" * 64, description(name))


SMALL_MUNAS = Munas(
    SpaceChoice(max_blocks=4, max_layers=2, max_filters=12, max_dense_blocks=2, max_units=24)
)

SPACE_FILES: dict[str, Path] = {path.stem: path for path in SPACES.glob("*.toml")}


def reached(space: Space, seed: int, steps: int) -> Genotype:
    """A genotype drawn, and as many steps away."""
    rng = np.random.default_rng(seed)
    genotype = space.sample(rng)
    for _ in range(steps):
        _, genotype = space.morph(genotype, rng)
    return genotype
