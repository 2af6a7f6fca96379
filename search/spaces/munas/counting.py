"""How many networks are there in the µNAS space, within the caps of a configuration?"""

from __future__ import annotations

from search.config import SpaceChoice
from search.spaces.munas.genotype import (
    FILTERS,
    KERNELS,
    POOLING_KINDS,
    POOLING_SIZES,
    STRIDES,
    UNITS,
)

_FLAGS = 2**3  # pre_pool, batch_norm, relu


def count(caps: SpaceChoice) -> int:
    """Genotypes that differ, and so their archids: a field that cannot matter is absent."""
    filters = caps.max_filters - FILTERS[0] + 1
    windows = len(KERNELS) * len(STRIDES)
    layers = _FLAGS * (windows * filters + filters + windows)  # conv, pointwise, depthwise
    branch_ends = _FLAGS * (windows + 1 + windows)  # as wide as the block they are joined to
    lengths = range(1, caps.max_layers + 1)
    series = sum(layers**length for length in lengths)
    branches = sum(layers ** (length - 1) * branch_ends for length in lengths)
    bodies = sum(series * (series + branches) ** more for more in range(caps.max_blocks))
    poolings = 1 + len(POOLING_KINDS) * len(POOLING_SIZES)
    units = caps.max_units - UNITS[0] + 1
    dense = sum(units**length for length in range(1, caps.max_dense_blocks + 1))
    total: int = bodies * poolings * dense
    return total
