"""Which operators make nothing that anybody reads?"""

from __future__ import annotations

from dataclasses import replace

from harness.tflite import Graph, Operator


def drop_unread(graph: Graph) -> Graph:
    """`graph` without operators from whose results no path leads to an output."""
    wanted = set(graph.outputs)
    kept: list[Operator] = []
    for operator in reversed(graph.operators):
        if not wanted.isdisjoint(operator.outputs):
            wanted.update(operator.inputs)
            kept.append(operator)
    if len(kept) == len(graph.operators):
        return graph
    return replace(graph, operators=tuple(reversed(kept)))
