"""Which operators change no byte? They become RESHAPEs, which cost nothing: the planner lays what
they make over what they read."""

from __future__ import annotations

from dataclasses import replace

from harness.codegen.arithmetic import activation_range
from harness.passes.intervals import Intervals
from harness.tflite import Graph, Operator, Pool2D, Transpose
from harness.tflite.graph import Activation

_CLAMPS = {
    "QUANTIZE": Activation.NONE,
    "RELU": Activation.RELU,
    "RELU6": Activation.RELU6,
}


def find_aliases(graph: Graph, found: Intervals) -> Graph:
    """`graph` with RESHAPEs for whatever copies, its intervals being `found`."""
    return replace(
        graph,
        operators=tuple(
            replace(operator, op="RESHAPE", inputs=operator.inputs[:1], options=None)
            if _copies(graph, operator, found)
            else operator
            for operator in graph.operators
        ),
    )


def _copies(graph: Graph, operator: Operator, found: Intervals) -> bool:
    source, output = graph.tensor(operator.inputs[0]), graph.tensor(operator.outputs[0])
    if source.data is not None or source.index not in found or output.index not in found:
        return False
    if operator.op in ("PAD", "PADV2"):
        return source.elements == output.elements
    if operator.op == "TRANSPOSE":
        return _moves_nothing(graph, operator)
    activation = _CLAMPS.get(operator.op)
    if isinstance(operator.options, Pool2D) and operator.options.window == (1, 1):
        if operator.options.stride != (1, 1):
            return False
        activation = operator.options.activation
    elif source.quantisation != output.quantisation:
        return False
    if activation is None:
        return False
    where = f"operator {operator.index} ({operator.op})"
    low, high = activation_range(activation, output.q, where=where)
    interval = found[source.index]
    return bool(interval.low.min() >= low and interval.high.max() <= high)


def _moves_nothing(graph: Graph, operator: Operator) -> bool:
    """Axes of more than one element stay in their order."""
    assert isinstance(operator.options, Transpose)
    shape = graph.tensor(operator.inputs[0]).shape
    wide = [axis for axis in operator.options.order if shape[axis] > 1]
    return wide == sorted(wide)
