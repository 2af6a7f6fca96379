"""What must pooling look like?"""

from __future__ import annotations

import math

from harness.tflite.graph import (
    Options,
    Pool2D,
)
from harness.tflite.operators.node import (
    Check,
    Node,
    describe_quantisation,
)


def _pool_2d(node: Node) -> Options:
    node.take(1, 1)
    source, output = node.operand(0), node.output
    node.int8_or_int16(source, output)
    _, _, channels = node.feature_map(source)
    if abs(source.q.scale - output.q.scale) > 1e-6 or source.q.zero_point != output.q.zero_point:
        raise node.unsupported(
            "pools between different quantisations",
            "convert the model again",
            describe_quantisation(source),
            describe_quantisation(output),
        )
    padding, stride, window = node.padding(), node.pair("stride"), node.pair("filter")
    activation = node.activation()
    pads = node.windowed(window, stride, (1, 1), padding, channels)
    node.sums_of_int16(math.prod(map(min, window, source.shape[1:3])))
    return Pool2D(pads, stride, window, activation)


CHECKS: dict[str, Check] = {
    "AVERAGE_POOL_2D": _pool_2d,
    "MAX_POOL_2D": _pool_2d,
}
