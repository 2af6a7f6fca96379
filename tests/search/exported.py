"""What an exported model says of itself, for comparison with what arithmetic says."""

from __future__ import annotations

from harness.tflite import Graph, read_graph


def read(model: bytes) -> Graph:
    return read_graph(model, where="a test")


def structure(graph: Graph) -> list[tuple]:
    """Operators with the shapes, types and numbers of scales of all their tensors, and their
    options: all that decides cycles and bytes."""
    return [
        (
            operator.op,
            operator.options,
            [
                (t.shape, t.dtype, None if t.quantisation is None else len(t.quantisation.scales))
                for t in (graph.tensors[i] for i in (*operator.inputs, *operator.outputs))
            ],
        )
        for operator in graph.operators
    ]


def macs(graph: Graph) -> int:
    return sum(graph.macs(operator) for operator in graph.operators)


def weight_bytes(graph: Graph) -> int:
    """Of int8 weights and int32 biases; shapes and margins of other operators do not count."""
    return sum(
        graph.tensor(index).bytes
        for operator in graph.operators
        if operator.op in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
        for index in operator.inputs[1:]
    )
