"""Does a network of stages belong to a space, slimmed or not? It has the stages, the kinds of
blocks and the choices of the description, and any widths.
"""

from __future__ import annotations

from search.spaces.reading import Place
from search.spaces.staged.description import Description, Stage
from search.spaces.staged.genotype import ONE, Block, StagedGenotype


def check_member(genotype: StagedGenotype, description: Description) -> None:
    """
    Raises:
        ValueError: a number of stages or blocks, or a field, that the description does not allow;
            says where.
    """
    if len(genotype.stages) != len(description.stages):
        raise ValueError(
            f"the space has {len(description.stages)} stages, the genotype {len(genotype.stages)}"
        )
    if genotype.pooling not in description.poolings:
        raise ValueError(f"pooling {genotype.pooling!r} is not in the space")
    for i, (blocks, stage) in enumerate(zip(genotype.stages, description.stages, strict=True)):
        if len(blocks) not in stage.repeats:
            raise ValueError(f"stage {i}: {len(blocks)} blocks are not in the space")
        for j, block in enumerate(blocks):
            with Place(f"stage {i}, block {j}"):
                _check_block(block, stage, is_first=j == 0)


def _check_block(block: Block, stage: Stage, *, is_first: bool) -> None:
    if block.kind != stage.kind:
        raise ValueError(f"kind {block.kind!r} is not that of the stage, {stage.kind!r}")
    if stage.is_dense:
        return
    strides, pools = (stage.strides, stage.pools) if is_first else ((ONE,), (ONE,))
    for name, value, choices in (
        ("kernel", block.kernel, stage.kernels),
        ("stride", block.stride, strides),
        ("pool", block.pool or ONE, pools),
        ("padding", block.padding, (stage.padding,)),
    ):
        if value not in choices:
            raise ValueError(f"{name} {value!r} is not in the space, expected one of {choices}")
    if block.shortcut == "identity" and stage.kind != "residual" and True not in stage.skips:
        raise ValueError("an identity shortcut is not in the space")
    if stage.kind == "inverted_residual" and block.hidden is None and 1 not in stage.expansions:
        raise ValueError("a block without expansion is not in the space")
