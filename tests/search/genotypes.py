"""Hypothesis strategies for genotypes, and short ways to write one down."""

from __future__ import annotations

from hypothesis import strategies as st

from search.spaces.munas.genotype import (
    KERNELS,
    KINDS,
    POOLING_KINDS,
    POOLING_SIZES,
    STRIDES,
    ConvBlock,
    ConvLayer,
    MunasGenotype,
    Pooling,
    arrange,
)


def conv(filters: int | None = 4, kernel: int = 3, stride: int = 1, **flags: bool) -> ConvLayer:
    return ConvLayer("conv", kernel, filters, stride, **flags)


def pointwise(filters: int | None = 4, **flags: bool) -> ConvLayer:
    return ConvLayer("pointwise", filters=filters, **flags)


def depthwise(kernel: int = 3, stride: int = 1, **flags: bool) -> ConvLayer:
    return ConvLayer("depthwise", kernel, stride=stride, **flags)


def series(*layers: ConvLayer) -> ConvBlock:
    return ConvBlock(False, layers)


def branch(*layers: ConvLayer) -> ConvBlock:
    return ConvBlock(True, layers)


def network(
    *blocks: ConvBlock, pooling: Pooling | None = None, dense: tuple[int, ...] = (10,)
) -> MunasGenotype:
    return MunasGenotype(blocks, pooling, dense)


@st.composite
def layers(draw: st.DrawFn) -> ConvLayer:
    kind = draw(st.sampled_from(KINDS))
    return ConvLayer(
        kind,
        None if kind == "pointwise" else draw(st.sampled_from(KERNELS)),
        None if kind == "depthwise" else draw(st.integers(1, 128)),
        None if kind == "pointwise" else draw(st.sampled_from(STRIDES)),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()),
    )


@st.composite
def genotypes(draw: st.DrawFn) -> MunasGenotype:
    """Any genotype of the space."""
    blocks = [
        arrange(
            index > 0 and draw(st.booleans()),
            draw(st.lists(layers(), min_size=1, max_size=3)),
            draw(st.integers(1, 128)),
        )
        for index in range(draw(st.integers(1, 10)))
    ]
    pooling = draw(
        st.none()
        | st.builds(Pooling, st.sampled_from(POOLING_KINDS), st.sampled_from(POOLING_SIZES))
    )
    dense = draw(st.lists(st.integers(10, 256), min_size=1, max_size=3))
    return MunasGenotype(tuple(blocks), pooling, tuple(dense))
