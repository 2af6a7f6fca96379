"""Where in a network of stages does an operator's width stand?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from search.spaces.staged.genotype import Block, StagedGenotype

# The operators of a block (lowering.py) that have its width, and its hidden width.
_WIDTH = {
    "conv": "conv",
    "separable": "pointwise",
    "inverted_residual": "project",
    "residual": "second",
    "dense": "dense",
}
_HIDDEN = {"inverted_residual": "expand", "residual": "first"}


def with_widths(genotype: StagedGenotype, widths: Mapping[str, int]) -> StagedGenotype:
    """Blocks with the widths of the operators named after them; depthwise convolutions and
    shortcuts have none of their own.

    Raises:
        ValueError: an identity shortcut between widths that differ.
    """

    def slimmed(name: str, block: Block) -> Block:
        width = widths.get(f"{name}_{_WIDTH[block.kind]}", block.width)
        hidden = block.hidden
        if hidden is not None:
            hidden = widths.get(f"{name}_{_HIDDEN[block.kind]}", hidden)
        return replace(block, width=width, hidden=hidden)

    stages = tuple(
        tuple(slimmed(f"stage{i}_block{j}", block) for j, block in enumerate(stage))
        for i, stage in enumerate(genotype.stages)
    )
    return replace(genotype, stages=stages)
