"""Which networks are one step away? The morphisms of µNAS (arXiv 2010.14246): each is a generator
of all neighbours of its sort, one for every place it applies to. Where a neighbour needs something
new (a layer, a pooling), that is drawn from the generator passed in, within the caps of `space`.
Every neighbour is a valid genotype other than its parent. Must not know what networks cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from search.config import SpaceChoice
from search.spaces.draws import one_step
from search.spaces.munas.genotype import (
    BLOCKS,
    DENSE_BLOCKS,
    FILTERS,
    KERNELS,
    KINDS,
    LAYERS,
    POOLING_SIZES,
    UNITS,
    ConvBlock,
    ConvLayer,
    MunasGenotype,
    Pooling,
    arrange,
    joined_width,
)
from search.spaces.munas.sampling import (
    FULL,
    sample_block,
    sample_layer,
    sample_pooling,
    sample_units,
)

Morphism = Callable[[MunasGenotype, np.random.Generator, SpaceChoice], Iterator[MunasGenotype]]

WIDTH_STEPS = (-5, -3, -1, 1, 3, 5)


def morph(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice = FULL
) -> tuple[str, MunasGenotype]:
    """The name of a morphism, drawn uniformly from those that apply, and one of its neighbours,
    drawn uniformly. Some morphism applies to every genotype (a ReLU can always be toggled)."""
    return one_step(rng, list(MORPHISMS), lambda name: list(MORPHISMS[name](genotype, rng, space)))


def add_block(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """A new block of one layer at any place, in series or (not in the first place) as a branch."""
    blocks = genotype.blocks
    if len(blocks) + 1 not in BLOCKS:
        return
    for index in range(len(blocks) + 1):
        for branch in (False, True) if index else (False,):
            new = sample_block(rng, space, branch=branch, layers=1)
            yield _with_blocks(genotype, [*blocks[:index], new, *blocks[index:]])


def remove_block(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """Without one block. A branch right behind a removed series block takes its place in series,
    so that the first block is never a branch."""
    blocks = genotype.blocks
    if len(blocks) - 1 not in BLOCKS:
        return
    for index, block in enumerate(blocks):
        rest = list(blocks[index + 1 :])
        if not block.branch and rest and rest[0].branch:
            width = joined_width(blocks, index + 1)
            rest[0] = arrange(False, rest[0].layers, width)
        yield _with_blocks(genotype, [*blocks[:index], *rest])


def toggle_branch(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """One block but the first from series to branch or back; back in series it keeps the number of
    filters it had to have as a branch."""
    for index, block in enumerate(genotype.blocks[1:], start=1):
        width = joined_width(genotype.blocks, index)
        yield _with_block(genotype, index, arrange(not block.branch, block.layers, width))


def add_layer(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """A new layer at any place of any block that is not full."""
    for index, block in enumerate(genotype.blocks):
        if len(block.layers) + 1 not in LAYERS:
            continue
        for place in range(len(block.layers) + 1):
            new = sample_layer(rng, space)
            layers = [*block.layers[:place], new, *block.layers[place:]]
            yield _with_layers(genotype, index, layers)


def remove_layer(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """Without one layer of a block that has several."""
    for index, block in enumerate(genotype.blocks):
        if len(block.layers) - 1 not in LAYERS:
            continue
        for place in range(len(block.layers)):
            yield _with_layers(
                genotype, index, [*block.layers[:place], *block.layers[place + 1 :]]
            )


def change_kind(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """One layer of another kind. What both kinds have is kept, the rest is drawn."""
    for i, j, layer in genotype.layers():
        for kind in KINDS:
            if kind == layer.kind:
                continue
            drawn = sample_layer(rng, space, kind)
            yield _with_layer(
                genotype,
                i,
                j,
                replace(
                    layer,
                    kind=kind,
                    kernel=drawn.kernel and (layer.kernel or drawn.kernel),
                    filters=drawn.filters and (layer.filters or drawn.filters),
                    stride=drawn.stride and (layer.stride or drawn.stride),
                ),
            )


def change_kernel(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """One kernel 2 larger or smaller."""
    for i, j, layer in genotype.layers():
        if layer.kernel is not None:
            for kernel in (layer.kernel - 2, layer.kernel + 2):
                if kernel in KERNELS:
                    yield _with_layer(genotype, i, j, replace(layer, kernel=kernel))


def change_filters(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """1, 3 or 5 filters more or less in one layer."""
    for i, j, layer in genotype.layers():
        if layer.filters is not None:
            for step in WIDTH_STEPS:
                if layer.filters + step in FILTERS:
                    filters = layer.filters + step
                    yield _with_layer(genotype, i, j, replace(layer, filters=filters))


def toggle_stride(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """One stride from 1 to 2 or back."""
    for i, j, layer in genotype.layers():
        if layer.stride is not None:
            yield _with_layer(genotype, i, j, replace(layer, stride=3 - layer.stride))


def toggle_pre_pool(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """The 2x2 max pooling before one layer, on or off."""
    for i, j, layer in genotype.layers():
        yield _with_layer(genotype, i, j, replace(layer, pre_pool=not layer.pre_pool))


def toggle_batch_norm(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """Batch normalisation behind one layer, on or off."""
    for i, j, layer in genotype.layers():
        yield _with_layer(genotype, i, j, replace(layer, batch_norm=not layer.batch_norm))


def toggle_relu(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """ReLU behind one layer, on or off."""
    for i, j, layer in genotype.layers():
        yield _with_layer(genotype, i, j, replace(layer, relu=not layer.relu))


def toggle_pooling(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """The final pooling removed, or one drawn where there is none."""
    yield replace(genotype, pooling=None if genotype.pooling else sample_pooling(rng))


def change_pooling_kind(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """The final pooling from average to max or back."""
    if genotype.pooling is not None:
        kind = "max" if genotype.pooling.kind == "average" else "average"
        yield replace(genotype, pooling=replace(genotype.pooling, kind=kind))


def change_pooling_size(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """The final pooling's size 2 larger or smaller."""
    if genotype.pooling is not None:
        for size in (genotype.pooling.size - 2, genotype.pooling.size + 2):
            if size in POOLING_SIZES:
                yield replace(genotype, pooling=Pooling(genotype.pooling.kind, size))


