"""How many networks does a description hold? A sum over the widths that stages may hand on."""

from __future__ import annotations

from collections import defaultdict

from search.spaces.staged.description import Description, Stage
from search.spaces.staged.draft import fits


def count(description: Description) -> int:
    """Genotypes that can be drawn and differ, and so their archids.

    Every choice of a draft stands in its genotype, but for a skip where there is nothing to add:
    the first block of a stage can add its input only if that is as wide as its output. So ways are
    counted by the width that they end in.
    """
    ways: dict[int | None, int] = {None: 1}  # width behind the stages so far -> networks
    for stage in description.stages:
        after: dict[int | None, int] = defaultdict(int)
        for repeat in stage.repeats:
            if not repeat:
                for width, number in ways.items():
                    after[width] += number
            elif stage.is_dense:
                after[None] += sum(ways.values()) * len(stage.widths) ** repeat
            else:
                later = _variants(stage, can_add=True) ** (repeat - 1)
                plain = _first_variants(stage, adds=False) * later * sum(ways.values())
                added = _first_variants(stage, adds=True) * later
                for width in stage.widths:
                    after[width] += plain + added * ways.get(width, 0)
        ways = after
    return sum(ways.values()) * len(description.poolings)


def _variants(stage: Stage, *, can_add: bool) -> int:
    """Blocks of one width and stride."""
    skips = len(stage.skips) if can_add and stage.kind != "residual" else 1
    return len(stage.kernels) * len(stage.expansions) * skips


def _first_variants(stage: Stage, *, adds: bool) -> int:
    """First blocks of one width behind any other width; with `adds`, how many more of them there
    are behind the same width."""
    total = 0
    for stride in stage.strides:
        alone = _variants(stage, can_add=False)
        total += _variants(stage, can_add=fits(stride, 1, 1)) - alone if adds else alone
    return total * len(stage.pools)
