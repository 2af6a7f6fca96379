"""What must convolutions look like?"""

from __future__ import annotations

import math

from harness.tflite.graph import (
    Conv2D,
    DepthwiseConv2D,
    Options,
    TransposeConv,
)
from harness.tflite.operators.node import (
    Check,
    Node,
    window_output,
)

_MOST_PHASES = 256  # of a transposed convolution; each has tables of its own


def _conv_2d(node: Node) -> Options:
    node.take(2, 3)
    source, weights = node.operand(0), node.operand(1)
    node.int8_or_int16(source, node.output)
    _, _, channels = node.feature_map(source)
    if len(weights.shape) != 4:
        raise node.malformed("weights have the wrong rank", 4, weights.shape)
    outputs, height, width, depth = weights.shape
    node.weights(weights, outputs, 0, 4)
    if depth != channels:
        if channels % depth == 0:
            raise node.unsupported(
                "is a grouped convolution", "use DEPTHWISE_CONV_2D or groups=1", channels, depth
            )
        raise node.malformed("weights do not match the input channels", channels, depth)
    int32_sums = node.bias(outputs)
    padding, stride, dilation = node.padding(), node.pair("stride"), node.pair("dilation")
    activation = node.activation()
    pads = node.windowed((height, width), stride, dilation, padding, outputs)
    return Conv2D(pads, stride, dilation, activation, int32_sums)


def _depthwise_conv_2d(node: Node) -> Options:
    node.take(2, 3)
    source, weights = node.operand(0), node.operand(1)
    node.int8_or_int16(source, node.output)
    _, _, channels = node.feature_map(source)
    if len(weights.shape) != 4 or weights.shape[0] != 1:
        raise node.malformed("weights have the wrong shape", "(1, h, w, channels)", weights.shape)
    _, height, width, outputs = weights.shape
    node.weights(weights, outputs, 3, 4)
    if outputs % channels:
        raise node.malformed("channels are no multiple of the input's", channels, outputs)
    node.bias(outputs)
    # TFLite derives the multiplier from the shapes when the option is 0.
    multiplier = int(node.options()["multiplier"]) or outputs // channels
    if multiplier != outputs // channels:
        raise node.malformed("depth multiplier is wrong", outputs // channels, multiplier)
    padding, stride, dilation = node.padding(), node.pair("stride"), node.pair("dilation")
    activation = node.activation()
    pads = node.windowed((height, width), stride, dilation, padding, outputs)
    return DepthwiseConv2D(pads, stride, dilation, activation, multiplier)


def _transpose_conv(node: Node) -> Options:
    node.take(3, 4)
    weights, source = node.operand(1), node.operand(2)
    node.int8(source, node.output)
    height, width, channels = node.feature_map(source)
    rows, columns, outputs = node.feature_map(node.output)
    wanted = tuple(node.constant(node.operand(0), "output shapes", "int32").ravel().tolist())
    node.shaped(*wanted)
    if len(weights.shape) != 4:
        raise node.malformed("weights have the wrong rank", 4, weights.shape)
    node.weights(weights, outputs, 0, 4)
    if weights.shape[0] != outputs or weights.shape[3] != channels:
        raise node.malformed(
            "weights do not match the tensors", f"({outputs}, h, w, {channels})", weights.shape
        )
    node.bias(outputs, 3)
    padding, stride = node.padding(), node.pair("stride")
    if math.prod(stride) > _MOST_PHASES:
        raise node.unsupported(
            "strides too far",
            "use a smaller stride",
            f"height times width <= {_MOST_PHASES}",
            f"{stride[0]}x{stride[1]}",
        )
    (needed_height, top), (needed_width, left) = (
        window_output(size, span, step, 1, padding)
        for size, span, step in zip((rows, columns), weights.shape[1:3], stride, strict=True)
    )
    if (needed_height, needed_width) != (height, width):
        raise node.malformed(
            "output size contradicts the input's",
            f"an input of {needed_height}x{needed_width}",
            f"{height}x{width}",
        )
    return TransposeConv((top, left), stride, node.activation())


CHECKS: dict[str, Check] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "TRANSPOSE_CONV": _transpose_conv,
}
