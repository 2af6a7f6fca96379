"""Has a slimmed genotype exactly the widths that were asked for? Checks by lowering, for every
space alike, that no operator is unknown and that coupled widths agree. Must not know which
operators are to be slimmed, nor why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from search.genotype import Genotype
from search.lowering import Conv2D, Dense, DepthwiseConv2D, Op, Shape

G = TypeVar("G", bound=Genotype)
Lower = Callable[[G, Shape, int], tuple[Op, ...]]

# Widths depend on neither size nor classes; some are the image's channels.
_PROBES: tuple[Shape, Shape] = ((32, 32, 1), (32, 32, 2))
_CLASSES = 2


def slim(
    genotype: G,
    widths: Mapping[str, int],
    apply: Callable[[G, Mapping[str, int]], G],
    lower: Lower[G],
) -> G:
    """apply(genotype, widths), checked; `apply` need not look at what has no width of its own.

    Raises:
        ValueError: as search.space.Space.slim.
    """
    grey, other = (_widths(lower(genotype, shape, _CLASSES)) for shape in _PROBES)
    *_, classifier = grey
    for name, width in widths.items():
        if name not in grey:
            raise ValueError(f"{name}: no weighted operator of that name")
        if type(width) is not int or width < 1:
            raise ValueError(f"{name}: a width must be at least 1, got {width!r}")
        if name == classifier:
            raise ValueError(f"{name}: its width is the number of classes")
        if grey[name] != other[name]:
            raise ValueError(f"{name}: its channels are the image's and cannot be slimmed")
    slimmed = apply(genotype, widths)
    found = _widths(lower(slimmed, _PROBES[0], _CLASSES))
    for name, width in widths.items():
        if found[name] != width:
            raise ValueError(
                f"{name}: its width would be {found[name]} instead of {width}, because it is "
                "coupled with another operator's by an addition or a depthwise convolution"
            )
    return slimmed


def _widths(ops: tuple[Op, ...]) -> dict[str, int]:
    return {
        op.name: op.output_shape[-1]
        for op in ops
        if isinstance(op, Conv2D | DepthwiseConv2D | Dense)
    }
