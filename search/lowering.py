"""What is a lowered network? Operators in execution order, one description behind costs, torch
module and export, so that the three cannot drift apart; and the walk that appends them, which
every space's own lowering uses. Imports neither torch nor tensorflow.

Each operator names its inputs by the names of earlier operators; shapes are (height, width,
channels) for feature maps, (time, 1, channels) where there is one axis only, and (features,) after
Flatten, without the batch dimension. Windows and strides are (height, width).

Padding is TensorFlow's: "valid" has none and sizes floor; "same" has ceil(size / stride) positions
and, where the zeros cannot be shared evenly, one more at the bottom and at the right.
"""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]
Window = tuple[int, int]

PADDINGS = ("valid", "same")


@dataclass(frozen=True)
class Input:
    name: str
    output_shape: Shape
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conv2D:
    """A convolution with bias; then batch normalisation and ReLU where asked for."""

    name: str
    inputs: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape
    kernel: Window
    stride: Window
    batch_norm: bool
    relu: bool
    padding: str = "valid"


@dataclass(frozen=True)
class DepthwiseConv2D:
    """As Conv2D, one filter a channel (multiplier 1)."""

    name: str
    inputs: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape
    kernel: Window
    stride: Window
    batch_norm: bool
    relu: bool
    padding: str = "valid"


@dataclass(frozen=True)
class Pool2D:
    """Window = stride = `size`, without padding; `kind` is "max" or "average"."""

    name: str
    inputs: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape
    kind: str
    size: Window


@dataclass(frozen=True)
class Pad:
    """Zeros at the bottom and at the right, up to output_shape."""

    name: str
    inputs: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape


@dataclass(frozen=True)
class Add:
    """Elementwise sum of exactly two equal shapes, then ReLU where asked for."""

    name: str
    inputs: tuple[str, ...]
    output_shape: Shape
    relu: bool = False


@dataclass(frozen=True)
class Flatten:
    """Row-major (height, width, channels) -> (features,)."""

    name: str
    inputs: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape


@dataclass(frozen=True)
class Dense:
    name: str
    inputs: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape
    relu: bool


Op = Input | Conv2D | DepthwiseConv2D | Pool2D | Pad | Add | Flatten | Dense


def padding_of(op: Conv2D | DepthwiseConv2D) -> tuple[int, int, int, int]:
    """Rows of zeros above and below, columns left and right (tensorflow/core/framework/
    common_shape_fns.cc, GetWindowedOutputSizeVerbose)."""
    if op.padding == "valid":
        return 0, 0, 0, 0
    margins = []
    for axis in (0, 1):
        positions = op.output_shape[axis]
        covered = (positions - 1) * op.stride[axis] + op.kernel[axis]
        total = max(covered - op.input_shape[axis], 0)
        margins += [total // 2, total - total // 2]
    above, below, left, right = margins
    return above, below, left, right


class Walk:
    """Appends operators in execution order, from the Input on; every method returns the operator
    whose output it leaves off at.

    Raises:
        ValueError: input_shape is not three positive sizes, or fewer than two classes.
    """

    def __init__(self, input_shape: Shape, classes: int) -> None:
        if len(input_shape) != 3 or min(input_shape) < 1:
            raise ValueError(f"input shape must be (height, width, channels), got {input_shape!r}")
        if classes < 2:
            raise ValueError(f"a classifier needs at least 2 classes, got {classes}")
        self.ops: list[Op] = []
        self.image = self.append(Input("input", tuple(input_shape)))
        self.classes = classes

    def append(self, op: Op) -> Op:
        self.ops.append(op)
        return op

    def conv(
        self,
        name: str,
        x: Op,
        filters: int,
        kernel: Window = (1, 1),
        stride: Window = (1, 1),
        *,
        batch_norm: bool,
        relu: bool,
        padding: str = "valid",
    ) -> Op:
        kernel, shape = _convolved(x.output_shape, filters, kernel, stride, padding)
        return self.append(
            Conv2D(
                name, (x.name,), x.output_shape, shape, kernel, stride, batch_norm, relu, padding
            )
        )

    def depthwise(
        self,
        name: str,
        x: Op,
        kernel: Window,
        stride: Window = (1, 1),
        *,
        batch_norm: bool,
        relu: bool,
        padding: str = "valid",
    ) -> Op:
        channels = x.output_shape[2]
        kernel, shape = _convolved(x.output_shape, channels, kernel, stride, padding)
        return self.append(
            DepthwiseConv2D(
                name, (x.name,), x.output_shape, shape, kernel, stride, batch_norm, relu, padding
            )
        )

    def pool(self, name: str, x: Op, kind: str, size: Window) -> Op:
        """Clamped to the map; left out where it would be 1x1."""
        height, width, channels = x.output_shape
        size = (min(size[0], height), min(size[1], width))
        if size == (1, 1):
            return x
        shape = (height // size[0], width // size[1], channels)
        return self.append(Pool2D(name, (x.name,), x.output_shape, shape, kind, size))

    def add(self, name: str, x: Op, y: Op, *, relu: bool = False) -> Op:
        return self.append(Add(name, (x.name, y.name), x.output_shape, relu))

    def flatten(self, name: str, x: Op) -> Op:
        height, width, channels = x.output_shape
        return self.append(Flatten(name, (x.name,), x.output_shape, (height * width * channels,)))

    def dense(self, name: str, x: Op, units: int, *, relu: bool) -> Op:
        return self.append(Dense(name, (x.name,), x.output_shape, (units,), relu))

    def finish(self, x: Op) -> tuple[Op, ...]:
        """The classifier on top of flat features: `classes` logits, no ReLU."""
        self.dense("classifier", x, self.classes, relu=False)
        return tuple(self.ops)


def _convolved(
    shape: Shape, filters: int, kernel: Window, stride: Window, padding: str
) -> tuple[Window, Shape]:
    """The kernel that the map has room for, so that every genotype lowers for every input, and the
    output's shape. "valid" clamps to the map, "same" to 2 * size - 1: taps further out than that
    only ever meet zeros."""
    height, width, _ = shape
    if padding == "valid":
        kernel = (min(kernel[0], height), min(kernel[1], width))
        size = [(shape[axis] - kernel[axis]) // stride[axis] + 1 for axis in (0, 1)]
    else:
        kernel = (min(kernel[0], 2 * height - 1), min(kernel[1], 2 * width - 1))
        size = [-(-shape[axis] // stride[axis]) for axis in (0, 1)]
    return kernel, (*size, filters)
