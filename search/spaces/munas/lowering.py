"""What operators does a genotype of the µNAS space mean? The semantics are those of µNAS (arXiv
2010.14246 and its published sources: eliberis/uNAS): VALID padding, sizes floor.
"""

from __future__ import annotations

from collections.abc import Sequence

from search.lowering import (
    Add,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Input,
    Op,
    Pad,
    Pool2D,
    Shape,
)
from search.spaces.munas.genotype import ConvBlock, ConvLayer, MunasGenotype


def lower(genotype: MunasGenotype, input_shape: Shape, classes: int) -> tuple[Op, ...]:
    """The operators of a genotype, from the Input to the classifier (Dense, no ReLU, `classes`
    logits).

    A kernel or pooling window larger than its feature map is clamped to it, so that every genotype
    lowers for every input; a pooling that would be 1x1 is left out. The outputs of a series block
    and of the branches joined to it are brought to one size (max pooling by the rounded ratio to
    the smallest, then zero padding to the largest) and added up in pairs.

    Args:
        input_shape: (height, width, channels) of one image.
        classes: outputs of the classifier.

    Raises:
        ValueError: input_shape is not three positive sizes, or fewer than two classes.
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ValueError(f"input shape must be (height, width, channels), got {input_shape!r}")
    if classes < 2:
        raise ValueError(f"a classifier needs at least 2 classes, got {classes}")
    walk = _Walk()
    entry = image = walk.append(Input("input", tuple(input_shape)))
    pending: list[Op] = [image]  # to be joined before the next series block
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
    walk.dense("classifier", x, classes, relu=False)
    return tuple(walk.ops)


class _Walk:
    """Appends operators in execution order; every method returns the operator whose output it
    leaves off at."""

    def __init__(self) -> None:
        self.ops: list[Op] = []

    def append(self, op: Op) -> Op:
        self.ops.append(op)
        return op

    def series(self, name: str, x: Op, layers: Sequence[ConvLayer]) -> Op:
        for index, layer in enumerate(layers):
            x = self.layer(f"{name}_layer{index}", x, layer, layer.filters)
        return x

    def branch(self, name: str, x: Op, block: ConvBlock, width: int) -> Op:
        x = self.series(name, x, block.layers[:-1])
        last = block.layers[-1]
        x = self.layer(f"{name}_layer{len(block.layers) - 1}", x, last, width)
        if last.kind == "depthwise":  # cannot change the channels by itself
            x = self.conv(f"{name}_match", x, width, 1, 1, batch_norm=False, relu=False)
        return x

    def layer(self, name: str, x: Op, layer: ConvLayer, filters: int | None) -> Op:
        if layer.pre_pool:
            x = self.pool(f"{name}_pool", x, "max", (2, 2))
        height, width, channels = x.output_shape
        kernel = min(layer.kernel or 1, height, width)
        stride = layer.stride or 1
        if layer.kind == "depthwise":
            size = (_slide(height, kernel, stride), _slide(width, kernel, stride), channels)
            return self.append(
                DepthwiseConv2D(
                    name,
                    (x.name,),
                    x.output_shape,
                    size,
                    kernel,
                    stride,
                    layer.batch_norm,
                    layer.relu,
                )
            )
        assert filters is not None  # ConvBlock demands them wherever they matter
        return self.conv(
            name, x, filters, kernel, stride, batch_norm=layer.batch_norm, relu=layer.relu
        )

    def conv(
        self,
        name: str,
        x: Op,
        filters: int,
        kernel: int,
        stride: int,
        *,
        batch_norm: bool,
        relu: bool,
    ) -> Op:
        height, width, _ = x.output_shape
        size = (_slide(height, kernel, stride), _slide(width, kernel, stride), filters)
        return self.append(
            Conv2D(name, (x.name,), x.output_shape, size, kernel, stride, batch_norm, relu)
        )

    def pool(self, name: str, x: Op, kind: str, size: tuple[int, int]) -> Op:
        height, width, channels = x.output_shape
        size = (min(size[0], height), min(size[1], width))
        if size == (1, 1):
            return x
        shape = (height // size[0], width // size[1], channels)
        return self.append(Pool2D(name, (x.name,), x.output_shape, shape, kind, size))

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
            total = self.append(
                Add(f"{name}_add{index}", (total.name, x.name), total.output_shape)
            )
        return total

    def flatten(self, name: str, x: Op) -> Op:
        height, width, channels = x.output_shape
        return self.append(Flatten(name, (x.name,), x.output_shape, (height * width * channels,)))

    def dense(self, name: str, x: Op, units: int, *, relu: bool) -> Op:
        return self.append(Dense(name, (x.name,), x.output_shape, (units,), relu))


def _slide(size: int, kernel: int, stride: int) -> int:
    """Positions of a window under VALID padding; at least 1 where kernel <= size."""
    return (size - kernel) // stride + 1
