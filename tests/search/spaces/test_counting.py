"""A count is the number of archids of a space that is written out in full."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest

from search.config import SpaceChoice
from search.spaces.munas.genotype import (
    KERNELS,
    POOLING_KINDS,
    POOLING_SIZES,
    STRIDES,
    ConvBlock,
    ConvLayer,
    MunasGenotype,
    Pooling,
)
from search.spaces.munas.space import Munas
from search.spaces.staged import counting
from search.spaces.staged.description import Stage, read_description
from search.spaces.staged.draft import BlockDraft, Draft, StageDraft, expand
from search.spaces.staged.genotype import StagedGenotype
from tests.search.spaces.spaces import NAMES, TINY, description, shipped, tiny


def staged_networks(name: str) -> Iterator[StagedGenotype]:
    """Every choice of every key of a tiny space, with repetitions where a choice does not
    matter."""
    space = description(name)
    for stages in product(*(list(stage_drafts(stage)) for stage in space.stages)):
        for pooling in space.poolings:
            yield expand(Draft(stages, pooling), space)


def stage_drafts(stage: Stage) -> Iterator[StageDraft]:
    for count in stage.repeats:
        width_choices = (
            product(stage.widths, repeat=count)
            if stage.is_dense
            else ((width,) * count for width in stage.widths)
        )
        for widths in width_choices:
            fields = product(stage.kernels, stage.expansions, stage.skips)
            for blocks in product(list(fields), repeat=count):
                drafts = tuple(
                    BlockDraft(width, kernel, Fraction(expansion), skip)
                    for width, (kernel, expansion, skip) in zip(widths, blocks, strict=True)
                )
                for stride, pool in product(stage.strides, stage.pools):
                    yield StageDraft(stride, pool, drafts) if drafts else EMPTY


SPACES_PAGE = Path(__file__).resolve().parents[3] / "docs" / "spaces.md"

EMPTY = StageDraft((1, 1), (1, 1), ())


@pytest.mark.parametrize("name", TINY)
def test_a_file_space_counts_its_archids(name: str) -> None:
    space = tiny(name)
    networks = {genotype.archid: genotype for genotype in staged_networks(name)}

    assert space.count() == len(networks)
    assert all(space.contains(genotype) for genotype in networks.values())


Flags = tuple[bool, bool, bool]  # pre_pool, batch_norm, relu
EVERY_FLAG: tuple[Flags, ...] = tuple(product((False, True), repeat=3))


def munas_networks(
    caps: SpaceChoice, flags: Sequence[Flags] = EVERY_FLAG
) -> Iterator[MunasGenotype]:
    widths = range(1, caps.max_filters + 1)
    lengths = range(1, caps.max_layers + 1)

    def layers(filters: list[int | None]) -> list[ConvLayer]:
        windows = list(product(KERNELS, STRIDES))
        plain = [("conv", k, f, s) for (k, s), f in product(windows, filters)]
        plain += [("pointwise", None, f, None) for f in filters]
        plain += [("depthwise", k, None, s) for k, s in windows]
        return [ConvLayer(*fields, *flag) for fields, flag in product(plain, flags)]

    inner, ends = layers(list(widths)), layers([None])
    series = [
        ConvBlock(False, block) for length in lengths for block in product(inner, repeat=length)
    ]
    branches = [
        ConvBlock(True, (*body, end))
        for length in lengths
        for body in product(inner, repeat=length - 1)
        for end in ends
    ]
    poolings = [None, *(Pooling(*one) for one in product(POOLING_KINDS, POOLING_SIZES))]
    units = range(10, caps.max_units + 1)
    dense = [d for n in range(1, caps.max_dense_blocks + 1) for d in product(units, repeat=n)]
    for count in range(caps.max_blocks):
        for first, *rest in product(series, *[series + branches] * count):
            for pooling, widths_of_dense in product(poolings, dense):
                yield MunasGenotype((first, *rest), pooling, widths_of_dense)


@pytest.mark.parametrize(
    "caps",
    [
        SpaceChoice(1, 1, 1, 1, 10),
        SpaceChoice(1, 1, 3, 2, 11),
        SpaceChoice(1, 2, 1, 1, 10),
        SpaceChoice(2, 1, 1, 1, 10),
    ],
    ids=["one", "widths", "layers", "branches"],
)
def test_munas_counts_its_archids(caps: SpaceChoice, monkeypatch: pytest.MonkeyPatch) -> None:
    if caps.max_blocks * caps.max_layers > 1:  # 3 windows fewer leave thousands, not 100,000s
        for place in (f"{__name__}", "search.spaces.munas.counting"):
            monkeypatch.setattr(f"{place}.KERNELS", (3,))
            monkeypatch.setattr(f"{place}.STRIDES", (2,))
            monkeypatch.setattr(f"{place}.POOLING_SIZES", (4,))

    archids = {genotype.archid for genotype in munas_networks(caps)}

    assert Munas(caps).count() == len(archids)


def test_the_counts_that_the_documentation_tells() -> None:
    page = SPACES_PAGE.read_text()
    (example,) = re.findall(r"```toml\n(\[\[stage\]\].*?)```", page, re.DOTALL)

    assert f"That is {counting.count(read_description(tomllib.loads(example))):,} networks" in page
    for name in NAMES:
        assert f"{shipped(name).count():.2e}".replace("e+", "e") in page, name
