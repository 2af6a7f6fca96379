"""A convolution of one channel runs as the kind that is faster, and nobody can tell."""

from __future__ import annotations

from typing import Any

import pytest

from harness.compiler import compile_sources
from harness.options import CompilerOptions, Optimise
from tests.harness.passes.chains import WINDOW, Chain
from tests.tflite_factory import RELU6, SAME, VALID


def window(
    chain: Chain, op: str, kernel: tuple[int, int], *, filters: int = 8, **details: Any
) -> Chain:
    """Filters over a map of one channel."""
    if op == "CONV_2D":
        weights, axis = chain.weights((filters, *kernel, 1), 0), 0
    else:
        weights, axis = chain.weights((1, *kernel, filters), 3), 3
        details["multiplier"] = filters
    step = details.get("stride_h", 1)
    size = -(-chain.shape[1] // step)
    options = {**WINDOW, "padding": SAME, "activation": RELU6, **details}
    return chain.filtering(op, weights, (1, size, size, filters), axis, **options)


_BOTH = pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D"])


@_BOTH
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize(
    ("kernel", "step", "filters"),
    [((3, 3), 1, 8), ((3, 3), 2, 8), ((3, 3), 1, 40), ((5, 5), 1, 8), ((1, 4), 1, 8)],
)
def test_some_are_depthwise_convolutions(
    op: str, kernel: tuple[int, int], step: int, filters: int, per_channel: bool
) -> None:
    details = {"stride_h": step, "stride_w": step, "filters": filters}
    chain = window(Chain(1), op, kernel, per_channel=per_channel, **details)

    assert chain.operators() == [(0, "DEPTHWISE_CONV_2D")]


@_BOTH
@pytest.mark.parametrize(
    ("kernel", "details"),
    [
        ((5, 5), {"filters": 33}),
        ((5, 5), {"stride_h": 2, "stride_w": 2}),
        ((3, 3), {"stride_h": 3, "stride_w": 3}),
        ((3, 3), {"dilation_h": 2, "dilation_w": 2}),
    ],
)
def test_anything_else_is_a_convolution(
    op: str, kernel: tuple[int, int], details: dict[str, int]
) -> None:
    assert window(Chain(1), op, kernel, **details).operators() == [(0, "CONV_2D")]


@_BOTH
def test_for_size_it_is_the_kernel_that_most_networks_have(op: str) -> None:
    chain = window(Chain(1), op, (3, 3))
    chain.model.outputs = [chain.last]

    options = CompilerOptions(Optimise.SIZE)
    graph = compile_sources(chain.model.build(), name="net", options=options).graph

    assert [operator.op for operator in graph.operators] == ["CONV_2D"]


def test_filters_go_as_those_of_a_convolution() -> None:
    chain = window(Chain(1), "DEPTHWISE_CONV_2D", (3, 3), constant=dict.fromkeys(range(4), 3))

    assert chain.conv(2, padding=VALID).channels() == [4, 2]


def test_more_channels_stay_what_they_are() -> None:
    chain = Chain(2).depthwise().conv(3, kernel=3)

    assert [op for _, op in chain.operators()] == ["DEPTHWISE_CONV_2D", "CONV_2D"]
