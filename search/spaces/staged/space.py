"""How does a space that a file describes answer as a Space? Reads it, puts the parts together."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError
from search.genotype import Genotype
from search.lowering import Op, Shape
from search.slimming import slim
from search.spaces.draws import one_step
from search.spaces.staged.counting import count
from search.spaces.staged.description import Description, read_description
from search.spaces.staged.draft import collapse, expand
from search.spaces.staged.features import features
from search.spaces.staged.genotype import StagedGenotype
from search.spaces.staged.lowering import lower
from search.spaces.staged.membership import check_member
from search.spaces.staged.morphisms import MORPHISMS
from search.spaces.staged.sampling import contains, sample
from search.spaces.staged.slimming import with_widths


@dataclass(frozen=True)
class Staged:
    """name: of the file, without its ending."""

    name: str
    sha256: str
    description: Description

    def sample(self, rng: np.random.Generator) -> StagedGenotype:
        return expand(sample(rng, self.description), self.description)

    def morph(self, genotype: Genotype, rng: np.random.Generator) -> tuple[str, StagedGenotype]:
        parent = _own(genotype)

        def neighbours(name: str) -> list[StagedGenotype]:
            return self.neighbours(name, parent, rng)

        return one_step(rng, list(MORPHISMS), neighbours)

    def neighbours(
        self, name: str, genotype: StagedGenotype, rng: np.random.Generator
    ) -> list[StagedGenotype]:
        """All that the morphism `name` leads to, but the genotype itself."""
        drafts = MORPHISMS[name](collapse(genotype), rng, self.description)
        children = (expand(draft, self.description) for draft in drafts)
        return [child for child in children if child != genotype]

    def lower(self, genotype: Genotype, input_shape: Shape, classes: int) -> tuple[Op, ...]:
        return lower(_own(genotype), input_shape, classes)

    def read(self, table: Any) -> StagedGenotype:
        genotype = StagedGenotype.from_json(table)
        check_member(genotype, self.description)
        return genotype

    def contains(self, genotype: Genotype) -> bool:
        return isinstance(genotype, StagedGenotype) and contains(genotype, self.description)

    def count(self) -> int:
        return count(self.description)

    def features(self, genotype: Genotype) -> NDArray[np.float64]:
        return features(_own(genotype), self.description)

    def slim(self, genotype: Genotype, widths: Mapping[str, int]) -> StagedGenotype:
        return slim(_own(genotype), widths, with_widths, lower)


def open_staged(path: Path) -> Staged:
    """
    Raises:
        ConfigError: not there, not TOML, or not a space: names the file, the table and the key.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError("no such file", where=path, hint="check [space] file") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=path) from None
    try:
        table = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read as TOML: {error}", where=path) from None
    try:
        description = read_description(table)
    except ValueError as error:
        raise ConfigError(str(error), where=path, hint="see docs/spaces.md") from None
    if count(description) < 2:
        raise ConfigError(
            "describes a single network", where=path, hint="give at least one key several choices"
        )
    return Staged(path.stem, hashlib.sha256(data).hexdigest(), description)


def _own(genotype: Genotype) -> StagedGenotype:
    if not isinstance(genotype, StagedGenotype):
        raise TypeError(f"no network of stages: {type(genotype).__name__}")
    return genotype
