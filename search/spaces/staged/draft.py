"""What is free to choose in a network of stages? A draft holds the choices, a genotype what
follows from them, too: strides of later blocks, hidden widths, shortcuts. Drawing, changing and
counting deal in drafts, so that what follows is written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from search.lowering import Window
from search.spaces.staged.description import Description, Stage
from search.spaces.staged.genotype import ONE, Block, StagedGenotype


@dataclass(frozen=True)
class BlockDraft:
    """expansion: of the hidden width over the width that it expands (that of the input, or a
    residual block's own), a whole number unless it was slimmed. skip: None where there was nothing
    to choose; should there be now, an input is added wherever the space allows it."""

    width: int
    kernel: Window = ONE
    expansion: Fraction = Fraction(1)
    skip: bool | None = None


@dataclass(frozen=True)
class StageDraft:
    """stride and pool: of the first block, and ONE where there is none."""

    stride: Window
    pool: Window
    blocks: tuple[BlockDraft, ...]


@dataclass(frozen=True)
class Draft:
    stages: tuple[StageDraft, ...]
    pooling: str | None


def fits(stride: Window, before: int | None, after: int) -> bool:
    """Whether a block's input can be added to its output as it is; `before` is None for an image,
    whose channels no genotype knows."""
    return stride == ONE and before == after


def expand(draft: Draft, description: Description) -> StagedGenotype:
    """The genotype of a draft. Hidden widths are rounded."""
    width: int | None = None
    stages = []
    for stage, drafted in zip(description.stages, draft.stages, strict=True):
        blocks = []
        for index, block in enumerate(drafted.blocks):
            stride, pool = (drafted.stride, drafted.pool) if index == 0 else (ONE, ONE)
            blocks.append(_block(stage, block, stride, pool, width))
            width = block.width
        stages.append(tuple(blocks))
    return StagedGenotype(tuple(stages), draft.pooling)


def collapse(genotype: StagedGenotype) -> Draft:
    """The draft that `expand` turns into `genotype`, if any does; into its like otherwise."""
    width: int | None = None
    stages = []
    for stage in genotype.stages:
        blocks = []
        for block in stage:
            skip = None
            if fits(block.stride or ONE, width, block.width):
                skip = block.shortcut == "identity"
            base = block.width if block.kind == "residual" else width
            expansion = Fraction(block.hidden or 1, base or 1) if block.hidden else Fraction(1)
            blocks.append(BlockDraft(block.width, block.kernel or ONE, expansion, skip))
            width = block.width
        first = stage[0] if stage else None
        stages.append(
            StageDraft(
                (first and first.stride) or ONE, (first and first.pool) or ONE, tuple(blocks)
            )
        )
    return Draft(tuple(stages), genotype.pooling)


def _block(
    stage: Stage, block: BlockDraft, stride: Window, pool: Window, width: int | None
) -> Block:
    if stage.is_dense:
        return Block("dense", block.width)
    can_add = fits(stride, width, block.width)
    if stage.kind == "residual":
        shortcut = "identity" if can_add else "projection"
    else:
        wants = True in stage.skips if block.skip is None else block.skip
        shortcut = "identity" if can_add and wants else "none"
    base = block.width if stage.kind == "residual" else width
    hidden = None
    # A slimmed block may have the hidden width of its input in a stage that always expands.
    expands = block.expansion != 1 or 1 not in stage.expansions
    if stage.kind == "residual" or (stage.kind == "inverted_residual" and expands):
        assert base is not None  # read_description sees to it
        hidden = max(1, round(block.expansion * base))
    return Block(
        kind=stage.kind,
        width=block.width,
        kernel=block.kernel,
        stride=stride,
        padding=stage.padding,
        shortcut=shortcut,
        hidden=hidden,
        pool=None if pool == ONE else pool,
    )
