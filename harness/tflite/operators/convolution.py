"""What must convolutions look like?"""

from __future__ import annotations

from harness.tflite.graph import (
    Conv2D,
    DepthwiseConv2D,
    Options,
)
from harness.tflite.operators.node import (
    Check,
    Node,
)


def _conv_2d(node: Node) -> Options:
    node.take(2, 3)
    source, weights = node.operand(0), node.operand(1)
    node.int8(source, node.output)
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
    node.bias(outputs)
    padding, stride, dilation = node.padding(), node.pair("stride"), node.pair("dilation")
    activation = node.activation()
    pads = node.windowed((height, width), stride, dilation, padding, outputs)
    return Conv2D(pads, stride, dilation, activation)


def _depthwise_conv_2d(node: Node) -> Options:
    node.take(2, 3)
    source, weights = node.operand(0), node.operand(1)
    node.int8(source, node.output)
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


CHECKS: dict[str, Check] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
}
