"""Which channels of an operator's inputs and outputs live and die together? An operator that works
channel by channel links each of its input's channels to those it becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.passes.intervals import channels_of
from harness.tflite import Axis, DepthwiseConv2D, Graph, Operator, Reduction
from harness.tflite.graph import Array


@dataclass(frozen=True)
class Link:
    """Channel channels[i] of `tensor` is channel other_channels[i] of the tensor `other`."""

    tensor: int
    channels: Array
    other: int
    other_channels: Array


def links_of(graph: Graph, operator: Operator) -> list[Link] | None:
    """None where the operator mixes channels, or nobody knows."""
    find = _LINKS.get(operator.op)
    return None if find is None else find(graph, operator)


def _link(graph: Graph, one: int, other: int) -> Link:
    """Channels in the same place, modulo the number of the tensor that has fewer."""
    a, b = channels_of(graph.tensor(one)), channels_of(graph.tensor(other))
    places = np.arange(max(a, b))
    return Link(one, places % a, other, places % b)


def _of_one(graph: Graph, operator: Operator) -> list[Link]:
    return [_link(graph, operator.inputs[0], operator.outputs[0])]


def _of_two(graph: Graph, operator: Operator) -> list[Link] | None:
    shapes = {graph.tensor(index).shape for index in (*operator.inputs, *operator.outputs)}
    if len(shapes) > 1:
        return None
    return [_link(graph, index, operator.outputs[0]) for index in operator.inputs]


def _depthwise(graph: Graph, operator: Operator) -> list[Link]:
    options, output = operator.options, operator.outputs[0]
    assert isinstance(options, DepthwiseConv2D)
    made = np.arange(channels_of(graph.tensor(output)))
    return [Link(operator.inputs[0], made // options.multiplier, output, made)]


def _reduction(graph: Graph, operator: Operator) -> list[Link] | None:
    source, output = graph.tensor(operator.inputs[0]), graph.tensor(operator.outputs[0])
    options = operator.options
    assert isinstance(options, Reduction)
    if len(source.shape) - 1 in options.axes:
        return None
    return _of_one(graph, operator) if channels_of(source) == channels_of(output) else None


def _pad(graph: Graph, operator: Operator) -> list[Link] | None:
    paddings = graph.tensor(operator.inputs[1]).data
    assert paddings is not None
    return _of_one(graph, operator) if len(paddings) and not paddings[-1].any() else None


def _reshape(graph: Graph, operator: Operator) -> list[Link] | None:
    sizes = [channels_of(graph.tensor(i)) for i in (operator.inputs[0], operator.outputs[0])]
    return None if max(sizes) % min(sizes) else _of_one(graph, operator)


def _join(graph: Graph, operator: Operator) -> list[Link] | None:
    return _parts(graph, operator, operator.inputs, operator.outputs[0])


def _split(graph: Graph, operator: Operator) -> list[Link] | None:
    whole = operator.inputs[1 if operator.op == "SPLIT" else 0]
    return _parts(graph, operator, operator.outputs, whole)


def _parts(
    graph: Graph, operator: Operator, parts: tuple[int, ...], whole: int
) -> list[Link] | None:
    options = operator.options
    assert isinstance(options, Axis)
    if options.axis < len(graph.tensor(whole).shape) - 1:
        return [_link(graph, part, whole) for part in parts]
    links: list[Link] = []
    at = 0
    for part in parts:
        places = np.arange(channels_of(graph.tensor(part)))
        links.append(Link(part, places, whole, places + at))
        at += len(places)
    return links


_LINKS: dict[str, Callable[[Graph, Operator], list[Link] | None]] = {
    "ABS": _of_one,
    "ADD": _of_two,
    "AVERAGE_POOL_2D": _of_one,
    "CONCATENATION": _join,
    "DEPTHWISE_CONV_2D": _depthwise,
    "EXPAND_DIMS": _reshape,
    "HARD_SWISH": _of_one,
    "LEAKY_RELU": _of_one,
    "LOGISTIC": _of_one,
    "MAX_POOL_2D": _of_one,
    "MEAN": _reduction,
    "MIRROR_PAD": _pad,
    "MUL": _of_two,
    "PAD": _pad,
    "PADV2": _pad,
    "QUANTIZE": _of_one,
    "REDUCE_MAX": _reduction,
    "REDUCE_MIN": _reduction,
    "RELU": _of_one,
    "RELU6": _of_one,
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _of_one,
    "RESIZE_NEAREST_NEIGHBOR": _of_one,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "SQUEEZE": _reshape,
    "SUB": _of_two,
    "SUM": _reduction,
    "TANH": _of_one,
}
