"""What would a network cost, by arithmetic alone? Proxies from the lowered operators: no board, no
compiler, no framework. What it really costs is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from search.evaluation import Cost
from search.lowering import Add, Conv2D, Dense, DepthwiseConv2D, Flatten, Op, Pool2D

WEIGHT_BYTES = 1  # int8
BIAS_BYTES = 4  # int32

# Operators that can be computed in place, element by element or front to back.
IN_PLACE = (Add, DepthwiseConv2D, Pool2D)


def cost_of(ops: Sequence[Op]) -> Cost:
    """The cost of lowered operators (as from a space's lower, the last one's output is the
    network's)."""
    return Cost(
        macs=sum(macs_of(op) for op in ops),
        model_size_bytes=sum(model_size_of(op) for op in ops),
        peak_memory_bytes=peak_memory(ops),
        memory_floor_bytes=max(working_set_of(op) for op in ops),
    )


def macs_of(op: Op) -> int:
    """Multiply-accumulates of one operator for one image. Convolutions and dense layers only:
    additions, comparisons and the bias do not count."""
    match op:
        case Conv2D():
            height, width, filters = op.output_shape
            return height * width * filters * math.prod(op.kernel) * op.input_shape[2]
        case DepthwiseConv2D():
            return math.prod(op.output_shape) * math.prod(op.kernel)
        case Dense():
            return op.input_shape[0] * op.output_shape[0]
        case _:
            return 0


def model_size_of(op: Op) -> int:
    """Bytes of one operator's int8 weights and int32 biases. Every convolution and dense layer has
    a bias once batch normalisation is folded into it."""
    match op:
        case Conv2D():
            weights = math.prod(op.kernel) * op.input_shape[2] * op.output_shape[2]
            return weights * WEIGHT_BYTES + op.output_shape[2] * BIAS_BYTES
        case DepthwiseConv2D():
            channels = op.output_shape[2]
            return math.prod(op.kernel) * channels * WEIGHT_BYTES + channels * BIAS_BYTES
        case Dense():
            inputs, units = op.input_shape[0], op.output_shape[0]
            return inputs * units * WEIGHT_BYTES + units * BIAS_BYTES
        case _:
            return 0


def working_set_of(op: Op) -> int:
    """Bytes of int8 tensors that must exist while the operator runs, whatever ran before it and
    however its output lies over its input (diagonal memory optimisation, arXiv 2010.01668)."""
    output = math.prod(op.output_shape)
    match op:
        case Conv2D() | Dense() | DepthwiseConv2D() | Pool2D():
            return max(math.prod(op.input_shape), output)
        case Add():
            return 2 * output
        case _:
            return output


def peak_memory(ops: Sequence[Op]) -> int:
    """The largest sum of int8 tensors alive at once, bytes, with the operators executed in the
    order given: the exact maximum for that order, not yet the minimum over orders (arXiv
    1910.05110). The image counts. Flatten is a view. Add, DepthwiseConv2D and Pool2D may write
    over an input that nobody needs afterwards, as an engine could; every other operator needs its
    inputs and its output side by side. Alignment, scratch buffers and fragmentation are left out,
    so that an engine that keeps the order needs no less; another order (TensorFlow's converter
    moves branches) may need less, though.
    """
    buffer_of: dict[str, str] = {}  # tensor -> tensor whose bytes it uses
    last_use: dict[str, int] = {}
    for step, op in enumerate(ops):
        buffer_of[op.name] = buffer_of[op.inputs[0]] if isinstance(op, Flatten) else op.name
        for name in (*op.inputs, op.name):
            last_use[buffer_of[name]] = step
    last_use[buffer_of[ops[-1].name]] = len(ops)  # the network's output outlives it
    alive: dict[str, int] = {}
    peak = 0
    for step, op in enumerate(ops):
        if isinstance(op, Flatten):
            continue
        size = math.prod(op.output_shape)
        overwritten = 0
        if isinstance(op, IN_PLACE):
            dying = [alive[name] for name in op.inputs if last_use[name] == step]
            overwritten = min(size, max(dying, default=0))
        peak = max(peak, sum(alive.values()) + size - overwritten)
        alive[op.name] = size
        alive = {name: size for name, size in alive.items() if last_use[name] > step}
    return peak
