"""Which networks of stages are one step away? Each morphism is a generator of all neighbours of
its sort, as drafts. Where a neighbour needs something new, that is drawn from the generator passed
in. From any network that can be drawn every other one can be reached. Must not know what they
cost.

A slimmed width goes to the nearest width of the space below or above it; the hidden widths of
blocks keep their share.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TypeVar

import numpy as np

from search.spaces.staged.description import Description, Stage
from search.spaces.staged.draft import BlockDraft, Draft, StageDraft, fits
from search.spaces.staged.sampling import sample_block, sample_stage

T = TypeVar("T")
Morphism = Callable[[Draft, np.random.Generator, Description], Iterator[Draft]]

# Among the widths of a stage, so many places up or down: µNAS's steps (arXiv 2010.14246).
WIDTH_STEPS = (-5, -3, -1, 1, 3, 5)


def add_blocks(draft: Draft, rng: np.random.Generator, space: Description) -> Iterator[Draft]:
    """A new block at any place of a stage; several side by side where its next larger number of
    blocks asks for them."""
    for i, stage, drafted in _stages(draft, space):
        count = len(drafted.blocks)
        larger = [number for number in stage.repeats if number > count]
        if not larger:
            continue
        if not count:
            yield _with_stage(draft, i, sample_stage(rng, stage, larger[0]))
            continue
        for place in range(count + 1):
            width = drafted.blocks[max(place - 1, 0)].width
            new = [sample_block(rng, stage, width) for _ in range(larger[0] - count)]
            blocks = (*drafted.blocks[:place], *new, *drafted.blocks[place:])
            yield _with_stage(draft, i, replace(drafted, blocks=blocks))


def remove_blocks(draft: Draft, rng: np.random.Generator, space: Description) -> Iterator[Draft]:
    """Without one block of a stage, or without several side by side where its next smaller number
    of blocks asks for that."""
    for i, stage, drafted in _stages(draft, space):
        count = len(drafted.blocks)
        smaller = [number for number in stage.repeats if number < count]
        if not smaller:
            continue
        if not smaller[-1]:
            yield _with_stage(draft, i, sample_stage(rng, stage, 0))
            continue
        for place in range(smaller[-1] + 1):
            rest = drafted.blocks[place + count - smaller[-1] :]
            blocks = (*drafted.blocks[:place], *rest)
            yield _with_stage(draft, i, replace(drafted, blocks=blocks))


def change_filters(draft: Draft, rng: np.random.Generator, space: Description) -> Iterator[Draft]:
    """1, 3 or 5 places up or down the filters of a stage, in all of its blocks."""
    for i, stage, drafted in _stages(draft, space):
        if drafted.blocks and not stage.is_dense:
            for width in _nearby(drafted.blocks[-1].width, stage.widths):
                blocks = tuple(replace(block, width=width) for block in drafted.blocks)
                yield _with_stage(draft, i, replace(drafted, blocks=blocks))


def change_units(draft: Draft, rng: np.random.Generator, space: Description) -> Iterator[Draft]:
    """1, 3 or 5 places up or down the units of one dense block."""
    for i, j, stage, block in _blocks(draft, space):
        if stage.is_dense:
            for width in _nearby(block.width, stage.widths):
                yield _with_block(draft, i, j, replace(block, width=width))


def change_kernel(draft: Draft, rng: np.random.Generator, space: Description) -> Iterator[Draft]:
    """Another kernel in one block."""
    for i, j, stage, block in _blocks(draft, space):
        for kernel in _others(block.kernel, stage.kernels):
            yield _with_block(draft, i, j, replace(block, kernel=kernel))


def change_expansion(
    draft: Draft, rng: np.random.Generator, space: Description
) -> Iterator[Draft]:
    """Another expansion in one block."""
    for i, j, stage, block in _blocks(draft, space):
        for expansion in _others(block.expansion, [Fraction(one) for one in stage.expansions]):
            if stage.kind == "inverted_residual":
                yield _with_block(draft, i, j, replace(block, expansion=expansion))


def toggle_skip(draft: Draft, rng: np.random.Generator, space: Description) -> Iterator[Draft]:
    """The input of one block added to its output or not, where the space leaves that open."""
    width: int | None = None
    for i, j, stage, block in _blocks(draft, space):
        stride = draft.stages[i].stride if j == 0 else (1, 1)
        if len(stage.skips) > 1 and fits(stride, width, block.width):
            yield _with_block(draft, i, j, replace(block, skip=not block.skip))
        width = block.width


def change_stride(draft: Draft, rng: np.random.Generator, space: Description) -> Iterator[Draft]:
    """Another stride of a stage."""
    for i, stage, drafted in _stages(draft, space):
        if drafted.blocks:
            for stride in _others(drafted.stride, stage.strides):
                yield _with_stage(draft, i, replace(drafted, stride=stride))


def change_pool(draft: Draft, rng: np.random.Generator, space: Description) -> Iterator[Draft]:
    """Another max pooling before a stage."""
    for i, stage, drafted in _stages(draft, space):
        if drafted.blocks:
            for pool in _others(drafted.pool, stage.pools):
                yield _with_stage(draft, i, replace(drafted, pool=pool))


def change_pooling(draft: Draft, rng: np.random.Generator, space: Description) -> Iterator[Draft]:
    """Another pooling of the last map."""
    for pooling in _others(draft.pooling, space.poolings):
        yield replace(draft, pooling=pooling)


MORPHISMS: dict[str, Morphism] = {
    morphism.__name__: morphism
    for morphism in (
        add_blocks,
        remove_blocks,
        change_filters,
        change_units,
        change_kernel,
        change_expansion,
        toggle_skip,
        change_stride,
        change_pool,
        change_pooling,
    )
}


def _stages(draft: Draft, space: Description) -> Iterator[tuple[int, Stage, StageDraft]]:
    for i, (stage, drafted) in enumerate(zip(space.stages, draft.stages, strict=True)):
        yield i, stage, drafted


def _blocks(draft: Draft, space: Description) -> Iterator[tuple[int, int, Stage, BlockDraft]]:
    for i, stage, drafted in _stages(draft, space):
        for j, block in enumerate(drafted.blocks):
            yield i, j, stage, block


def _with_stage(draft: Draft, i: int, stage: StageDraft) -> Draft:
    return replace(draft, stages=(*draft.stages[:i], stage, *draft.stages[i + 1 :]))


def _with_block(draft: Draft, i: int, j: int, block: BlockDraft) -> Draft:
    stage = draft.stages[i]
    blocks = (*stage.blocks[:j], block, *stage.blocks[j + 1 :])
    return _with_stage(draft, i, replace(stage, blocks=blocks))


def _others(value: T, choices: Sequence[T]) -> list[T]:
    return [choice for choice in choices if choice != value]


def _nearby(width: int, widths: Sequence[int]) -> list[int]:
    """`widths` is ascending; of a width that is none of them, the next ones below and above."""
    place = bisect_left(widths, width)
    if place < len(widths) and widths[place] == width:
        places = [place + step for step in WIDTH_STEPS]
    else:
        places = [place - 1, place]
    return [widths[p] for p in places if 0 <= p < len(widths)]
