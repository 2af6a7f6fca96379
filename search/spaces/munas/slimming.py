"""Where in a genotype of the µNAS space does an operator's width stand?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from search.spaces.munas.genotype import ConvBlock, ConvLayer, MunasGenotype
from search.spaces.reading import Place


def with_widths(genotype: MunasGenotype, widths: Mapping[str, int]) -> MunasGenotype:
    """Layers and dense blocks with the widths of the operators named after them; the end of a
    branch and a depthwise layer have none of their own.

    Raises:
        ValueError: a width out of the space's range.
    """

    def slim_layer(layer: ConvLayer, name: str) -> ConvLayer:
        if layer.filters is None or name not in widths:
            return layer
        with Place(name):
            return replace(layer, filters=widths[name])

    blocks = tuple(
        ConvBlock(
            block.branch,
            tuple(slim_layer(layer, f"block{i}_layer{j}") for j, layer in enumerate(block.layers)),
        )
        for i, block in enumerate(genotype.blocks)
    )
    dense = tuple(widths.get(f"dense{index}", units) for index, units in enumerate(genotype.dense))
    return replace(genotype, blocks=blocks, dense=dense)
