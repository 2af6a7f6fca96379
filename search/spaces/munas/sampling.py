"""Which networks can be drawn? Random genotypes of the µNAS space (arXiv 2010.14246).
The space itself is what genotype.py lets be built; here are the odds, and the caps of a
configuration. Must not know what a genotype costs.
"""

from __future__ import annotations

import numpy as np

from search.config import SpaceChoice
from search.spaces.draws import pick
from search.spaces.munas.genotype import (
    BLOCKS,
    DENSE_BLOCKS,
    FILTERS,
    KERNELS,
    KINDS,
    LAYERS,
    POOLING_KINDS,
    POOLING_SIZES,
    STRIDES,
    UNITS,
    ConvBlock,
    ConvLayer,
    MunasGenotype,
    Pooling,
    arrange,
)

# µNAS draws these three unevenly; everything else is uniform.
POOLING_PROBABILITY = 0.9
RELU_PROBABILITY = 0.9
PRE_POOL_PROBABILITY = 0.25

FULL = SpaceChoice()


def sample(rng: np.random.Generator, space: SpaceChoice = FULL) -> MunasGenotype:
    """Draw a network; both ends of every range are reached. Advances `rng`, and nothing else."""
    blocks = tuple(
        sample_block(rng, space, branch=i > 0 and _coin(rng))
        for i in range(_between(rng, BLOCKS, space.max_blocks))
    )
    pooling = sample_pooling(rng) if rng.random() < POOLING_PROBABILITY else None
    dense = tuple(
        sample_units(rng, space)
        for _ in range(_between(rng, DENSE_BLOCKS, space.max_dense_blocks))
    )
    return MunasGenotype(blocks, pooling, dense)


def sample_block(
    rng: np.random.Generator, space: SpaceChoice = FULL, *, branch: bool, layers: int | None = None
) -> ConvBlock:
    """A block of `layers` layers (drawn where None)."""
    count = layers or _between(rng, LAYERS, space.max_layers)
    return arrange(branch, [sample_layer(rng, space) for _ in range(count)], None)


def sample_layer(
    rng: np.random.Generator, space: SpaceChoice = FULL, kind: str | None = None
) -> ConvLayer:
    """A layer of the given kind (drawn where None)."""
    kind = kind or pick(rng, KINDS)
    return ConvLayer(
        kind=kind,
        kernel=None if kind == "pointwise" else pick(rng, KERNELS),
        filters=None if kind == "depthwise" else _between(rng, FILTERS, space.max_filters),
        stride=None if kind == "pointwise" else pick(rng, STRIDES),
        pre_pool=bool(rng.random() < PRE_POOL_PROBABILITY),
        batch_norm=_coin(rng),
        relu=bool(rng.random() < RELU_PROBABILITY),
    )


def sample_pooling(rng: np.random.Generator) -> Pooling:
    return Pooling(pick(rng, POOLING_KINDS), pick(rng, POOLING_SIZES))


def sample_units(rng: np.random.Generator, space: SpaceChoice = FULL) -> int:
    return _between(rng, UNITS, space.max_units)


def contains(genotype: MunasGenotype, space: SpaceChoice = FULL) -> bool:
    """Whether `sample(rng, space)` can draw it. Every genotype lies in the full space."""
    return (
        len(genotype.blocks) <= space.max_blocks
        and len(genotype.dense) <= space.max_dense_blocks
        and all(units <= space.max_units for units in genotype.dense)
        and all(len(block.layers) <= space.max_layers for block in genotype.blocks)
        and all((layer.filters or 0) <= space.max_filters for _, _, layer in genotype.layers())
    )


def _between(rng: np.random.Generator, allowed: range, cap: int) -> int:
    return int(rng.integers(allowed[0], min(allowed[-1], cap) + 1))


def _coin(rng: np.random.Generator) -> bool:
    return bool(rng.integers(2))
