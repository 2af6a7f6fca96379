"""What is a candidate? A plain, frozen value with one canonical JSON and one hash. Every value
that can be built lies in the µNAS space (arXiv 2010.14246). Must not know how it is lowered,
trained or measured, nor import any framework.

A field that cannot matter is None and absent from the JSON, so that equal networks share an
archid: a pointwise layer has no kernel and no stride, a depthwise layer has no filters, and
neither has the last layer of a branch, because the branch produces the channels of the block it
is joined to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from search.genotype import CanonicalGenotype
from search.spaces.reading import (
    Place,
    check_absent,
    check_flag,
    check_one_of,
    check_within,
    read_list,
    read_table,
)

KINDS = ("conv", "pointwise", "depthwise")
KERNELS = (3, 5, 7)
STRIDES = (1, 2)
POOLING_KINDS = ("average", "max")
POOLING_SIZES = (2, 4, 6)
FILTERS = range(1, 129)
UNITS = range(10, 257)
BLOCKS = range(1, 11)
LAYERS = range(1, 4)
DENSE_BLOCKS = range(1, 4)


@dataclass(frozen=True)
class ConvLayer:
    """One convolution: a 2x2 max pooling before it where `pre_pool`, batch normalisation and ReLU
    after it where asked for. kind "conv" has kernel, filters and stride; "pointwise" (1x1) has
    filters; "depthwise" has kernel and stride. `filters` is None at the end of a branch, too.

    Raises:
        ValueError: a field out of range, missing, or present where it means nothing.
    """

    kind: str
    kernel: int | None = None
    filters: int | None = None
    stride: int | None = None
    pre_pool: bool = False
    batch_norm: bool = False
    relu: bool = True

    def __post_init__(self) -> None:
        check_one_of("layer kind", self.kind, KINDS)
        if self.kind == "pointwise":
            check_absent("pointwise kernel", self.kernel)
            check_absent("pointwise stride", self.stride)
        else:
            check_one_of("kernel", self.kernel, KERNELS)
            check_one_of("stride", self.stride, STRIDES)
        if self.kind == "depthwise":
            check_absent("depthwise filters", self.filters)
        elif self.filters is not None:
            check_within("filters", self.filters, FILTERS)
        for name in ("pre_pool", "batch_norm", "relu"):
            check_flag(name, getattr(self, name))


@dataclass(frozen=True)
class ConvBlock:
    """1-3 layers in a row. A `branch` starts from the input of the last series block before it and
    is added to that block's output; otherwise the block follows in series.

    Raises:
        ValueError: too few or too many layers, or filters missing or superfluous.
    """

    branch: bool
    layers: tuple[ConvLayer, ...]

    def __post_init__(self) -> None:
        check_flag("branch", self.branch)
        check_within("number of layers of a block", len(self.layers), LAYERS)
        for index, layer in enumerate(self.layers):
            if layer.kind == "depthwise":
                continue
            if self.branch and index == len(self.layers) - 1:
                check_absent("filters of a branch's last layer", layer.filters)
            elif layer.filters is None:
                raise ValueError(f"layer {index} has no filters")


@dataclass(frozen=True)
class Pooling:
    """Final pooling; window = stride = `size`, clamped to the feature map when lowered."""

    kind: str
    size: int

    def __post_init__(self) -> None:
        check_one_of("pooling kind", self.kind, POOLING_KINDS)
        check_one_of("pooling size", self.size, POOLING_SIZES)


@dataclass(frozen=True)
class MunasGenotype(CanonicalGenotype):
    """A network of the space, without input shape and number of classes. `dense` holds the units
    of the dense blocks before the classifier.

    Raises:
        ValueError: outside the space.
    """

    blocks: tuple[ConvBlock, ...]
    pooling: Pooling | None
    dense: tuple[int, ...]

    def __post_init__(self) -> None:
        check_within("number of blocks", len(self.blocks), BLOCKS)
        if self.blocks[0].branch:
            raise ValueError("the first block is a branch, but has nothing to be joined to")
        check_within("number of dense blocks", len(self.dense), DENSE_BLOCKS)
        for units in self.dense:
            check_within("units", units, UNITS)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict; absent fields are not in it."""
        pooling = self.pooling
        return {
            "blocks": [
                {"branch": block.branch, "layers": [_present(layer) for layer in block.layers]}
                for block in self.blocks
            ],
            "pooling": None if pooling is None else {"kind": pooling.kind, "size": pooling.size},
            "dense": list(self.dense),
        }

    @classmethod
    def from_json(cls, table: Any) -> MunasGenotype:
        """The inverse of to_json.

        Raises:
            ValueError: a key is unknown or missing, or a value out of range; says where.
        """
        table = read_table(table, "genotype", ("blocks", "pooling", "dense"))
        blocks = []
        for number, entry in enumerate(read_list(table["blocks"], "blocks")):
            where = f"block {number}"
            entry = read_table(entry, where, ("branch", "layers"))
            layers = [
                _layer(layer, f"{where}, layer {index}")
                for index, layer in enumerate(read_list(entry["layers"], f"{where}: layers"))
            ]
            with Place(where):
                blocks.append(ConvBlock(entry["branch"], tuple(layers)))
        pooling = None
        if table["pooling"] is not None:
            entry = read_table(table["pooling"], "pooling", ("kind", "size"))
            pooling = Pooling(entry["kind"], entry["size"])
        return cls(tuple(blocks), pooling, tuple(read_list(table["dense"], "dense")))

    def layers(self) -> Iterator[tuple[int, int, ConvLayer]]:
        """(block index, layer index, layer) in order."""
        for i, block in enumerate(self.blocks):
            for j, layer in enumerate(block.layers):
                yield i, j, layer


def joined_width(blocks: Sequence[ConvBlock], index: int) -> int | None:
    """Channels of the series block that block `index` would be joined to as a branch; None where
    those are the image's own channels, which a genotype does not know."""
    width = None
    for block in blocks[:index]:
        if not block.branch:
            for layer in block.layers:
                width = layer.filters if layer.filters is not None else width
    return width


def arrange(branch: bool, layers: Sequence[ConvLayer], width: int | None) -> ConvBlock:
    """A valid block of these layers: filters are dropped where a branch's end does without, and
    are `width` (1 where it is unknown) for a layer that has none but now needs them."""
    arranged = []
    for index, layer in enumerate(layers):
        if layer.kind != "depthwise":
            if branch and index == len(layers) - 1:
                layer = replace(layer, filters=None)
            elif layer.filters is None:
                layer = replace(layer, filters=width or FILTERS[0])
        arranged.append(layer)
    return ConvBlock(branch, tuple(arranged))


def _present(layer: ConvLayer) -> dict[str, Any]:
    return {name: value for name, value in vars(layer).items() if value is not None}


_FLAGS = ("pre_pool", "batch_norm", "relu")


def _layer(entry: Any, where: str) -> ConvLayer:
    entry = read_table(entry, where, ("kind", *_FLAGS), optional=("kernel", "filters", "stride"))
    for name, value in entry.items():
        if value is None:
            raise ValueError(f"{where}: {name} is null; leave it out instead")
    with Place(where):
        return ConvLayer(**entry)
