"""How is one of several drawn? Everything uniform, from the generator passed in alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]


def one_step(
    rng: np.random.Generator, names: Sequence[str], neighbours: Callable[[str], Sequence[T]]
) -> tuple[str, T]:
    """The name of a morphism, drawn from those that have neighbours, and one of them.

    Raises:
        ValueError: none has any.
    """
    for index in rng.permutation(len(names)):
        name = names[int(index)]
        if found := neighbours(name):
            return name, pick(rng, found)
    raise ValueError("the space has no other genotype")
