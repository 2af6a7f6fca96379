"""What does the kernel that runs an operator do to memory? Its scratch memory, and which inputs
its output may overwrite, as firmware/kernels promise it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from harness.options import Optimise
from harness.tflite import Conv2D, DepthwiseConv2D, Graph, Operator


@dataclass(frozen=True)
class Kernel:
    """scratch_bytes: memory that it may use while it runs. inplace: positions of the inputs whose
    storage the output may take, where nothing reads them afterwards."""

    scratch_bytes: int = 0
    inplace: tuple[int, ...] = ()


def kernel_of(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    choose = _KERNELS.get(operator.op)
    return Kernel() if choose is None else choose(graph, operator, optimise)


def is_alias(graph: Graph, operator: Operator) -> bool:
    """The operator changes no byte: its output is its input."""
    return operator.op == "RESHAPE" and graph.tensor(operator.inputs[0]).data is None


def _conv_2d(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    options = operator.options
    assert isinstance(options, Conv2D)
    filters, height, width, channels = graph.tensor(operator.inputs[1]).shape
    output = graph.tensor(operator.outputs[0])
    pixels = output.shape[1] * output.shape[2]
    if (height, width) == (1, 1) and options.stride == (1, 1) and channels % 4 == 0:
        return Kernel(min(2, filters) * channels if pixels > 2 else 0)
    return Kernel(min(2, pixels) * _round_up(height * width * channels))


def _depthwise_conv_2d(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    options = operator.options
    assert isinstance(options, DepthwiseConv2D)
    source, output = graph.tensor(operator.inputs[0]), graph.tensor(operator.outputs[0])
    _, height, width, _ = graph.tensor(operator.inputs[1]).shape
    last = (output.shape[2] - 1) * options.stride[1]
    reach = (width - 1) * options.dilation[1] + 1
    stride = _round_up(last + _round_up(reach))
    rows = (output.shape[1] - 1) * options.stride[0] + (height - 1) * options.dilation[0] + 1
    shrinks = math.prod(output.shape[1:3]) <= math.prod(source.shape[1:3])
    return Kernel(stride * rows, (0,) if options.multiplier == 1 and shrinks else ())


def _fully_connected(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    depth = graph.tensor(operator.inputs[1]).shape[1]
    return Kernel(_round_up(depth) if depth % 4 else 0)


def _elementwise(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    return Kernel(inplace=tuple(range(len(operator.inputs))))


def _round_up(size: int) -> int:
    return -(-size // 4) * 4


_KERNELS: dict[str, Callable[[Graph, Operator, Optimise], Kernel]] = {
    "ABS": _elementwise,
    "ADD": _elementwise,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "HARD_SWISH": _elementwise,
    "LEAKY_RELU": _elementwise,
    "LOGISTIC": _elementwise,
    "QUANTIZE": _elementwise,
    "RELU": _elementwise,
    "RELU6": _elementwise,
    "SOFTMAX": _elementwise,
    "TANH": _elementwise,
}
