"""What is a graph without some of its channels? The filters that make them and the weights that
read them are taken out; what stays computes the same numbers bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.passes.channels import Kept, find_kept
from harness.passes.intervals import Intervals
from harness.passes.rewriting import Rewriting
from harness.tflite import Graph, Operator, Quantisation, Tensor
from harness.tflite.graph import Array


def remove_channels(graph: Graph, found: Intervals) -> Graph:
    """`graph` without the channels that no output depends on, its intervals being `found`."""
    kept = find_kept(graph, found)
    if all(mask.all() for mask in kept.values()):
        return graph
    rewriting = Rewriting(graph)
    for index, mask in kept.items():
        if not mask.all():
            tensor = graph.tensor(index)
            rewriting.tensors[index] = replace(tensor, shape=(*tensor.shape[:-1], int(mask.sum())))
    return rewriting.finish(
        _REMOVALS[operator.op](rewriting, graph, operator, found, kept)
        if operator.op in _REMOVALS and _touched(operator, kept)
        else operator
        for operator in graph.operators
    )


def _touched(operator: Operator, kept: Kept) -> bool:
    ends = (operator.inputs[0], operator.outputs[0])
    return any(index in kept and not kept[index].all() for index in ends)


def _biases(graph: Graph, operator: Operator, channels: int) -> Array:
    bias = graph.optional(operator, 2)
    if bias is None or bias.data is None:
        return np.zeros(channels, np.int64)
    wide: Array = bias.data.astype(np.int64).ravel()
    return wide


def _offsets(source: Tensor, found: Intervals) -> Array:
    """What each channel's constant adds to a sum, for a weight of one."""
    interval, zero_point = found[source.index], source.q.zero_point
    offsets: Array = np.where(interval.constant, interval.low - zero_point, 0)
    return offsets


def _sliced(quantisation: Quantisation, mask: Array) -> Quantisation:
    if len(quantisation.scales) == 1:
        return quantisation
    return replace(
        quantisation,
        scales=tuple(np.array(quantisation.scales)[mask].tolist()),
        zero_points=tuple(np.array(quantisation.zero_points)[mask].tolist()),
    )


def _remove_from_conv_2d(
    rewriting: Rewriting, graph: Graph, operator: Operator, found: Intervals, kept: Kept
) -> Operator:
    source, weights = graph.tensor(operator.inputs[0]), graph.tensor(operator.inputs[1])
    assert weights.data is not None
    read, made = kept[source.index], kept[operator.outputs[0]]
    sums = weights.data.sum(axis=(1, 2), dtype=np.int64)
    bias = _biases(graph, operator, len(made)) + sums[:, ~read] @ _offsets(source, found)[~read]
    data = np.ascontiguousarray(weights.data[made][..., read])
    return rewriting.filters(operator, data, bias[made], _sliced(weights.q, made))


def _remove_from_depthwise_conv_2d(
    rewriting: Rewriting, graph: Graph, operator: Operator, found: Intervals, kept: Kept
) -> Operator:
    weights, made = graph.tensor(operator.inputs[1]), kept[operator.outputs[0]]
    assert weights.data is not None
    bias = _biases(graph, operator, len(made))
    data = np.ascontiguousarray(weights.data[..., made])
    return rewriting.filters(operator, data, bias[made], _sliced(weights.q, made))


def _remove_from_fully_connected(
    rewriting: Rewriting, graph: Graph, operator: Operator, found: Intervals, kept: Kept
) -> Operator:
    source, weights = graph.tensor(operator.inputs[0]), graph.tensor(operator.inputs[1])
    assert weights.data is not None
    made = kept[operator.outputs[0]]
    read = np.resize(kept[source.index], weights.shape[1])
    offsets = np.resize(_offsets(source, found), weights.shape[1])
    bias = _biases(graph, operator, len(made)) + (
        weights.data[:, ~read].astype(np.int64) @ offsets[~read]
    )
    data = np.ascontiguousarray(weights.data[made][:, read])
    return rewriting.filters(operator, data, bias[made], _sliced(weights.q, made))


_REMOVALS = {
    "CONV_2D": _remove_from_conv_2d,
    "DEPTHWISE_CONV_2D": _remove_from_depthwise_conv_2d,
    "FULLY_CONNECTED": _remove_from_fully_connected,
}
