"""Which activation functions can the operator before them do? RELU and RELU6 that keep the
quantisation are clamps, and what comes before clamps anyway."""

from __future__ import annotations

from dataclasses import replace

from harness.passes.rewriting import readers_of
from harness.tflite import Conv2D, DepthwiseConv2D, FullyConnected, Graph, Operator, Pool2D
from harness.tflite.graph import Activation, Arithmetic

_CLAMPS = {"RELU": Activation.RELU, "RELU6": Activation.RELU6}
_ONE_BEHIND_ANOTHER = {
    (Activation.NONE, Activation.RELU): Activation.RELU,
    (Activation.NONE, Activation.RELU6): Activation.RELU6,
    (Activation.RELU, Activation.RELU): Activation.RELU,
    (Activation.RELU, Activation.RELU6): Activation.RELU6,
    (Activation.RELU6, Activation.RELU): Activation.RELU6,
    (Activation.RELU6, Activation.RELU6): Activation.RELU6,
}


def merge_clamps(graph: Graph) -> Graph:
    """`graph` without the clamps that are the only readers of something that clamps by itself."""
    readers = readers_of(graph)
    operators: list[Operator] = []
    writers: dict[int, int] = {}  # tensor with one reader -> place of its writer in `operators`
    for operator in graph.operators:
        place = writers.get(operator.inputs[0])
        merged = None if place is None else _clamping(graph, operators[place], operator)
        if place is None or merged is None:
            place, merged = len(operators), operator
            operators.append(operator)
        operators[place] = merged
        if len(readers.get(merged.outputs[0], ())) == 1:
            writers[merged.outputs[0]] = place
    if len(operators) == len(graph.operators):
        return graph
    return replace(graph, operators=tuple(operators))


def _clamping(graph: Graph, writer: Operator, clamp: Operator) -> Operator | None:
    """`writer` with the activation that `clamp` is, where one says both."""
    between, output = graph.tensor(clamp.inputs[0]), graph.tensor(clamp.outputs[0])
    options = writer.options
    if (
        clamp.op not in _CLAMPS
        or not isinstance(options, Conv2D | DepthwiseConv2D | FullyConnected | Pool2D | Arithmetic)
        or between.quantisation != output.quantisation
    ):
        return None
    both = _ONE_BEHIND_ANOTHER.get((options.activation, _CLAMPS[clamp.op]))
    if both is None:
        return None
    return replace(writer, outputs=clamp.outputs, options=replace(options, activation=both))
