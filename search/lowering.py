"""What operators does a genotype mean? One walk, used for costs, for the torch module and for the
export alike, so that the three cannot drift apart. Imports neither torch nor tensorflow.

A lowered network is a tuple of operators in execution order. Each names its inputs by the names of
earlier operators; shapes are (height, width, channels) for feature maps and (features,) after
Flatten, without the batch dimension. Convolutions and poolings use VALID padding, sizes floor.
The semantics are those of µNAS (arXiv 2010.14246 and its published
sources: eliberis/uNAS).
"""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Input:
    name: str
    output_shape: Shape
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conv2D:
    """Square kernel, VALID padding; then batch normalisation and ReLU where asked for."""

    name: str
    inputs: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape
    kernel: int
    stride: int
    batch_norm: bool
    relu: bool


@dataclass(frozen=True)
class DepthwiseConv2D:
    """As Conv2D, one filter a channel (multiplier 1)."""

    name: str
    inputs: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape
    kernel: int
    stride: int
    batch_norm: bool
    relu: bool


@dataclass(frozen=True)
class Pool2D:
    """Window = stride = `size` (height, width); `kind` is "max" or "average"."""

    name: str
    inputs: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape
    kind: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Pad:
    """Zeros at the bottom and at the right, up to output_shape."""

    name: str
    inputs: tuple[str, ...]
    input_shape: Shape
    output_shape: Shape


@dataclass(frozen=True)
class Add:
    """Elementwise sum of exactly two equal shapes."""

    name: str
    inputs: tuple[str, ...]
    output_shape: Shape


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
