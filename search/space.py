"""What is a space of networks? A set of genotypes that can be drawn, changed step by step, counted
and lowered. Algorithms, the loop and workers know spaces by this protocol alone. Must not know
what a genotype costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError
from search.config import SpaceChoice
from search.genotype import Genotype
from search.lowering import Op, Shape
from search.spaces.munas.space import MUNAS, Munas
from search.spaces.staged.space import open_staged

SPACES = Path(__file__).parent / "spaces"  # the files that come with hilnas


class Space(Protocol):
    """Every genotype that `sample`, `morph`, `read` or `slim` returns is valid: it lowers for
    every input shape. A genotype of another space raises TypeError."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str | None:
        """Of the file that describes the space; None where the program does."""

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A draw; `contains` holds for it. Advances `rng`, and nothing else."""

    def morph(self, genotype: Genotype, rng: np.random.Generator) -> tuple[str, Genotype]:
        """The name of a morphism and the neighbour that it leads to, never `genotype` itself.

        Raises:
            ValueError: the space has no other genotype.
        """

    def lower(self, genotype: Genotype, input_shape: Shape, classes: int) -> tuple[Op, ...]:
        """The operators of a genotype, from the Input to the classifier (Dense, no ReLU,
        `classes` logits).

        Args:
            input_shape: (height, width, channels); (time, 1, channels) for what has one axis.

        Raises:
            ValueError: input_shape is not three positive sizes, or fewer than two classes.
        """

    def read(self, table: Any) -> Genotype:
        """The inverse of Genotype.to_json.

        Raises:
            ValueError: a key is unknown or missing, or a value out of range; says where.
        """

    def contains(self, genotype: Genotype) -> bool:
        """Whether `sample` can draw it."""

    def count(self) -> int:
        """How many distinct archids `sample` can draw: exact."""

    def features(self, genotype: Genotype) -> NDArray[np.float64]:
        """(n,) finite numbers that place a genotype among others of the space, n the same for all
        of them; about 0..1 within what `sample` draws."""

    def slim(self, genotype: Genotype, widths: Mapping[str, int]) -> Genotype:
        """The genotype whose operators have these widths (channels or units of their outputs, at
        least 1) and otherwise those they had. `widths` goes by the names of weighted operators.

        Raises:
            ValueError: no such operator, a width that the space cannot have, or widths that are
                coupled (by an Add or a depthwise convolution) and do not agree; says where.
        """


@lru_cache(maxsize=8)
def open_space(choice: SpaceChoice) -> Space:
    """The space that a configuration asks for; opened once in a process.

    Raises:
        ConfigError: no such space, or a space file that cannot be used: file, table, key.
    """
    if choice.file is not None:
        return open_staged(Path(choice.file))
    if choice.name in (None, MUNAS):
        return Munas(choice)
    files = {path.stem: path for path in SPACES.glob("*.toml")}
    if choice.name not in files:
        raise ConfigError(
            f"no space of the name {choice.name!r}",
            where="[space] name",
            expected=f"one of {', '.join((MUNAS, *sorted(files)))}",
            hint="or give the file of your own as file",
        )
    return open_staged(files[choice.name])
