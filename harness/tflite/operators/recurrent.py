"""What must operators that keep state look like? State is a tensor that is marked as variable: an
inference finds what the one before left there."""

from __future__ import annotations

import numpy as np

from harness.tflite.graph import Options, Svdf, Tensor
from harness.tflite.operators.node import FLOAT_HINT, Check, Node

# Which inputs of an operator are its state.
STATES: dict[str, tuple[int, ...]] = {"SVDF": (4,)}


def _state(node: Node, position: int, dtypes: tuple[str, ...], *shape: int) -> Tensor:
    tensor = node.operand(position)
    if not tensor.variable:
        raise node.malformed(
            f"input {position} is its state and not variable",
            "a variable tensor",
            f"tensor {tensor.index}",
        )
    if tensor.dtype not in dtypes:
        raise node.unsupported(
            "state has the wrong type", FLOAT_HINT, " or ".join(dtypes), tensor.dtype
        )
    if tensor.quantisation is None:
        raise node.unsupported("state has no scale", FLOAT_HINT, "1 scale", "none")
    if tensor.elements != int(np.prod(shape)):
        raise node.malformed("state has the wrong size", shape, tensor.shape)
    return tensor


def _weights(node: Node, position: int, dtype: str, *shape: int) -> Tensor:
    """Constants with one scale and no zero point."""
    tensor = node.operand(position)
    node.constant(tensor, "weights", dtype)
    if tensor.shape != shape:
        raise node.malformed(f"weights {position} have the wrong shape", shape, tensor.shape)
    if tensor.quantisation is None or len(tensor.q.scales) != 1:
        raise node.unsupported(
            f"weights {position} are quantised per channel or not at all", FLOAT_HINT, "1 scale"
        )
    if tensor.q.zero_point:
        raise node.unsupported(
            f"weights {position} are not symmetric",
            "quantise with zero point 0",
            0,
            tensor.q.zero_point,
        )
    return tensor


def _svdf(node: Node) -> Options:
    """The fused activation is not looked at: the reference clamps to int8 only, the activation
    being that of the output's scale and zero point."""
    node.take(5, 5)
    source, features, times = node.operand(0), node.operand(1), node.operand(2)
    node.int8(source, node.output)
    if {len(tensor.shape) for tensor in (source, features, times)} != {2}:
        raise node.malformed(
            "input or weights have the wrong rank",
            "2 each",
            f"{source.shape}, {features.shape}, {times.shape}",
        )
    batch, depth = source.shape
    filters, memory = times.shape
    _weights(node, 1, "int8", filters, depth)
    _weights(node, 2, "int8" if times.dtype == "int8" else "int16", filters, memory)
    rank = int(node.options()["rank"])
    if rank < 1 or filters % rank:
        raise node.malformed(
            "filters are no multiple of the rank", f"a divisor of {filters}", rank
        )
    node.bias(filters // rank, 3)
    if (bias := node.inputs[3]) is None:
        raise node.unsupported("has no biases", "give it biases of zero", "biases", "none")
    state = _state(node, 4, (times.dtype,), batch, memory * filters)
    node.shaped(batch, filters // rank)
    node.activation()
    product = state.q.scale * times.q.scale
    bias_scale = 0.0 if bias.quantisation is None else bias.q.scale
    if abs(bias_scale - product) >= 1e-5:
        raise node.unsupported(
            "bias scale is not state scale times weight scale",
            "convert the model again",
            f"{product:g}",
            f"{bias_scale:g}",
        )
    return Svdf(rank)


CHECKS: dict[str, Check] = {
    "SVDF": _svdf,
}
