"""What operators does a genotype of the µNAS space mean? The semantics are those of µNAS (arXiv
2010.14246 and its published sources: eliberis/uNAS): VALID padding, sizes floor.
"""

from __future__ import annotations

from collections.abc import Sequence

from search.lowering import Op, Pad, Shape, Walk
from search.spaces.munas.genotype import ConvBlock, ConvLayer, MunasGenotype


def lower(genotype: MunasGenotype, input_shape: Shape, classes: int) -> tuple[Op, ...]:
    """The operators of a genotype, from the Input to the classifier (Dense, no ReLU, `classes`
    logits).

    A kernel or pooling window larger than its feature map is clamped to it, kernels to the map's
    smaller side; a pooling that would be 1x1 is left out. The outputs of a series block and of the
    branches joined to it are brought to one size (max pooling by the rounded ratio to the
    smallest, then zero padding to the largest) and added up in pairs.

    Args:
        input_shape: (height, width, channels) of one image.
        classes: outputs of the classifier.

    Raises:
        ValueError: as search.lowering.Walk.
    """
    walk = _MunasWalk(input_shape, classes)
    entry = walk.image
    pending: list[Op] = [entry]  # to be joined before the next series block
    for index, block in enumerate(genotype.blocks):
        name = f"block{index}"
        if block.branch:
            width = pending[0].output_shape[2]
            pending.append(walk.branch(name, entry, block, width))
        else:
            entry = walk.join(name, pending)
            pending = [walk.series(name, entry, block.layers)]
    x = walk.join("head", pending)
    if genotype.pooling is not None:
        size = genotype.pooling.size
        x = walk.pool("head_pool", x, genotype.pooling.kind, (size, size))
    x = walk.flatten("flatten", x)
    for index, units in enumerate(genotype.dense):
        x = walk.dense(f"dense{index}", x, units, relu=True)
    return walk.finish(x)


class _MunasWalk(Walk):
    def series(self, name: str, x: Op, layers: Sequence[ConvLayer]) -> Op:
        for index, layer in enumerate(layers):
            x = self.layer(f"{name}_layer{index}", x, layer, layer.filters)
        return x

    def branch(self, name: str, x: Op, block: ConvBlock, width: int) -> Op:
        x = self.series(name, x, block.layers[:-1])
        last = block.layers[-1]
        x = self.layer(f"{name}_layer{len(block.layers) - 1}", x, last, width)
        if last.kind == "depthwise":  # cannot change the channels by itself
            x = self.conv(f"{name}_match", x, width, batch_norm=False, relu=False)
        return x

    def layer(self, name: str, x: Op, layer: ConvLayer, filters: int | None) -> Op:
        if layer.pre_pool:
            x = self.pool(f"{name}_pool", x, "max", (2, 2))
        height, width, _ = x.output_shape
        side, step = min(layer.kernel or 1, height, width), layer.stride or 1
        kernel, stride = (side, side), (step, step)
        batch_norm, relu = layer.batch_norm, layer.relu
        if layer.kind == "depthwise":
            return self.depthwise(name, x, kernel, stride, batch_norm=batch_norm, relu=relu)
        assert filters is not None  # ConvBlock demands them wherever they matter
        return self.conv(name, x, filters, kernel, stride, batch_norm=batch_norm, relu=relu)

    def join(self, name: str, outputs: Sequence[Op]) -> Op:
        """The sum of `outputs`, which agree in channels but not in size."""
        if len(outputs) == 1:
            return outputs[0]
        smallest = [min(x.output_shape[axis] for x in outputs) for axis in (0, 1)]
        pooled = []
        for index, x in enumerate(outputs):
            ratio = (
                round(x.output_shape[0] / smallest[0]),
                round(x.output_shape[1] / smallest[1]),
            )
            pooled.append(self.pool(f"{name}_shrink{index}", x, "max", ratio))
        largest = [max(x.output_shape[axis] for x in pooled) for axis in (0, 1)]
        padded = []
        for index, x in enumerate(pooled):
            shape = (largest[0], largest[1], x.output_shape[2])
            if x.output_shape != shape:
                x = self.append(
                    Pad(f"{name}_pad{index}", (x.name,), x.output_shape, output_shape=shape)
                )
            padded.append(x)
        total = padded[0]
        for index, x in enumerate(padded[1:], start=1):
            total = self.add(f"{name}_add{index}", total, x)
        return total
