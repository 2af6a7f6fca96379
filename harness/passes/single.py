"""Which kernel convolves a single input channel? With one channel a depthwise convolution and a
convolution are the same sums, and only the layout of the weights tells them apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.passes.rewriting import Rewriting
from harness.tflite import Conv2D, DepthwiseConv2D, Graph, Operator

# depthwise_conv_2d_3x3_s8 and _3x3_stride_2_s8 are two to six times as fast as conv_2d_s8. Of
# others the one copies the input once and walks it once a filter, at a loss where
# it skips some, and the other gathers a window for each output and uses it for all filters.
_FAST_WINDOW, _FAST_STRIDES = (3, 3), ((1, 1), (2, 2))
_FEW_FILTERS = 32  # on an L4R5: 5x5 windows take 3.27 k and 3.57 k cycles a pixel


def as_convolutions(graph: Graph) -> Graph:
    """`graph` without depthwise convolutions of one channel: a filter of a convolution can go."""
    return _chosen(graph, Conv2D)


def as_depthwise(graph: Graph) -> Graph:
    """`graph` with depthwise convolutions where they are the fast ones."""
    return _chosen(graph, DepthwiseConv2D)


def _chosen(graph: Graph, kind: type[Conv2D | DepthwiseConv2D]) -> Graph:
    rewriting = Rewriting(graph)
    return rewriting.finish(
        _turned(rewriting, graph, operator)
        if _of_one_channel(graph, operator)
        and not isinstance(operator.options, kind)
        and (kind is Conv2D or _is_fast(graph, operator))
        else operator
        for operator in graph.operators
    )


def _of_one_channel(graph: Graph, operator: Operator) -> bool:
    source = graph.tensor(operator.inputs[0])
    return (
        isinstance(operator.options, Conv2D | DepthwiseConv2D)
        and source.shape[3] == 1
        and source.dtype == "int8"
    )


def _is_fast(graph: Graph, operator: Operator) -> bool:
    options = operator.options
    assert isinstance(options, Conv2D | DepthwiseConv2D)
    if options.dilation != (1, 1):
        return False
    if graph.tensor(operator.inputs[1]).shape[1:3] == _FAST_WINDOW:
        return options.stride in _FAST_STRIDES
    filters = graph.tensor(operator.outputs[0]).shape[3]
    return options.stride == (1, 1) and filters <= _FEW_FILTERS


def _turned(rewriting: Rewriting, graph: Graph, operator: Operator) -> Operator:
    """The same convolution as the other kind: filters first, or last."""
    options, weights = operator.options, graph.tensor(operator.inputs[1])
    assert isinstance(options, Conv2D | DepthwiseConv2D) and weights.data is not None
    common = options.pads, options.stride, options.dilation, options.activation
    data = np.ascontiguousarray(weights.data.transpose(3, 1, 2, 0))
    turned: Conv2D | DepthwiseConv2D
    if isinstance(options, Conv2D):
        op, turned, axis = "DEPTHWISE_CONV_2D", DepthwiseConv2D(*common, data.shape[3]), 3
    else:
        op, turned, axis = "CONV_2D", Conv2D(*common), 0
    quantisation = replace(weights.q, axis=axis if len(weights.q.scales) > 1 else 0)
    index = rewriting.constant(data, quantisation, name=weights.name)
    inputs = (operator.inputs[0], index, *operator.inputs[2:])
    return replace(operator, op=op, inputs=inputs, options=turned)
