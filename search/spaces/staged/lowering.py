"""What operators does a network of stages mean? An operator is called after its stage, its block
and its part in it, so that slimming finds its way back.
"""

from __future__ import annotations

from search.lowering import Op, Shape, Walk
from search.spaces.staged.genotype import ONE, Block, StagedGenotype


def lower(genotype: StagedGenotype, input_shape: Shape, classes: int) -> tuple[Op, ...]:
    """The operators of a genotype, from the Input to the classifier. Windows larger than their map
    are clamped (search.lowering), so that every genotype lowers for every input.

    Raises:
        ValueError: as search.lowering.Walk.
    """
    walk = _StagedWalk(input_shape, classes)
    x = walk.image
    dense: list[tuple[str, int]] = []
    for i, j, block in genotype.blocks():
        name = f"stage{i}_block{j}"
        if block.kind == "dense":
            dense.append((f"{name}_dense", block.width))
        else:
            x = walk.block(name, x, block)
    if genotype.pooling is not None:
        height, width, _ = x.output_shape
        x = walk.pool("head_pool", x, genotype.pooling, (height, width))
    x = walk.flatten("flatten", x)
    for name, units in dense:
        x = walk.dense(name, x, units, relu=True)
    return walk.finish(x)


class _StagedWalk(Walk):
    def block(self, name: str, x: Op, block: Block) -> Op:
        if block.pool is not None:
            x = self.pool(f"{name}_pool", x, "max", block.pool)
        match block.kind:
            case "conv":
                y = self._window(f"{name}_conv", x, block, block.width)
            case "separable":
                y = self._depthwise(name, x, block)
                y = self._pointwise(f"{name}_pointwise", y, block.width)
            case "inverted_residual":
                y = (
                    x
                    if block.hidden is None
                    else self._pointwise(f"{name}_expand", x, block.hidden)
                )
                y = self._depthwise(name, y, block)
                y = self._pointwise(f"{name}_project", y, block.width, relu=False)
            case _:
                return self._residual(name, x, block)
        return self.add(f"{name}_add", x, y) if block.shortcut == "identity" else y

    def _residual(self, name: str, x: Op, block: Block) -> Op:
        kernel, stride = block.kernel or ONE, block.stride or ONE
        assert block.hidden is not None  # Block demands it
        y = self._window(f"{name}_first", x, block, block.hidden)
        y = self.conv(
            f"{name}_second", y, block.width, kernel, batch_norm=True, relu=False, padding="same"
        )
        if block.shortcut == "projection":
            x = self.conv(
                f"{name}_shortcut", x, block.width, stride=stride,
                batch_norm=True, relu=False, padding="same",
            )  # fmt: skip
        return self.add(f"{name}_add", x, y, relu=True)

    def _window(self, name: str, x: Op, block: Block, filters: int) -> Op:
        kernel, stride = block.kernel or ONE, block.stride or ONE
        padding = block.padding or "same"
        return self.conv(
            name, x, filters, kernel, stride, batch_norm=True, relu=True, padding=padding
        )

    def _depthwise(self, name: str, x: Op, block: Block) -> Op:
        kernel, stride = block.kernel or ONE, block.stride or ONE
        padding = block.padding or "same"
        return self.depthwise(
            f"{name}_depthwise", x, kernel, stride, batch_norm=True, relu=True, padding=padding
        )

    def _pointwise(self, name: str, x: Op, filters: int, *, relu: bool = True) -> Op:
        return self.conv(name, x, filters, batch_norm=True, relu=relu)
