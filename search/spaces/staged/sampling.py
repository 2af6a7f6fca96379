"""Which networks of stages can be drawn? Uniform draws of every choice of a description, and the
test whether a network could have been one. Must not know what a network costs.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from search.spaces.draws import pick
from search.spaces.staged.description import Description, Stage
from search.spaces.staged.draft import (
    BlockDraft,
    Draft,
    StageDraft,
    collapse,
    expand,
)
from search.spaces.staged.genotype import ONE, StagedGenotype


def sample(rng: np.random.Generator, description: Description) -> Draft:
    """Every choice uniform; skips also where there is nothing to add. Advances `rng` alone."""
    return Draft(
        tuple(sample_stage(rng, stage, pick(rng, stage.repeats)) for stage in description.stages),
        pick(rng, description.poolings),
    )


def sample_stage(rng: np.random.Generator, stage: Stage, count: int) -> StageDraft:
    """A stage of `count` blocks."""
    if not count:
        return StageDraft(ONE, ONE, ())
    width = pick(rng, stage.widths)
    blocks = tuple(sample_block(rng, stage, width) for _ in range(count))
    return StageDraft(pick(rng, stage.strides), pick(rng, stage.pools), blocks)


def sample_block(rng: np.random.Generator, stage: Stage, width: int) -> BlockDraft:
    """A block of the stage's common width; a dense one draws its own."""
    if stage.is_dense:
        return BlockDraft(pick(rng, stage.widths))
    return BlockDraft(
        width,
        pick(rng, stage.kernels),
        Fraction(pick(rng, stage.expansions)),
        pick(rng, stage.skips),
    )


def contains(genotype: StagedGenotype, description: Description) -> bool:
    """Whether it is the expansion of a draft that `sample` can draw."""
    if len(genotype.stages) != len(description.stages):
        return False
    draft = collapse(genotype)
    return (
        draft.pooling in description.poolings
        and all(map(_stage_is_drawable, draft.stages, description.stages))
        and _expands_to(draft, description, genotype)
    )


def _stage_is_drawable(drafted: StageDraft, stage: Stage) -> bool:
    blocks = drafted.blocks
    if len(blocks) not in stage.repeats:
        return False
    if not blocks:
        return True
    share_a_width = stage.is_dense or len({block.width for block in blocks}) == 1
    return (
        share_a_width
        and drafted.stride in stage.strides
        and drafted.pool in stage.pools
        and all(
            block.width in stage.widths
            and block.kernel in stage.kernels
            and block.expansion in stage.expansions
            and (block.skip is None or stage.kind in ("residual", "dense")
                 or block.skip in stage.skips)
            for block in blocks
        )
    )  # fmt: skip


def _expands_to(draft: Draft, description: Description, genotype: StagedGenotype) -> bool:
    """False also where the kinds of blocks, and what they need, are others."""
    try:
        return expand(draft, description) == genotype
    except ValueError:
        return False
