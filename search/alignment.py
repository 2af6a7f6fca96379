"""Which operator of a parent has a child's become? Networks one morphism apart have nearly the
same operators, but names shift where a block comes or goes. Must not know what is done with the
answer, nor import torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from search.channels import Weighted, filter_shape
from search.lowering import Op, Shape

# Of two fits that are equally good, the one that keeps names.
_NAME = 0.01


def align(child: Sequence[Op], parent: Sequence[Op]) -> dict[str, str]:
    """The parent's operator for each weighted operator of the child that has one: of its kind, no
    two the same, in the same order, the classifier for the classifier; such that the shares of
    weights that overlap add up to the most (Needleman and Wunsch, J. Mol. Biol. 48, 1970)."""
    columns, rows = (
        [(op.name, filter_shape(ops, op.name)) for op in ops[:-1] if isinstance(op, Weighted)]
        for ops in (child, parent)
    )
    kinds = {op.name: type(op) for op in child}, {op.name: type(op) for op in parent}
    # best[i][j]: the greatest sum over the child's operators from i on and the parent's from j on.
    best = [[0.0] * (len(rows) + 1) for _ in range(len(columns) + 1)]
    gain = [[0.0] * len(rows) for _ in columns]
    for i in reversed(range(len(columns))):
        for j in reversed(range(len(rows))):
            (name, shape), (other, other_shape) = columns[i], rows[j]
            if kinds[0][name] is kinds[1][other]:
                gain[i][j] = _overlap(shape, other_shape) + _NAME * (name == other)
            together = gain[i][j] + best[i + 1][j + 1]
            best[i][j] = max(together, best[i + 1][j], best[i][j + 1])
    found = {}
    i = j = 0
    while i < len(columns) and j < len(rows):
        if gain[i][j] and best[i][j] == gain[i][j] + best[i + 1][j + 1]:
            found[columns[i][0]] = rows[j][0]
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return found | {child[-1].name: parent[-1].name}


def _overlap(one: Shape, other: Shape) -> float:
    """0..1: the weights that both have, as a share of the smallest shape that holds both."""
    share = 1.0
    for a, b in zip(one, other, strict=True):
        share *= min(a, b) / max(a, b)
    return share
