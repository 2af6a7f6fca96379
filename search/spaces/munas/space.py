"""How does the µNAS space (arXiv 2010.14246) answer as a Space? Puts its parts together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.config import SpaceChoice
from search.genotype import Genotype
from search.lowering import Op, Shape
from search.slimming import slim
from search.spaces.munas.counting import count
from search.spaces.munas.features import features
from search.spaces.munas.genotype import MunasGenotype
from search.spaces.munas.lowering import lower
from search.spaces.munas.morphisms import morph
from search.spaces.munas.sampling import contains, sample
from search.spaces.munas.slimming import with_widths

MUNAS = "munas"


@dataclass(frozen=True)
class Munas:
    """The space within the caps of a configuration. Only draws are capped: morphisms may grow a
    network beyond, up to the full space."""

    caps: SpaceChoice = SpaceChoice()

    @property
    def name(self) -> str:
        return MUNAS

    @property
    def sha256(self) -> None:
        return None

    def sample(self, rng: np.random.Generator) -> MunasGenotype:
        return sample(rng, self.caps)

    def morph(self, genotype: Genotype, rng: np.random.Generator) -> tuple[str, MunasGenotype]:
        return morph(_own(genotype), rng, self.caps)

    def lower(self, genotype: Genotype, input_shape: Shape, classes: int) -> tuple[Op, ...]:
        return lower(_own(genotype), input_shape, classes)

    def read(self, table: Any) -> MunasGenotype:
        return MunasGenotype.from_json(table)

    def contains(self, genotype: Genotype) -> bool:
        return isinstance(genotype, MunasGenotype) and contains(genotype, self.caps)

    def count(self) -> int:
        return count(self.caps)

    def features(self, genotype: Genotype) -> NDArray[np.float64]:
        return features(_own(genotype))

    def slim(self, genotype: Genotype, widths: Mapping[str, int]) -> MunasGenotype:
        return slim(_own(genotype), widths, with_widths, lower)


def _own(genotype: Genotype) -> MunasGenotype:
    if not isinstance(genotype, MunasGenotype):
        raise TypeError(f"not of the munas space: {type(genotype).__name__}")
    return genotype
