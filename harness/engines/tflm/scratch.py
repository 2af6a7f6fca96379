"""Which scratch buffers does an operator ask TFLite Micro for? Bytes of each request, in the order
in which its kernel's Prepare makes them; reference kernels and CMSIS-NN's on a Cortex-M4 differ.

The sizes are those of upstream's tensorflow/lite/micro/kernels and of CMSIS-NN's
arm_*_get_buffer_size functions with the DSP extension and without MVE, compiled by GCC.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from harness.tflite import Conv2D, DepthwiseConv2D, Graph, Operator, TransposeConv


class Kernels(Enum):
    """Which kernels a TFLite Micro library was built with; the value is upstream's name."""

    REFERENCE = "reference"
    CMSIS_NN = "cmsis_nn"


Requests = tuple[int, ...]


def scratch_requests(graph: Graph, operator: Operator, kernels: Kernels) -> Requests:
    """Bytes of each scratch buffer of `operator`, which is one of the file's."""
    choose = _CMSIS_NN.get(operator.op) if kernels is Kernels.CMSIS_NN else None
    choose = choose or _REFERENCE.get(operator.op)
    return () if choose is None else choose(graph, operator)


def _some(bytes_: int) -> Requests:
    """CMSIS-NN's kernels ask for nothing where they need nothing."""
    return (bytes_,) if bytes_ else ()


# kernels/reduce_common.cc: two lists of int32, and the sums where there are any.
def _extremum(graph: Graph, operator: Operator) -> Requests:
    source, axes = (graph.tensor(index) for index in operator.inputs)
    return (4 * len(source.shape), 4 * axes.elements)


def _sum(graph: Graph, operator: Operator) -> Requests:
    source, output = graph.tensor(operator.inputs[0]), graph.tensor(operator.outputs[0])
    sums = (4 * output.elements,) if source.dtype in ("int8", "int16") else ()
    return (*sums, *_extremum(graph, operator))


def _mirror_pad(graph: Graph, operator: Operator) -> Requests:
    rank = len(graph.tensor(operator.inputs[0]).shape)
    return (4 * rank, 4 * rank)


def _svdf(graph: Graph, operator: Operator) -> Requests:
    filters = graph.tensor(operator.inputs[1]).shape[0]
    batch, units = graph.tensor(operator.outputs[0]).shape
    return (4 * batch * filters, 4 * batch * units)


def _lstm_buffers(count: int) -> Callable[[Graph, Operator], Requests]:
    def choose(graph: Graph, operator: Operator) -> Requests:
        state = graph.tensor(operator.inputs[19])  # the cell's, [batch][units]
        return (state.bytes,) * count

    return choose


def _transpose_conv(graph: Graph, operator: Operator) -> Requests:
    """Sums of the whole output; two axes of int16."""
    output = graph.tensor(operator.outputs[0])
    return (output.elements * (8 if output.dtype == "int16" else 4),)


_REFERENCE: dict[str, Callable[[Graph, Operator], Requests]] = {
    "MEAN": _sum,
    "MIRROR_PAD": _mirror_pad,
    "REDUCE_MAX": _extremum,
    "REDUCE_MIN": _extremum,
    "SUM": _sum,
    "SVDF": _svdf,
    "TRANSPOSE_CONV": _transpose_conv,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm_buffers(4),
}


def _im2col_s8(taps: int) -> int:
    """arm_convolve_s8: two columns of int16, padded to four elements."""
    return 2 * 2 * (-(-taps // 4) * 4)


def _cmsis_nn_conv_2d(graph: Graph, operator: Operator) -> Requests:
    options = operator.options
    assert isinstance(options, Conv2D)
    source, weights = (graph.tensor(index) for index in operator.inputs[:2])
    _, height, width, _ = weights.shape
    taps = height * width * source.shape[3]
    if source.dtype == "int16":
        return (2 * 2 * taps,)
    pointwise = (height, width) == (1, 1) and options.pads == (0, 0)
    if pointwise and options.dilation == (1, 1):
        return ()
    return (_im2col_s8(taps),)


def _cmsis_nn_depthwise_conv_2d(graph: Graph, operator: Operator) -> Requests:
    options = operator.options
    assert isinstance(options, DepthwiseConv2D)
    source, weights = (graph.tensor(index) for index in operator.inputs[:2])
    _, height, width, channels = weights.shape
    plain = (source.shape[0], source.shape[3]) == (1, channels) and options.dilation == (1, 1)
    own_loop = (height, width) == (3, 3) and max(options.pads) <= 1
    if source.dtype != "int8" or not plain or own_loop:
        return ()
    return (2 * height * width * channels,)


def _cmsis_nn_fully_connected(graph: Graph, operator: Operator) -> Requests:
    """As a pointwise convolution, for which one scale becomes one a channel."""
    source, weights = (graph.tensor(index) for index in operator.inputs[:2])
    output = graph.tensor(operator.outputs[0])
    convolves = len(output.shape) > 2 and weights.shape[-1] % 4 == 0
    if source.dtype != "int8" or not convolves or len(weights.q.scales) > 1:
        return ()
    return (2 * 4 * output.shape[-1],)


def _cmsis_nn_average_pool_2d(graph: Graph, operator: Operator) -> Requests:
    source = graph.tensor(operator.inputs[0])
    return () if source.dtype == "float32" else (4 * source.shape[3],)


_REVERSED_FROM = 16  # input channels, REVERSE_TCOL_EFFICIENT_THRESHOLD


def _cmsis_nn_transpose_conv(graph: Graph, operator: Operator) -> Requests:
    """Sums of the lines that a line of the input reaches; or the filters reversed, and what a
    convolution needs."""
    options = operator.options
    assert isinstance(options, TransposeConv)
    weights, source = (graph.tensor(index) for index in operator.inputs[1:3])
    if source.dtype == "int16":
        return _transpose_conv(graph, operator)
    filters, height, width, channels = weights.shape
    rows, columns = options.stride
    taps = height * width * channels
    if max(options.stride) <= 2 and channels > _REVERSED_FROM:
        return (_im2col_s8(taps), taps * filters)
    line = ((source.shape[2] - 1) * columns + max(width, rows)) * filters
    return (4 * line * max(height, rows), 0)


_CMSIS_NN: dict[str, Callable[[Graph, Operator], Requests]] = {
    "AVERAGE_POOL_2D": _cmsis_nn_average_pool_2d,
    "CONV_2D": _cmsis_nn_conv_2d,
    "DEPTHWISE_CONV_2D": _cmsis_nn_depthwise_conv_2d,
    "FULLY_CONNECTED": _cmsis_nn_fully_connected,
    "TRANSPOSE_CONV": _cmsis_nn_transpose_conv,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm_buffers(3),
}
