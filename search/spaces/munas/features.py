"""Where does a genotype of the µNAS space lie among the others? Numbers for a model of what
genotypes are worth. Must not know what they cost.
"""

from __future__ import annotations

import math
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from search.spaces.munas.genotype import (
    BLOCKS,
    DENSE_BLOCKS,
    FILTERS,
    KERNELS,
    KINDS,
    LAYERS,
    POOLING_KINDS,
    POOLING_SIZES,
    UNITS,
    ConvBlock,
    ConvLayer,
    MunasGenotype,
)

_BLOCK = 8 + len(KINDS)


def features(genotype: MunasGenotype) -> NDArray[np.float64]:
    """(118,), each 0..1: numbers of blocks and dense blocks; of each block that there may be, its
    features, zeros where it is absent; pooling; of each dense block, its width. Widths count by
    their logarithms, because a channel more matters by the share that it adds."""
    blocks = [_block(block) for block in genotype.blocks]
    blocks += [[0.0] * _BLOCK] * (BLOCKS[-1] - len(blocks))
    pooling = genotype.pooling
    kinds = [float(pooling is not None and pooling.kind == kind) for kind in POOLING_KINDS]
    size = pooling.size / POOLING_SIZES[-1] if pooling is not None else 0.0
    dense = [_log_share(units, UNITS) for units in genotype.dense]
    dense += [0.0] * (DENSE_BLOCKS[-1] - len(dense))
    return np.array(
        [
            len(genotype.blocks) / BLOCKS[-1],
            len(genotype.dense) / DENSE_BLOCKS[-1],
            *(value for block in blocks for value in block),
            *kinds,
            size,
            *dense,
        ]
    )


def _block(block: ConvBlock) -> list[float]:
    """Presence, kind of joining, depth, then means over the layers."""
    layers = block.layers
    return [
        1.0,
        float(block.branch),
        len(layers) / LAYERS[-1],
        *(mean(float(layer.kind == kind) for layer in layers) for kind in KINDS),
        mean((layer.kernel or 1) / KERNELS[-1] for layer in layers),
        mean(_log_share(layer.filters or 1, FILTERS) for layer in layers),
        mean(_shrinkage(layer) for layer in layers),
        mean(float(layer.batch_norm) for layer in layers),
        mean(float(layer.relu) for layer in layers),
    ]


def _shrinkage(layer: ConvLayer) -> float:
    """How often the map is halved along each axis, of 2 times at most."""
    return (float(layer.stride == 2) + float(layer.pre_pool)) / 2


def _log_share(value: int, allowed: range) -> float:
    return math.log2(1 + value) / math.log2(1 + allowed[-1])
