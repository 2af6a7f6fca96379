"""What must operators that keep state look like? State is a tensor that is marked as variable: an
inference finds what the one before left there."""

from __future__ import annotations

import math

import numpy as np

from harness.tflite.graph import Lstm, Options, Svdf, Tensor
from harness.tflite.operators.node import FLOAT_HINT, Check, Node

# Which inputs of an operator are its state.
STATES: dict[str, tuple[int, ...]] = {"SVDF": (4,), "UNIDIRECTIONAL_SEQUENCE_LSTM": (18, 19)}

_CELL_POWERS = (-40, 2)  # beyond, the reference shifts int32 by too much
_TANH = 4  # ActivationFunctionType
_VARIANTS = {
    (9, 10, 11): "peephole connections",
    (16, 17): "a projection",
    (20, 21, 22, 23): "layer normalisation",
}


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


def _lstm(node: Node) -> Options:
    node.take(24, 24)
    source, options = node.operand(0), node.options()
    for positions, variant in _VARIANTS.items():
        if any(node.inputs[position] is not None for position in positions):
            raise node.unsupported(f"has {variant}", "use a plain LSTM", "none", variant)
    if node.inputs[1] is None:
        raise node.unsupported(
            "couples its input and forget gates",
            "use a plain LSTM",
            "weights of the input gate",
            "none",
        )
    node.int8(source, node.output)
    if len(source.shape) != 3 or len(node.output.shape) != 3:
        raise node.malformed(
            "input or output has the wrong rank", 3, f"{source.shape}, {node.output.shape}"
        )
    depth, units = source.shape[2], node.output.shape[2]
    node.shaped(*source.shape[:2], units)
    for position in range(1, 9):
        _weights(node, position, "int8", units, depth if position < 5 else units)
    for position in range(12, 16):
        node.operand(position)
        node.bias(units, position)
    batch = source.shape[1 if options["time_major"] else 0]
    _state(node, 18, ("int8",), batch, units)
    cell = _state(node, 19, ("int16",), batch, units)
    fraction, power = math.frexp(cell.q.scale)
    if fraction != 0.5 or not _CELL_POWERS[0] <= power - 1 <= _CELL_POWERS[1]:
        raise node.unsupported(
            "cell state has an impossible scale",
            "convert the model again",
            f"a power of two, 2^{_CELL_POWERS[0]} to 2^{_CELL_POWERS[1]}",
            f"{cell.q.scale:g}",
        )
    if options["activation"] != _TANH:
        raise node.unsupported(
            "activation is not tanh", "use the default activations", _TANH, options["activation"]
        )
    clip = float(options["cell_clip"])
    if not 0 <= clip < math.inf:
        raise node.malformed("cell clip is impossible", "a number >= 0", clip)
    return Lstm(bool(options["time_major"]), clip)


CHECKS: dict[str, Check] = {
    "SVDF": _svdf,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}
