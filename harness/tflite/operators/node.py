"""One operator while it is being checked, and what the checks of many operators share."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import MalformedModelError, UnsupportedModelError
from harness.tflite.graph import Activation, Options, Tensor
from harness.tflite.schema import TYPE_NAMES

_MOST_INT16_ADDED = (1 << 16) - 1
_LARGEST_WINDOW = 1 << 15  # along one axis, dilation included; kernels count in int32
FLOAT_HINT = "hilnas needs full int8 quantisation; convert with a representative dataset"
_INT16_HINT = "this operator has no int16 kernel: convert to int8, or replace it"


class Padding(enum.Enum):
    SAME = 0
    VALID = 1


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

    def take(self, fewest: int, most: int, *, outputs: int = 1) -> None:
        if not fewest <= len(self.inputs) <= most or len(self.outputs) != outputs:
            raise self.malformed(
                "has the wrong number of operands",
                f"{fewest}..{most} inputs and {outputs} output{'s' * (outputs != 1)}",
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
        self._quantised(tensors, ("int8",))

    def int8_or_int16(self, *tensors: Tensor) -> None:
        """All are int8, or all are int16 with zero point 0; each has one scale."""
        self._quantised(tensors, ("int8", "int16"))
        for tensor in tensors[1:]:
            if tensor.dtype != tensors[0].dtype:
                raise self.unsupported(
                    f"mixes tensor {tensors[0].index} and tensor {tensor.index}",
                    "convert to one type of activations, or QUANTIZE in between",
                    tensors[0].dtype,
                    tensor.dtype,
                )

    def _quantised(self, tensors: tuple[Tensor, ...], dtypes: tuple[str, ...]) -> None:
        for tensor in tensors:
            if tensor.dtype not in dtypes:
                raise self.unsupported(
                    f"tensor {tensor.index} is {tensor.dtype}",
                    _INT16_HINT if tensor.dtype == "int16" else FLOAT_HINT,
                    " or ".join(dtypes),
                    tensor.dtype,
                )
            self.one_scale(tensor)
            if tensor.dtype == "int16" and tensor.q.zero_point:
                raise self.unsupported(
                    f"int16 tensor {tensor.index} is not symmetric",
                    "quantise with zero point 0, as TFLite's converter does",
                    0,
                    tensor.q.zero_point,
                )

    def one_scale(self, tensor: Tensor) -> None:
        if tensor.quantisation is None:
            raise self.unsupported(
                f"tensor {tensor.index} has no scale", FLOAT_HINT, "1 scale", "none"
            )
        if len(tensor.q.scales) != 1:
            raise self.unsupported(
                f"activation tensor {tensor.index} is quantised per channel",
                FLOAT_HINT,
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
            raise self.unsupported(f"{what} are float32", FLOAT_HINT, dtype, "float32")
        if tensor.dtype != dtype:
            raise self.unsupported(f"{what} have the wrong type", FLOAT_HINT, dtype, tensor.dtype)
        return tensor.data

    def weights(self, tensor: Tensor, channels: int, axis: int, rank: int) -> None:
        self.constant(tensor, "weights", "int8")
        if len(tensor.shape) != rank:
            raise self.malformed("weights have the wrong rank", rank, tensor.shape)
        q = tensor.quantisation
        if q is None:
            raise self.unsupported("weights have no scale", FLOAT_HINT, "1 or more", "none")
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

    def bias(self, channels: int, position: int = 2) -> bool:
        """Of a convolution or matrix product. Does it add up in int32? Always with int8
        activations; with int16 ones in int64 unless the biases, or those left out, are int32."""
        tensor = self.inputs[position] if len(self.inputs) > position else None
        wide = self.operand(0).dtype == "int16"
        if tensor is None:
            return not wide or self.options().get("bias_type") == TYPE_NAMES.index("int32")
        if wide and tensor.dtype == "int32" and self.op == "DEPTHWISE_CONV_2D":
            raise self.unsupported(  # TensorFlow Lite Micro would read them as int64
                "has int32 biases with int16 activations",
                "convert with int64 biases, the converter's default",
                "int64",
                "int32",
            )
        int32_sums = not wide or tensor.dtype == "int32"
        self.constant(tensor, "biases", "int32" if int32_sums else "int64")
        if tensor.elements != channels:
            raise self.malformed("bias length differs from the channels", channels, tensor.shape)
        return int32_sums

    def sums_of_int16(self, count: int) -> None:
        """So many values are added up in an int32, which holds any number of int8."""
        if self.operand(0).dtype == "int16" and count > _MOST_INT16_ADDED:
            raise self.unsupported(
                "adds up too many int16", "use a smaller window", f"<= {_MOST_INT16_ADDED}", count
            )

    def shaped(self, *expected: int, output: int = 0) -> None:
        if self.outputs[output].shape != expected:
            raise self.malformed(
                "output shape contradicts the inputs", expected, self.outputs[output].shape
            )

    def axis(self, axis: int, rank: int) -> int:
        """Negative ones count from the end."""
        if not -rank <= axis < rank:
            raise self.malformed(
                "has no such axis", f"{-rank}..{rank - 1}" if rank else "an axis", axis
            )
        return axis % rank

    def scalar(self, position: int, what: str) -> int:
        """The value of a constant int32 operand of one element."""
        values = self.constant(self.operand(position), what, "int32")
        if values.size != 1:
            raise self.malformed(f"{what} are several", 1, values.size)
        return int(values.ravel()[0])

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
    ) -> tuple[int, int]:  # fmt: skip
        """Checks the output's shape and returns the padding (above, left)."""
        height, width, _ = self.feature_map(self.operand(0))
        reach = [(span - 1) * spread + 1 for span, spread in zip(window, dilation, strict=True)]
        if max(reach) > _LARGEST_WINDOW:
            raise self.unsupported(
                "has a window that reaches too far",
                "use a smaller window or dilation",
                f"<= {_LARGEST_WINDOW}",
                max(reach),
            )
        (rows, top), (columns, left) = (
            window_output(size, span, step, spread, padding)
            for size, span, step, spread in zip(
                (height, width), window, stride, dilation, strict=True
            )
        )
        self.shaped(1, rows, columns, channels)
        return top, left


Check = Callable[[Node], Options]  # raises what the node says, else returns its options


def describe_quantisation(tensor: Tensor) -> str:
    return f"scale {tensor.q.scale:.9g}, zero point {tensor.q.zero_point}"
