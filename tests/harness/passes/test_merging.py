"""Operators that others can do, or that do nothing, are gone, and nobody can tell."""

from __future__ import annotations

import numpy as np
import pytest

from tests.harness.passes.chains import WINDOW, Chain
from tests.tflite_factory import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID

_POOL = {**WINDOW, "filter_h": 1, "filter_w": 1, "padding": VALID, "activation": NONE}


@pytest.mark.parametrize("value", [None, 3])
def test_a_pad_merges_into_the_convolution_behind_it(value: int | None) -> None:
    chain = Chain(3).pad(1, 2, 0, 1, value=value).conv(5, kernel=3)

    assert chain.operators() == [(1, "CONV_2D")]


def test_a_pad_merges_into_all_its_readers_and_adds_to_their_padding() -> None:
    chain = Chain(3).pad(1, 1, 1, 1)
    framed = chain.last
    first = chain.depthwise(padding=SAME).last
    chain.last = framed

    assert chain.depthwise(padding=VALID).operators(first) == [
        (1, "DEPTHWISE_CONV_2D"),
        (2, "DEPTHWISE_CONV_2D"),
    ]


@pytest.mark.parametrize("frame", [(3, 0, 0, 0), (0, 3, 0, 0), (0, 0, 3, 0), (0, 0, 0, 3)])
def test_windows_that_would_meet_nothing_but_padding_keep_the_pad(
    frame: tuple[int, int, int, int],
) -> None:
    assert [op for _, op in Chain(3).pad(*frame).conv(5, kernel=3).operators()] == [
        "PAD",
        "CONV_2D",
    ]


def test_pads_that_are_not_what_a_convolution_takes_stay() -> None:
    other_value = Chain(3).pad(1, 1, 1, 1, value=4).conv(5, kernel=3)
    of_channels = Chain(3).pad(1, 1, 1, 1, channels=1).conv(5, kernel=3)
    pointwise = Chain(3).pad(1, 1, 1, 1).conv(5)
    pooled = Chain(3).pad(1, 1, 1, 1).keeping("MAX_POOL_2D", **_POOL | {"activation": RELU})
    requantised = Chain(3).pad(1, 1, 1, 1).conv(5, kernel=3)
    requantised.model.tensors[0].zero_points = (4,)
    seen = Chain(3).pad(1, 1, 1, 1)
    framed = seen.last
    seen.conv(5, kernel=3)
    shared = Chain(3).pad(1, 1, 1, 1)
    between = shared.last
    shared.conv(5, kernel=3)
    first, shared.last = shared.last, between
    shared.keeping("RELU")

    for chain in (other_value, of_channels, pointwise, pooled, requantised):
        assert chain.operators()[0][1] in ("PAD", "PADV2")
    assert seen.operators(framed)[0][1] == "PAD"
    assert shared.operators(first)[0][1] == "PAD"


@pytest.mark.parametrize(
    ("inner", "outer", "merged"),
    [
        (NONE, "RELU", True),
        (NONE, "RELU6", True),
        (RELU, "RELU", True),
        (RELU, "RELU6", True),
        (RELU6, "RELU", True),
        (RELU6, "RELU6", True),
        (RELU_N1_TO_1, "RELU", False),
    ],
)
def test_a_clamp_merges_into_the_convolution_before_it(
    inner: int, outer: str, merged: bool
) -> None:
    chain = Chain(3).conv(4, activation=inner).keeping(outer)

    assert [index for index, _ in chain.operators()] == ([0] if merged else [0, 1])


def test_clamps_merge_into_whatever_clamps_by_itself() -> None:
    product = Chain(3).dense(4).keeping("RELU6").keeping("RELU")
    pool = Chain(3).keeping("AVERAGE_POOL_2D", **_POOL).keeping("RELU")
    chain = Chain(3)
    total = chain.add(chain.last).keeping("RELU")

    assert product.operators() == [(0, "FULLY_CONNECTED")]
    assert pool.operators() == [(0, "AVERAGE_POOL_2D")]
    assert total.operators() == [(0, "ADD")]


def test_a_clamp_of_what_others_read_stays() -> None:
    chain = Chain(3).conv(4)
    before = chain.last

    assert chain.keeping("RELU").operators(before) == [(0, "CONV_2D"), (1, "RELU")]
    assert chain.add(before).operators() == [(0, "CONV_2D"), (1, "RELU"), (2, "ADD")]


def test_a_clamp_that_requantises_stays() -> None:
    chain = Chain(3).conv(4)
    chain.plain("RELU", chain.shape)
    chain.model.tensors[chain.last].zero_points = (7,)

    assert chain.operators() == [(0, "CONV_2D"), (1, "RELU")]


def test_what_changes_no_byte_becomes_a_reshape() -> None:
    chain = Chain(3).keeping("QUANTIZE").pad(0, 0, 0, 0).keeping("MAX_POOL_2D", **_POOL)

    assert [op for _, op in chain.conv(4).operators()] == ["RESHAPE"] * 3 + ["CONV_2D"]


def test_a_clamp_that_no_value_reaches_becomes_a_reshape() -> None:
    chain = Chain(3).conv(4, activation=RELU)
    positive = chain.last

    assert chain.keeping("RELU").operators(positive) == [(0, "CONV_2D"), (1, "RESHAPE")]


def test_what_changes_a_byte_does_not() -> None:
    requantised = Chain(3).plain("QUANTIZE", (1, 5, 5, 3))
    strided = Chain(3).plain("QUANTIZE", (1, 5, 5, 3))
    clamped = Chain(3).keeping("MAX_POOL_2D", **_POOL | {"activation": RELU})
    pool = {**_POOL, "stride_h": 5, "stride_w": 5}
    source = strided.model.tensors[strided.last]
    output = strided.model.tensor((1, 1, 1, 3), scale=source.scales[0], zero_point=3)
    strided.model.operator("MAX_POOL_2D", [strided.last], [output], **pool)
    strided.last = output

    assert requantised.operators() == [(0, "QUANTIZE")]
    assert clamped.operators() == [(0, "MAX_POOL_2D")]
    assert strided.operators() == [(0, "QUANTIZE"), (1, "MAX_POOL_2D")]


@pytest.mark.parametrize(
    ("order", "shape", "op"),
    [
        ((0, 3, 1, 2), (1, 1, 5, 5), "RESHAPE"),
        ((1, 2, 3, 0), (5, 5, 1, 1), "RESHAPE"),
        ((0, 2, 1, 3), (1, 5, 5, 1), "TRANSPOSE"),
    ],
)
def test_a_transposition_that_moves_nothing_becomes_a_reshape(
    order: tuple[int, ...], shape: tuple[int, ...], op: str
) -> None:
    chain = Chain(1)
    operand = chain.model.constant(np.array(order, np.int32))

    assert chain.plain("TRANSPOSE", shape, operand).operators() == [(0, op)]


def test_what_nobody_reads_is_not_computed() -> None:
    chain = Chain(3).conv(4)
    before = chain.last
    chain.conv(4).conv(4)
    chain.last = before

    assert chain.conv(2).operators() == [(0, "CONV_2D"), (3, "CONV_2D")]
