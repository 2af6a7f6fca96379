"""What is a network of stages? Its blocks one by one, each with all that is needed to lower it:
the file it was drawn by is not needed any more, and every width can be slimmed by itself. Must
not know which values a space allows.

A field that means nothing for a kind of block is None and absent from the JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from search.genotype import CanonicalGenotype
from search.lowering import PADDINGS, Window
from search.spaces.reading import (
    Place,
    check_absent,
    check_one_of,
    check_positive,
    read_list,
    read_table,
)

KINDS = ("conv", "separable", "inverted_residual", "residual", "dense")
SHORTCUTS = ("none", "identity", "projection")
POOLING_KINDS = ("average", "max")

ONE: Window = (1, 1)


@dataclass(frozen=True)
class Block:
    """`width` channels or units come out of it. Batch normalisation follows every convolution.

    conv: one convolution, ReLU.
    separable: a depthwise convolution, ReLU; a pointwise one, ReLU.
    inverted_residual: pointwise to `hidden` channels, ReLU, unless hidden is None; depthwise,
        ReLU; pointwise to `width` (MobileNetV2, arXiv 1801.04381).
    residual: a convolution to `hidden` channels, ReLU; another one to `width`; the shortcut is
        added; ReLU (ResNet, arXiv 1512.03385).
    dense: fully connected, ReLU; it has no field but its width.

    kernel, stride, padding: of the convolution that has a window; a residual block's second one
    has the same kernel and stride 1. pool: window and stride of a max pooling before the block,
    None without. shortcut: what of the block's input, behind that pooling, is added to its
    output: nothing, itself, or a pointwise convolution of it.

    Raises:
        ValueError: a field missing, out of range, or present where it means nothing.
    """

    kind: str
    width: int
    kernel: Window | None = None
    stride: Window | None = None
    padding: str | None = None
    shortcut: str | None = None
    hidden: int | None = None
    pool: Window | None = None

    def __post_init__(self) -> None:
        check_one_of("block kind", self.kind, KINDS)
        check_positive("width", self.width)
        if self.kind == "dense":
            for name in ("kernel", "stride", "padding", "shortcut", "hidden", "pool"):
                check_absent(f"{name} of a dense block", getattr(self, name))
            return
        _check_window("kernel", self.kernel)
        _check_window("stride", self.stride)
        check_one_of("padding", self.padding, PADDINGS)
        if self.pool is not None:
            _check_window("pool", self.pool)
            if self.pool == ONE:
                raise ValueError("a pool of 1x1 means nothing and must be left out")
        is_residual = self.kind == "residual"
        check_one_of("shortcut", self.shortcut, SHORTCUTS[1:] if is_residual else SHORTCUTS[:2])
        if self.shortcut != "none" and self.padding != "same" and self.kernel != ONE:
            raise ValueError('a shortcut needs padding "same"')
        if self.shortcut == "identity" and self.stride != ONE:
            raise ValueError("an identity shortcut needs stride 1")
        if is_residual or (self.kind == "inverted_residual" and self.hidden is not None):
            check_positive("hidden", self.hidden)
        else:
            check_absent(f"hidden of a {self.kind} block", self.hidden)

    def to_json(self) -> dict[str, Any]:
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if value is not None
        }


@dataclass(frozen=True)
class StagedGenotype(CanonicalGenotype):
    """A network without input shape and number of classes: stages of blocks, which may be empty;
    `pooling` over all of the last map, where not None; then the dense blocks.

    Raises:
        ValueError: a convolution behind a dense block, or an identity shortcut between widths that
            differ.
    """

    stages: tuple[tuple[Block, ...], ...]
    pooling: str | None

    def __post_init__(self) -> None:
        if self.pooling is not None:
            check_one_of("pooling", self.pooling, POOLING_KINDS)
        width: int | None = None
        is_flat = False
        for i, j, block in self.blocks():
            where = f"stage {i}, block {j}"
            if is_flat and block.kind != "dense":
                raise ValueError(f"{where}: a {block.kind} block cannot follow a dense one")
            is_flat = block.kind == "dense"
            if block.shortcut == "identity" and block.width != width:
                got = "an image's" if width is None else width
                raise ValueError(
                    f"{where}: its shortcut adds {got} channels to {block.width}; the widths "
                    "must agree"
                )
            width = block.width

    def blocks(self) -> Iterator[tuple[int, int, Block]]:
        """(stage, place in the stage, block) in order."""
        for i, stage in enumerate(self.stages):
            for j, block in enumerate(stage):
                yield i, j, block

    def to_json(self) -> dict[str, Any]:
        stages = [[block.to_json() for block in stage] for stage in self.stages]
        return {"stages": stages, "pooling": self.pooling}

    @classmethod
    def from_json(cls, table: Any) -> StagedGenotype:
        """The inverse of to_json.

        Raises:
            ValueError: a key is unknown or missing, or a value out of range; says where.
        """
        table = read_table(table, "genotype", ("stages", "pooling"))
        stages = tuple(
            tuple(
                _block(entry, f"stage {i}, block {j}")
                for j, entry in enumerate(read_list(stage, f"stage {i}"))
            )
            for i, stage in enumerate(read_list(table["stages"], "stages"))
        )
        return cls(stages, table["pooling"])


_OPTIONAL = ("kernel", "stride", "padding", "shortcut", "hidden", "pool")


def _block(entry: Any, where: str) -> Block:
    entry = dict(read_table(entry, where, ("kind", "width"), optional=_OPTIONAL))
    for name, value in entry.items():
        if value is None:
            raise ValueError(f"{where}: {name} is null; leave it out instead")
        if name in ("kernel", "stride", "pool"):
            entry[name] = tuple(read_list(value, f"{where}: {name}"))
    with Place(where):
        return Block(**entry)


def _check_window(name: str, window: Sequence[Any] | None) -> None:
    if window is None or len(window) != 2:
        raise ValueError(f"{name} must be height and width, got {window!r}")
    for size in window:
        check_positive(name, size)
