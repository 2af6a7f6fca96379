"""Scratch buffers are those that CMSIS-NN's and upstream's reference kernels ask for."""

from __future__ import annotations

import numpy as np
import pytest

from harness.engines.tflm.scratch import Kernels, scratch_requests
from harness.tflite import read_graph
from tests.tflite_factory import NONE, SAME, VALID, ModelFactory

WINDOW = {"stride_h": 1, "stride_w": 1, "activation": NONE}


def conv_2d(kernel: int, channels: int, *, stride: int = 1, dtype: str = "int8") -> ModelFactory:
    model = ModelFactory()
    source = model.input((1, 8, 8, channels), dtype=dtype, scale=0.5)
    weights = model.constant(np.ones((4, kernel, kernel, channels), np.int8), scale=0.5)
    size = -(-8 // stride)
    model.outputs = [model.tensor((1, size, size, 4), dtype=dtype, scale=0.5)]
    options = {**WINDOW, "stride_h": stride, "stride_w": stride, "padding": SAME}
    model.operator("CONV_2D", [source, weights], model.outputs, **options)
    return model


def depthwise(kernel: int, channels: int, multiplier: int = 1) -> ModelFactory:
    model = ModelFactory()
    source = model.input((1, 8, 8, channels), scale=0.5)
    count = channels * multiplier
    weights = model.constant(np.ones((1, kernel, kernel, count), np.int8), scale=0.5)
    model.outputs = [model.tensor((1, 8, 8, count), scale=0.5)]
    model.operator(
        "DEPTHWISE_CONV_2D",
        [source, weights],
        model.outputs,
        padding=SAME,
        multiplier=multiplier,
        **WINDOW,
    )
    return model


def fully_connected(depth: int, *, rank: int, scales: int = 1) -> ModelFactory:
    model = ModelFactory()
    source = model.input((1,) * (rank - 1) + (depth,), scale=0.5)
    weights = model.constant(np.ones((6, depth), np.int8), scale=[0.5] * scales)
    model.outputs = [model.tensor((1,) * (rank - 1) + (6,), scale=0.5)]
    model.operator("FULLY_CONNECTED", [source, weights], model.outputs, activation=NONE)
    return model


def average_pool() -> ModelFactory:
    model = ModelFactory()
    source = model.input((1, 4, 4, 5), scale=0.5, zero_point=0)
    model.outputs = [model.tensor((1, 2, 2, 5), scale=0.5, zero_point=0)]
    model.operator(
        "AVERAGE_POOL_2D",
        [source],
        model.outputs,
        padding=VALID,
        stride_h=2,
        stride_w=2,
        filter_h=2,
        filter_w=2,
        activation=NONE,
    )
    return model


def transpose_conv(channels: int) -> ModelFactory:
    model = ModelFactory()
    source = model.input((1, 3, 3, channels), scale=0.5)
    shape = model.constant(np.array([1, 6, 6, 2], np.int32))
    weights = model.constant(np.ones((2, 3, 3, channels), np.int8), scale=[0.5, 0.5])
    model.outputs = [model.tensor((1, 6, 6, 2), scale=0.5)]
    model.operator(
        "TRANSPOSE_CONV",
        [shape, weights, source],
        model.outputs,
        padding=SAME,
        stride_h=2,
        stride_w=2,
        activation=NONE,
    )
    return model


def mean() -> ModelFactory:
    model = ModelFactory()
    source = model.input((1, 4, 4, 5), scale=0.5)
    axes = model.constant(np.array([1, 2], np.int32))
    model.outputs = [model.tensor((1, 5), scale=0.5)]
    model.operator("MEAN", [source, axes], model.outputs, keep_dims=False)
    return model


@pytest.mark.parametrize(
    ("model", "reference", "cmsis_nn"),
    [
        (conv_2d(3, 5), (), (4 * 48,)),  # 45 taps in fours, two columns of int16
        (conv_2d(3, 5, dtype="int16"), (), (4 * 45,)),
        (conv_2d(1, 5), (), ()),
        (conv_2d(1, 5, stride=2), (), ()),
        (depthwise(3, 8), (), ()),
        (depthwise(5, 8), (), (2 * 25 * 8,)),
        (depthwise(5, 8, multiplier=2), (), ()),
        (fully_connected(8, rank=2), (), ()),
        (fully_connected(8, rank=3), (), (8 * 6,)),
        (fully_connected(8, rank=3, scales=6), (), ()),
        (fully_connected(7, rank=3), (), ()),
        (average_pool(), (), (4 * 5,)),
        (transpose_conv(8), (4 * 72,), (4 * (2 * 2 + 3) * 2 * 3, 0)),
        (transpose_conv(20), (4 * 72,), (4 * 180, 180 * 2)),
        (mean(), (4 * 5, 4 * 4, 4 * 2), (4 * 5, 4 * 4, 4 * 2)),
    ],
    ids=lambda one: str(one) if isinstance(one, tuple) else one.operators[0].op,
)
def test_an_operator_asks_for(
    model: ModelFactory, reference: tuple[int, ...], cmsis_nn: tuple[int, ...]
) -> None:
    graph = read_graph(model.build(), where="m")
    (operator,) = graph.operators
    assert scratch_requests(graph, operator, Kernels.REFERENCE) == reference
    assert scratch_requests(graph, operator, Kernels.CMSIS_NN) == cmsis_nn
