"""A graph while a pass changes it. Tensors keep their indices; new constants come behind them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from harness.tflite import Graph, Operator, Quantisation, Tensor
from harness.tflite.graph import Array

# Operators that multiply their first input by filters: weights at position 1, biases at 2.
FILTERING = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class Rewriting:
    """`graph`, to be changed; `tensors` by index."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.tensors = list(graph.tensors)

    def constant(self, data: Array, quantisation: Quantisation | None, *, name: str) -> int:
        """The index of a new tensor."""
        index = len(self.tensors)
        self.tensors.append(Tensor(index, name, data.shape, data.dtype.name, quantisation, data))
        return index

    def part(self, index: int, shape: tuple[int, ...]) -> int:
        """The index of a new tensor for a part of `index`: other sizes, the same channels."""
        whole = self.tensors[index]
        new = len(self.tensors)
        self.tensors.append(replace(whole, index=new, shape=(*shape, whole.shape[-1])))
        return new

    def filters(
        self, operator: Operator, weights: Array, bias: Array, quantisation: Quantisation
    ) -> Operator:
        """`operator` with other filters. bias: int64, taken as the int32 that it wraps to, as the
        kernels' accumulators do."""
        known = self._graph.optional(operator, 2)
        old = self._graph.tensor(operator.inputs[1])
        wrapped = bias.astype(np.uint64).astype(np.uint32).view(np.int32)
        position = (
            self.constant(weights, quantisation, name=old.name),
            self.constant(wrapped, None if known is None else known.quantisation, name=old.name),
        )
        return replace(operator, inputs=(operator.inputs[0], *position))

    def finish(self, operators: Iterable[Operator]) -> Graph:
        """The graph with `operators`, which are made before the tensors are taken."""
        made = tuple(operators)
        return replace(self._graph, tensors=tuple(self.tensors), operators=made)


def readers_of(graph: Graph) -> dict[int, list[Operator]]:
    """The operators that read each tensor; none for one that the outside reads, whose value must
    exist as it is."""
    found: dict[int, list[Operator]] = {}
    for operator in graph.operators:
        for index in dict.fromkeys(operator.inputs):
            found.setdefault(index, []).append(operator)
    for index in graph.outputs:
        found.pop(index, None)
    return found
