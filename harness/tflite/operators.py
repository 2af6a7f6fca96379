"""What must each supported operator look like? Operand counts, types, shapes, quantisation and
options, one function an operator. Whatever passes here the kernels compute exactly as TFLite
Micro's reference kernels do; whatever those would refuse, or abort on, is refused here first."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import MalformedModelError, UnsupportedModelError
from harness.tflite.graph import (
    Activation,
    Add,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Options,
    Padding,
    Pool2D,
    Softmax,
    Tensor,
)

_LARGEST_WINDOW = 1 << 15  # along one axis, dilation included; kernels count in int32
_MOST_CLASSES = 511  # from 512 on, TFLite's softmax shifts an int32 by 32
_FLOAT_HINT = "hilnas needs full int8 quantisation; convert with a representative dataset"


def window_output(
    size: int, window: int, stride: int, dilation: int, padding: Padding
) -> tuple[int, int]:
    """Output size along one axis and the padding before it, as TFLite computes them."""
    reach = (window - 1) * dilation + 1
    if padding is Padding.SAME:
        output = -(-size // stride)
        return output, max(0, (output - 1) * stride + reach - size) // 2
    return (size + stride - reach) // stride, 0


@dataclass(frozen=True)
class Node:
    """One operator while it is being checked."""

    where: str
    op: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    raw: dict[str, Any] | None

    def malformed(self, what: str, expected: object = None, got: object = None) -> Exception:
        return MalformedModelError(
            what, where=self.where, expected=expected, got=got, hint="export the model again"
        )

    def unsupported(
        self, what: str, hint: str, expected: object = None, got: object = None
    ) -> Exception:
        return UnsupportedModelError(what, where=self.where, expected=expected, got=got, hint=hint)

    def operand(self, position: int) -> Tensor:
        tensor = self.inputs[position] if position < len(self.inputs) else None
        if tensor is None:
            raise self.malformed(f"input {position} is missing")
        return tensor

    @property
    def output(self) -> Tensor:
        return self.outputs[0]

    def take(self, fewest: int, most: int) -> None:
        if not fewest <= len(self.inputs) <= most or len(self.outputs) != 1:
            raise self.malformed(
                "has the wrong number of operands",
                f"{fewest}..{most} inputs and 1 output",
                f"{len(self.inputs)} and {len(self.outputs)}",
            )

    def options(self) -> dict[str, Any]:
        if self.raw is None:
            raise self.malformed("has no options", f"those of {self.op}", "none, or another's")
        return self.raw

    def activation(self) -> Activation:
        code = self.options()["activation"]
        try:
            return Activation(code)
        except ValueError:
            raise self.unsupported(
                f"fused activation {code} is not supported",
                "use ReLU or ReLU6, or none",
                ", ".join(f"{known.value} ({known.name})" for known in Activation),
                code,
            ) from None

    def padding(self) -> Padding:
        try:
            return Padding(self.options()["padding"])
        except ValueError:
            raise self.malformed("unknown padding", "0 or 1", self.options()["padding"]) from None

    def pair(self, name: str) -> tuple[int, int]:
        options = self.options()
        height, width = int(options[f"{name}_h"]), int(options[f"{name}_w"])
        if not (0 < height <= _LARGEST_WINDOW and 0 < width <= _LARGEST_WINDOW):
            raise self.malformed(
                f"impossible {name}", f"1..{_LARGEST_WINDOW}", f"{height}x{width}"
            )
        return height, width

    def int8(self, *tensors: Tensor) -> None:
        """Each is int8 with one scale and zero point."""
        for tensor in tensors:
            if tensor.dtype == "float32":
                raise self.unsupported(
                    f"tensor {tensor.index} is float32", _FLOAT_HINT, "int8", "float32"
                )
            if tensor.dtype != "int8":
                raise self.unsupported(
                    f"tensor {tensor.index} is {tensor.dtype}", _FLOAT_HINT, "int8", tensor.dtype
                )
            if tensor.quantisation is None:
                raise self.unsupported(
                    f"tensor {tensor.index} has no scale", _FLOAT_HINT, "1 scale", "none"
                )
            if len(tensor.q.scales) != 1:
                raise self.unsupported(
                    f"activation tensor {tensor.index} is quantised per channel",
                    _FLOAT_HINT,
                    "1 scale",
                    len(tensor.q.scales),
                )

    def constant(self, tensor: Tensor, what: str, dtype: str) -> np.ndarray[Any, np.dtype[Any]]:
        if tensor.data is None:
            raise self.unsupported(
                f"{what} are computed at run time",
                "make them constants",
                "data in the file",
                f"tensor {tensor.index} without",
            )
        if tensor.dtype == "float32" and dtype != "float32":
            raise self.unsupported(f"{what} are float32", _FLOAT_HINT, dtype, "float32")
        if tensor.dtype != dtype:
            raise self.unsupported(f"{what} have the wrong type", _FLOAT_HINT, dtype, tensor.dtype)
        return tensor.data

    def weights(self, tensor: Tensor, channels: int, axis: int, rank: int) -> None:
        self.constant(tensor, "weights", "int8")
        if len(tensor.shape) != rank:
            raise self.malformed("weights have the wrong rank", rank, tensor.shape)
        q = tensor.quantisation
        if q is None:
            raise self.unsupported("weights have no scale", _FLOAT_HINT, "1 or more", "none")
        if any(q.zero_points):
            raise self.unsupported(
                "weights are not symmetric",
                "quantise with zero point 0",
                0,
                max(q.zero_points, key=abs),
            )
        if len(q.scales) not in (1, channels) or (len(q.scales) > 1 and q.axis != axis):
            raise self.malformed(
                "weight scales do not match the channels",
                f"1, or {channels} along axis {axis}",
                f"{len(q.scales)} along axis {q.axis}",
            )

    def bias(self, channels: int) -> None:
        tensor = self.inputs[2] if len(self.inputs) > 2 else None
        if tensor is None:
            return
        self.constant(tensor, "biases", "int32")
        if tensor.elements != channels:
            raise self.malformed("bias length differs from the channels", channels, tensor.shape)

    def shaped(self, *expected: int) -> None:
        if self.output.shape != expected:
            raise self.malformed(
                "output shape contradicts the inputs", expected, self.output.shape
            )

    def feature_map(self, tensor: Tensor) -> tuple[int, int, int]:
        """(height, width, channels) of a batch of one."""
        if len(tensor.shape) != 4:
            raise self.malformed(f"tensor {tensor.index} has the wrong rank", 4, tensor.shape)
        if tensor.shape[0] != 1:
            raise self.unsupported(
                "works on a batch", "export the model with batch size 1", 1, tensor.shape[0]
            )
        return tensor.shape[1], tensor.shape[2], tensor.shape[3]

    def windowed(
        self, window: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int],
        padding: Padding, channels: int,
    ) -> None:  # fmt: skip
        height, width, _ = self.feature_map(self.operand(0))
        reach = [(span - 1) * spread + 1 for span, spread in zip(window, dilation, strict=True)]
        if max(reach) > _LARGEST_WINDOW:
            raise self.unsupported(
                "has a window that reaches too far",
                "use a smaller window or dilation",
                f"<= {_LARGEST_WINDOW}",
                max(reach),
            )
        sizes = [
            window_output(size, span, step, spread, padding)[0]
            for size, span, step, spread in zip(
                (height, width), window, stride, dilation, strict=True
            )
        ]
        self.shaped(1, *sizes, channels)


def _quantisation(tensor: Tensor) -> str:
    return f"scale {tensor.q.scale:.9g}, zero point {tensor.q.zero_point}"


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
    options = Conv2D(node.padding(), node.pair("stride"), node.pair("dilation"), node.activation())
    node.windowed(
        (height, width), options.stride, options.dilation, options.padding, outputs
    )  # fmt: skip
    return options


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
    options = DepthwiseConv2D(
        node.padding(),
        node.pair("stride"),
        node.pair("dilation"),
        node.activation(),
        multiplier,
    )
    node.windowed((height, width), options.stride, options.dilation, options.padding, outputs)
    return options


def _fully_connected(node: Node) -> Options:
    node.take(2, 3)
    source, weights = node.operand(0), node.operand(1)
    node.int8(source, node.output)
    if len(weights.shape) != 2:
        raise node.malformed("weights have the wrong rank", 2, weights.shape)
    outputs, depth = weights.shape
    node.weights(weights, outputs, 0, 2)
    node.bias(outputs)
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None and weights.quantisation is not None and len(weights.q.scales) == 1:
        bias_scale = bias.q.scale if bias.quantisation is not None else 0.0
        difference = abs(source.q.scale * weights.q.scale - bias_scale)
        if difference > 0.02 * node.output.q.scale:
            raise node.unsupported(
                "bias scale is not input scale times weight scale",
                "convert the model again",
                f"{source.q.scale * weights.q.scale:g}",
                f"{bias_scale:g}",
            )
    if node.options()["weights_format"] != 0:
        raise node.unsupported("has shuffled weights", "convert for int8, not for uint8")
    rows, rest = divmod(source.elements, depth)
    if rest or not node.output.shape or node.output.shape[-1] != outputs:
        raise node.malformed(
            "weights do not match the tensors",
            f"inputs in rows of {depth} and outputs in rows of {outputs}",
            f"{source.shape} and {node.output.shape}",
        )
    if node.output.elements != rows * outputs:
        raise node.malformed(
            "output size contradicts the input", rows * outputs, node.output.elements
        )
    return FullyConnected(node.activation())


def _pool_2d(node: Node) -> Options:
    node.take(1, 1)
    source, output = node.operand(0), node.output
    node.int8(source, output)
    _, _, channels = node.feature_map(source)
    if abs(source.q.scale - output.q.scale) > 1e-6 or source.q.zero_point != output.q.zero_point:
        raise node.unsupported(
            "pools between different quantisations",
            "convert the model again",
            _quantisation(source),
            _quantisation(output),
        )
    options = Pool2D(node.padding(), node.pair("stride"), node.pair("filter"), node.activation())
    node.windowed(options.window, options.stride, (1, 1), options.padding, channels)
    return options


def _add(node: Node) -> Options:
    node.take(2, 2)
    first, second, output = node.operand(0), node.operand(1), node.output
    node.int8(first, second, output)
    if first.shape != second.shape:
        raise node.unsupported(
            "adds different shapes", "make both inputs equal in shape", first.shape, second.shape
        )
    node.shaped(*first.shape)
    ratio = 2.0 * max(first.q.scale, second.q.scale) / (float(1 << 20) * output.q.scale)
    if ratio >= 1.0:
        raise node.unsupported(
            "output scale is too small for its inputs",
            "convert the model again with a representative dataset",
            f"> {max(first.q.scale, second.q.scale) / (1 << 19):g}",
            f"{output.q.scale:g}",
        )
    return Add(node.activation())


def _pad(node: Node) -> Options:
    padded_v2 = node.op == "PADV2"
    node.take(3 if padded_v2 else 2, 3 if padded_v2 else 2)
    source, output = node.operand(0), node.output
    node.int8(source, output)
    rank = len(source.shape)
    if rank > 4:
        raise node.unsupported("pads more than four axes", "pad fewer axes", "<= 4", rank)
    paddings = node.constant(node.operand(1), "paddings", "int32")
    if paddings.shape != (rank, 2) or (paddings < 0).any():
        raise node.malformed(
            "paddings are impossible", f"({rank}, 2), none negative", f"{paddings.shape}"
        )
    sums = paddings.astype(np.int64).sum(axis=1)
    node.shaped(*(int(size + more) for size, more in zip(source.shape, sums, strict=True)))
    if padded_v2:
        value = node.operand(2)
        node.int8(value)
        node.constant(value, "pad values", "int8")
        if value.elements != 1:
            raise node.malformed("pad value is no scalar", 1, value.elements)
        if (value.q.scale, value.q.zero_point) != (output.q.scale, output.q.zero_point):
            raise node.unsupported(
                "pad value has its own quantisation",
                "convert the model again",
                _quantisation(output),
                _quantisation(value),
            )
    return None


def _mean(node: Node) -> Options:
    node.take(2, 2)
    source, output = node.operand(0), node.output
    node.int8(source, output)
    axes = mean_axes(source, node.constant(node.operand(1), "axes", "int32"))
    if axes is None:
        raise node.unsupported(
            "reduces axes that do not lie side by side", "average over height and width", "(1, 2)"
        )
    kept = math.prod(source.shape[: axes[0]]) * math.prod(source.shape[axes[1] :])
    if output.elements != kept:
        raise node.malformed("output size contradicts the axes", kept, output.elements)
    return None


def mean_axes(source: Tensor, axes: np.ndarray[Any, np.dtype[Any]]) -> tuple[int, int] | None:
    """Half-open range of the reduced axes, or None when they are no range."""
    rank = len(source.shape)
    chosen = sorted({int(a) + rank if a < 0 else int(a) for a in np.unique(axes)})
    if not chosen or chosen[0] < 0 or chosen[-1] >= rank:
        return None
    if chosen != list(range(chosen[0], chosen[-1] + 1)):
        return None
    return chosen[0], chosen[-1] + 1


def _reshape(node: Node) -> Options:
    node.take(1, 2)
    source, output = node.operand(0), node.output
    if source.dtype != output.dtype or source.elements != output.elements:
        raise node.malformed("changes type or size", (source.dtype, source.shape), output.shape)
    if len(node.inputs) == 2:
        node.constant(node.operand(1), "new shapes", "int32")
    if source.dtype != "int8":
        raise node.unsupported("reshapes " + source.dtype, _FLOAT_HINT, "int8", source.dtype)
    return None


def _softmax(node: Node) -> Options:
    node.take(1, 1)
    source, output = node.operand(0), node.output
    node.int8(source, output)
    node.shaped(*source.shape)
    if not source.shape:
        raise node.malformed("softmax of a scalar", "rank >= 1", 0)
    if (output.q.scale, output.q.zero_point) != (1 / 256, -128):
        raise node.unsupported(
            "output quantisation is not softmax's",
            "convert the model again",
            "scale 0.00390625, zero point -128",
            _quantisation(output),
        )
    beta = float(node.options()["beta"])
    if not math.isfinite(beta) or beta * source.q.scale * (1 << 26) <= 1.0:
        raise node.unsupported(
            "beta times scale is out of range",
            "convert the model again",
            "> 2^-26",
            f"{beta * source.q.scale:g}",
        )
    if source.shape[-1] > _MOST_CLASSES:
        raise node.unsupported(
            "has too many classes", "use fewer", f"<= {_MOST_CLASSES}", source.shape[-1]
        )
    return Softmax(beta)


def _relu(node: Node) -> Options:
    node.take(1, 1)
    source, output = node.operand(0), node.output
    node.int8(source, output)
    node.shaped(*source.shape)
    if node.op == "RELU6" and (source.q.scale, source.q.zero_point) != (
        output.q.scale,
        output.q.zero_point,
    ):
        raise node.unsupported(
            "RELU6 changes the quantisation",
            "convert the model again",
            _quantisation(source),
            _quantisation(output),
        )
    return None


def _quantize(node: Node) -> Options:
    node.take(1, 1)
    source, output = node.operand(0), node.output
    node.int8(output)
    if source.dtype != "float32":
        node.int8(source)
    node.shaped(*source.shape)
    return None


def _dequantize(node: Node) -> Options:
    node.take(1, 1)
    node.int8(node.operand(0))
    if node.output.dtype != "float32":
        raise node.unsupported("dequantises to " + node.output.dtype, "use float32 outputs")
    node.shaped(*node.operand(0).shape)
    return None


CHECKS: dict[str, Callable[[Node], Options]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool_2d,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "DEQUANTIZE": _dequantize,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _pool_2d,
    "MEAN": _mean,
    "PAD": _pad,
    "PADV2": _pad,
    "QUANTIZE": _quantize,
    "RELU": _relu,
    "RELU6": _relu,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
}