def add_dense_block(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """A new dense block at any place before the classifier."""
    dense = genotype.dense
    if len(dense) + 1 in DENSE_BLOCKS:
        for place in range(len(dense) + 1):
            new = sample_units(rng, space)
            yield replace(genotype, dense=(*dense[:place], new, *dense[place:]))


def remove_dense_block(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """Without one of several dense blocks."""
    dense = genotype.dense
    if len(dense) - 1 in DENSE_BLOCKS:
        for place in range(len(dense)):
            yield replace(genotype, dense=(*dense[:place], *dense[place + 1 :]))


def change_units(
    genotype: MunasGenotype, rng: np.random.Generator, space: SpaceChoice
) -> Iterator[MunasGenotype]:
    """1, 3 or 5 units more or less in one dense block."""
    dense = genotype.dense
    for place, units in enumerate(dense):
        for step in WIDTH_STEPS:
            if units + step in UNITS:
                yield replace(genotype, dense=(*dense[:place], units + step, *dense[place + 1 :]))


MORPHISMS: dict[str, Morphism] = {
    morphism.__name__: morphism
    for morphism in (
        add_block,
        remove_block,
        toggle_branch,
        add_layer,
        remove_layer,
        change_kind,
        change_kernel,
        change_filters,
        toggle_stride,
        toggle_pre_pool,
        toggle_batch_norm,
        toggle_relu,
        toggle_pooling,
        change_pooling_kind,
        change_pooling_size,
        add_dense_block,
        remove_dense_block,
        change_units,
    )
}


def _with_blocks(genotype: MunasGenotype, blocks: Sequence[ConvBlock]) -> MunasGenotype:
    return replace(genotype, blocks=tuple(blocks))


def _with_block(genotype: MunasGenotype, index: int, block: ConvBlock) -> MunasGenotype:
    blocks = genotype.blocks
    return _with_blocks(genotype, [*blocks[:index], block, *blocks[index + 1 :]])


def _with_layers(
    genotype: MunasGenotype, index: int, layers: Sequence[ConvLayer]
) -> MunasGenotype:
    width = joined_width(genotype.blocks, index)
    block = arrange(genotype.blocks[index].branch, layers, width)
    return _with_block(genotype, index, block)


def _with_layer(genotype: MunasGenotype, i: int, j: int, layer: ConvLayer) -> MunasGenotype:
    layers = genotype.blocks[i].layers
    return _with_layers(genotype, i, [*layers[:j], layer, *layers[j + 1 :]])
