"""Which filters make the same value whatever the input? They get zero weights and the bias that
makes this value, so that nothing is left that reads through them."""

from __future__ import annotations

import numpy as np

from harness.passes.intervals import Intervals, accumulators
from harness.passes.rewriting import FILTERING, Rewriting
from harness.tflite import Graph, Operator

_INT32_MIN, _INT32_MAX = -(1 << 31), (1 << 31) - 1


def settle_constants(graph: Graph, found: Intervals) -> Graph:
    """`graph` with the filters of constant channels zero, its intervals being `found`."""
    rewriting = Rewriting(graph)
    return rewriting.finish(
        _settled(rewriting, graph, operator, found) if operator.op in FILTERING else operator
        for operator in graph.operators
    )


def _settled(rewriting: Rewriting, graph: Graph, operator: Operator, found: Intervals) -> Operator:
    if operator.outputs[0] not in found:
        return operator
    weights = graph.tensor(operator.inputs[1])
    assert weights.data is not None
    axis = 3 if operator.op == "DEPTHWISE_CONV_2D" else 0
    others = tuple(i for i in range(len(weights.shape)) if i != axis)
    chosen = found[operator.outputs[0]].constant & weights.data.any(axis=others)
    if not chosen.any():
        return operator
    least, _ = accumulators(graph, operator, found)
    # Every sum makes the value, the least one too. Where sums leave int32 it is the only one that
    # the clamp lets through, and any sum makes it.
    least = np.where((least >= _INT32_MIN) & (least <= _INT32_MAX), least, 0)
    bias = graph.optional(operator, 2)
    old = 0 if bias is None or bias.data is None else bias.data.astype(np.int64).ravel()
    data = weights.data.copy()
    data[(slice(None),) * axis + (chosen,)] = 0
    return rewriting.filters(operator, data, np.where(chosen, least, old), weights.q)
