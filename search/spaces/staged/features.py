"""Where does a network of stages lie among the others of its space? Numbers for a model of what
genotypes are worth. Must not know what they cost.
"""

from __future__ import annotations

import math
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from search.spaces.staged.description import Description, Stage
from search.spaces.staged.genotype import ONE, POOLING_KINDS, Block, StagedGenotype

_STAGE = 8


def features(genotype: StagedGenotype, description: Description) -> NDArray[np.float64]:
    """(8 * stages + 2,): of each stage its depth, stride and pool, and the means over its blocks
    of width, kernel, hidden width, hidden share and shortcut, as shares of the largest that the
    description allows, zeros where it is empty; then the kind of pooling. Sizes count by their
    logarithms, because a channel more matters by the share that it adds."""
    values: list[float] = []
    for stage, blocks in zip(description.stages, genotype.stages, strict=True):
        values += _stage(stage, blocks) if blocks else [0.0] * _STAGE
    values += [float(genotype.pooling == kind) for kind in POOLING_KINDS]
    return np.array(values)


def _stage(stage: Stage, blocks: tuple[Block, ...]) -> list[float]:
    widest = stage.widths[-1]
    largest_hidden = widest * max(stage.expansions)
    largest_kernel = max(map(math.prod, stage.kernels))
    first = blocks[0]
    return [
        len(blocks) / max(stage.repeats),
        _log_share(math.prod(first.stride or ONE), max(map(math.prod, stage.strides))),
        _log_share(math.prod(first.pool or ONE), max(map(math.prod, stage.pools))),
        mean(_log_share(block.width, widest) for block in blocks),
        mean(_log_share(math.prod(block.kernel or ONE), largest_kernel) for block in blocks),
        mean(_log_share(block.hidden or 1, largest_hidden) for block in blocks),
        mean((block.hidden or 0) / largest_hidden for block in blocks),
        mean(float(block.shortcut == "identity") for block in blocks),
    ]


def _log_share(value: int, largest: int) -> float:
    return math.log2(value) / math.log2(largest) if largest > 1 else 0.0
