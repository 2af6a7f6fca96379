"""Which PADs can convolutions do themselves? Those of rows and columns with the zero point, which
is what a convolution takes to lie around its input. What pads a map costs a copy of it."""

from __future__ import annotations

from dataclasses import replace

from harness.passes.intervals import pad_value
from harness.passes.rewriting import readers_of
from harness.tflite import Conv2D, DepthwiseConv2D, Graph, Operator


def merge_paddings(graph: Graph) -> Graph:
    """`graph` without the PADs whose readers are all convolutions that can pad as much."""
    readers = readers_of(graph)
    merged: dict[int, Operator] = {}
    gone: set[int] = set()
    for pad in graph.operators:
        if pad.op not in ("PAD", "PADV2") or pad.outputs[0] not in readers:
            continue
        changed = [_padding(graph, pad, reader) for reader in readers[pad.outputs[0]]]
        if all(operator is not None for operator in changed):
            merged |= {operator.index: operator for operator in changed if operator is not None}
            gone.add(pad.index)
    if not gone:
        return graph
    kept = (merged.get(operator.index, operator) for operator in graph.operators)
    return replace(graph, operators=tuple(o for o in kept if o.index not in gone))


def _padding(graph: Graph, pad: Operator, reader: Operator) -> Operator | None:
    """`reader` with the padding of `pad` added to its own, where it can be."""
    source, framed = graph.tensor(pad.inputs[0]), graph.tensor(pad.outputs[0])
    paddings, options = graph.tensor(pad.inputs[1]).data, reader.options
    if (
        not isinstance(options, Conv2D | DepthwiseConv2D)
        or paddings is None
        or len(paddings) != 4
        or paddings[0].any()
        or paddings[3].any()
        or source.data is not None
        or source.quantisation != framed.quantisation
        or pad_value(graph, pad) != framed.q.zero_point
    ):
        return None
    pads = (options.pads[0] + int(paddings[1, 0]), options.pads[1] + int(paddings[2, 0]))
    windows = zip(
        pads,
        options.dilation,
        options.stride,
        graph.tensor(reader.inputs[1]).shape[1:3],
        graph.tensor(reader.outputs[0]).shape[1:3],
        source.shape[1:3],
        strict=True,
    )
    # Kernels take every window to meet the map at least at its edge.
    for before, dilation, stride, span, count, size in windows:
        if before > (span - 1) * dilation or (count - 1) * stride - before >= size:
            return None
    inputs = (source.index, *reader.inputs[1:])
    return replace(reader, inputs=inputs, options=replace(options, pads=pads))
