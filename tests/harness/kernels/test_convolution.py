from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.board import load_board
from harness.kernels import ConvolutionKernel, kernel_of
from harness.measure import measure
from harness.options import Optimise
from harness.session import open_session
from harness.tflite import read_graph
from tests.harness.kernels.cases import (
    Add,
    activations,
    batches,
    channels,
    check_operator,
    filters,
    quantised,
    zero_points,
)
from tests.harness.kernels.windows import add_convolution, draw_windows
from tests.tflite_factory import VALID, ModelFactory


def add_conv_2d(draw: st.DrawFn, model: ModelFactory) -> None:
    windows = draw_windows(draw, kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)))
    if draw(st.booleans()):
        windows = replace(windows, kernel=(1, 1), stride=(1, 1))
    depth, count = draw(channels), draw(channels)
    if draw(st.integers(0, 3)) == 0:  # several blocks, records that are worth a copy
        depth, count = draw(st.integers(10, 40)), draw(st.integers(1, 20))
    if windows.output is None:
        return
    details = quantised(draw)
    source = model.input((1, *windows.size, depth), **details)
    operands, scale = filters(draw, model, (count, *windows.kernel, depth), 0, details["scale"])
    out = {"scale": scale, "zero_point": draw(zero_points)}
    add_convolution(
        model, "CONV_2D", windows, [source, *operands], count, out, activation=draw(activations)
    )


def add_depthwise_conv_2d(draw: st.DrawFn, model: ModelFactory) -> None:
    """Most are of the shapes that have a loop of their own; tall and wide ones take several strips
    and leave every remainder."""
    tall = draw(st.integers(0, 3)) == 0
    step = draw(st.integers(1, 3))  # the interpreter wants equal strides
    windows = draw_windows(
        draw,
        size=st.tuples(st.integers(30, 60) if tall else st.integers(1, 12), st.integers(1, 12)),
        kernel=st.one_of(st.just((3, 3)), st.tuples(st.integers(1, 6), st.integers(1, 6))),
        stride=st.just((step, step)),
        dilation=st.sampled_from([(1, 1), (1, 1), (1, 1), (2, 1), (1, 3), (1, 5)]),
    )
    depth = draw(st.one_of(channels, st.sampled_from([16, 17, 40])))
    multiplier = draw(st.sampled_from([1, 1, 2, 3]))
    if windows.output is None:
        return
    details, count = quantised(draw), depth * multiplier
    source = model.input((1, *windows.size, depth), **details)
    operands, scale = filters(draw, model, (1, *windows.kernel, count), 3, details["scale"])
    add_convolution(
        model,
        "DEPTHWISE_CONV_2D",
        windows,
        [source, *operands],
        count,
        {"scale": scale, "zero_point": draw(zero_points)},
        multiplier=multiplier,
        activation=draw(activations),
    )


def add_transpose_conv(draw: st.DrawFn, model: ModelFactory) -> None:
    """An output that the stride need not divide, and filters from smaller than the stride on."""
    windows = draw_windows(
        draw,
        kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
        stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
        dilation=st.just((1, 1)),
    )
    depth, count = draw(channels), draw(channels)
    if windows.output is None:
        return
    details, shape = quantised(draw), (1, *windows.size, count)
    source = model.input((1, *windows.output, depth), **details)
    operands, scale = filters(draw, model, (count, *windows.kernel, depth), 0, details["scale"])
    output = model.tensor(shape, scale=scale, zero_point=draw(zero_points))
    model.outputs.append(output)
    model.operator(
        "TRANSPOSE_CONV",
        [model.constant(np.array(shape, np.int32)), operands[0], source, *operands[1:]],
        [output],
        activation=draw(activations),
        **windows.options,
    )


@pytest.mark.parametrize(
    "add", [add_conv_2d, add_depthwise_conv_2d, add_transpose_conv], ids=lambda add: add.__name__
)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add)


def test_memory_for_a_record_is_planned_only_for_the_product_that_copies_it_there() -> None:
    model = ModelFactory()
    details: dict[str, Any] = {"scale": 1.0, "zero_point": 0}
    model.outputs.append(model.tensor((1, 4, 4, 2), **details))
    weights = model.constant(np.ones((2, 1, 1, 128), np.int8), scale=1.0)
    model.operator(
        "CONV_2D",
        [model.input((1, 4, 4, 128), **details), weights],
        model.outputs[:1],
        padding=VALID,
        **dict.fromkeys(("stride_h", "stride_w", "dilation_h", "dilation_w"), 1),
    )
    model.outputs.append(
        model.tensor((1, 20_000), **details)
    )  # beside which scratch memory is cheap
    model.operator("RELU", [model.input((1, 20_000), **details)], model.outputs[1:])
    graph = read_graph(model.build(), where="model")

    speed, size = (kernel_of(graph, graph.operator(0), optimise) for optimise in Optimise)

    assert isinstance(speed, ConvolutionKernel) and isinstance(size, ConvolutionKernel)
    assert (speed.block, size.block) == (16, 16)
    assert (speed.buffer_words, size.buffer_words) == (72, 0)
    assert speed.scratch_bytes - size.scratch_bytes == 4 * 72


def test_depthwise_convolutions_are_bit_exact_as_arm_code() -> None:
    """Their loops are written as instructions there, which this machine does not run."""
    with open_session(load_board("nucleo_l4r5zi"), "virtual") as session:

        @settings(
            max_examples=8,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(batches(add_depthwise_conv_2d))
        def compare(model: ModelFactory) -> None:
            if model.operators:
                assert measure(model.build(), session, repeats=1).output.bit_exact

        compare()
