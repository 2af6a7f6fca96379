"""What must matrix products look like?"""

from __future__ import annotations

import numpy as np

from harness.tflite.graph import (
    BatchMatmul,
    FullyConnected,
    Options,
)
from harness.tflite.operators.node import (
    Check,
    Node,
)


def _fully_connected(node: Node) -> Options:
    node.take(2, 3)
    source, weights = node.operand(0), node.operand(1)
    node.int8_or_int16(source, node.output)
    if len(weights.shape) != 2:
        raise node.malformed("weights have the wrong rank", 2, weights.shape)
    outputs, depth = weights.shape
    node.weights(weights, outputs, 0, 2)
    int32_sums = node.bias(outputs)
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
    return FullyConnected(node.activation(), int32_sums)


def _batch_matmul(node: Node) -> Options:
    node.take(2, 2)
    first, second, options = node.operand(0), node.operand(1), node.options()
    node.int8(first, second, node.output)
    adjoint = bool(options["adjoint_x"]), bool(options["adjoint_y"])
    for tensor in (first, second):
        if not 2 <= len(tensor.shape) <= 5:
            raise node.unsupported(
                "multiplies tensors of another rank",
                "reshape them before",
                "2..5",
                len(tensor.shape),
            )
    rows, depth = first.shape[-2:][:: -1 if adjoint[0] else 1]
    depth_2, columns = second.shape[-2:][:: -1 if adjoint[1] else 1]
    if depth != depth_2:
        raise node.malformed("matrices do not match", f"sums over {depth}", f"over {depth_2}")
    try:
        batch = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    except ValueError:
        raise node.malformed(
            "batches do not match", "equal sizes, or 1", f"{first.shape}, {second.shape}"
        ) from None
    node.shaped(*batch, rows, columns)
    return BatchMatmul(adjoint)


CHECKS: dict[str, Check] = {
    "BATCH_MATMUL": _batch_matmul,
    "FULLY_CONNECTED": _fully_connected,
}
