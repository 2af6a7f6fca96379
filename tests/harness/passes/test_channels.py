"""Channels that no output depends on are gone, and nobody can tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from harness.compiler import compile_sources
from harness.errors import UnsupportedModelError
from tests.harness.passes.chains import WINDOW, Chain
from tests.host_model import check
from tests.random_networks import networks
from tests.tflite_factory import NONE, SAME, VALID, ModelFactory


@settings(
    max_examples=16,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(networks(), st.integers(0, 2**32 - 1))
def test_a_pruned_network_answers_the_same(model: ModelFactory, seed: int) -> None:
    try:
        check(model.build(), seed)
    except UnsupportedModelError:
        reject()


def test_a_constant_channel_goes_with_the_weights_that_read_it() -> None:
    chain = Chain(3).conv(8, constant={1: 5, 2: -7, 3: 0, 6: 1}).conv(3)

    assert chain.channels() == [4, 3]
    graph = chain.compiled()
    assert [graph.tensor(o.inputs[1]).shape for o in graph.operators] == [
        (4, 1, 1, 3),
        (3, 1, 1, 4),
    ]


def test_a_channel_that_meets_only_zero_weights_goes() -> None:
    assert Chain(3).conv(8).conv(3, unread=(0, 1, 5, 6)).channels() == [4, 3]


def test_the_inputs_of_what_is_gone_go_too() -> None:
    chain = Chain(3).conv(8).conv(8, unread=(7,)).conv(8, unread=(0, 1, 2, 3)).conv(3)
    second = chain.model.tensors[chain.model.operators[1].inputs[1]]
    weights = np.frombuffer(second.data or b"", np.int8).reshape(8, 8).copy()
    weights[4:, :3] = 0  # of the filters that the third reads
    second.data = weights.tobytes()

    assert chain.channels() == [4, 4, 8, 3]


@pytest.mark.parametrize(
    ("count", "constants", "left"),
    [(8, 3, 8), (8, 5, 4), (8, 8, 4), (6, 1, 6), (6, 2, 4), (3, 3, 3)],
)
def test_whole_words_of_channels_stay(count: int, constants: int, left: int) -> None:
    chain = Chain(2).conv(count, constant=dict.fromkeys(range(constants), 3)).conv(3)

    assert chain.channels() == [left, 3]


def test_behind_padding_only_the_zero_point_can_be_folded() -> None:
    zero = Chain(3).conv(8, constant=dict.fromkeys(range(4), 0)).conv(3, kernel=3, padding=SAME)
    other = Chain(3).conv(8, constant=dict.fromkeys(range(4), 1)).conv(3, kernel=3, padding=SAME)
    inside = Chain(3).conv(8, constant=dict.fromkeys(range(4), 1)).conv(3, kernel=3)

    assert zero.channels() == [4, 3]
    assert other.channels() == [8, 3]
    assert inside.channels() == [4, 3]


def test_padding_below_and_to_the_right_is_padding_too() -> None:
    chain = Chain(3).conv(8, constant=dict.fromkeys(range(4), 1))
    chain.conv(3, kernel=2, padding=SAME)

    assert chain.channels() == [8, 3]


def test_a_depthwise_convolution_passes_on_that_a_channel_goes() -> None:
    constants = dict.fromkeys(range(4), 6)
    behind = Chain(3).conv(8).depthwise(constant=constants).conv(3)
    ahead = Chain(3).conv(8, constant=constants).depthwise(padding=VALID).conv(3)
    padded = Chain(3).conv(8, constant=constants).depthwise().conv(3)
    spread = Chain(3).conv(8).depthwise(multiplier=2, constant=dict.fromkeys(range(9), 6)).conv(3)

    assert behind.channels() == [4, 4, 3]
    assert ahead.channels() == [4, 4, 3]
    assert padded.channels() == [8, 8, 3]
    assert spread.channels() == [4, 8, 3]


def test_an_addition_goes_where_both_its_operands_do() -> None:
    def residual(second: tuple[int, ...]) -> Chain:
        chain = Chain(3).conv(8, constant=dict.fromkeys(range(4), 2))
        skip = chain.last
        chain.conv(8, constant=dict.fromkeys(second, 5))
        return chain.add(skip).conv(3, unread=(0, 1, 2, 3))

    assert residual((0, 1, 2, 3)).channels() == [4, 4, 4, 3]
    assert residual((4, 5, 6, 7)).channels() == [4, 4, 4, 3]


def test_a_sum_of_constants_is_one() -> None:
    chain = Chain(3).conv(8, constant=dict.fromkeys(range(4), 2))
    skip = chain.last
    chain.conv(8, constant=dict.fromkeys(range(4), 5)).add(skip).keeping("HARD_SWISH")

    assert chain.conv(3).channels() == [4, 4, 4, 4, 3]


def test_pools_means_pads_and_reshapes_work_channel_by_channel() -> None:
    pool = {**WINDOW, "filter_h": 2, "filter_w": 2, "padding": VALID, "activation": NONE}
    chain = Chain(3).conv(8, constant=dict.fromkeys(range(4), 3))
    paddings = chain.model.constant(np.array([[0, 0], [1, 0], [0, 1], [0, 0]], np.int32))
    chain.plain("AVERAGE_POOL_2D", (1, 4, 4, 8), **pool).plain("RELU", (1, 4, 4, 8))
    chain.plain("MAX_POOL_2D", (1, 3, 3, 8), **pool)
    chain.plain("QUANTIZE", (1, 3, 3, 8)).conv(8, constant=dict.fromkeys(range(4), 0))
    chain.plain("PAD", (1, 4, 4, 8), paddings).plain("RESHAPE", (4, 4, 8))
    chain.plain("RESHAPE", (1, 128)).dense(5)

    assert chain.channels() == [4, 4, 4, 4, 4, 4, 4, 64, 5]


def test_maps_that_are_resized_or_mirrored_keep_their_channels_apart() -> None:
    chain = Chain(3).conv(8, constant=dict.fromkeys(range(4), 3))
    for op, size in [("RESIZE_NEAREST_NEIGHBOR", 10), ("RESIZE_BILINEAR", 7)]:
        sizes = chain.model.constant(np.array([size, size], np.int32))
        chain.plain(op, (1, size, size, 8), sizes, align_corners=False, half_pixel_centers=False)
    paddings = chain.model.constant(np.array([[0, 0], [1, 2], [0, 1], [0, 0]], np.int32))
    chain.plain("MIRROR_PAD", (1, 10, 8, 8), paddings, mode=1)

    assert chain.conv(3).channels() == [4, 4, 4, 4, 3]


def test_a_mean_keeps_channels_apart() -> None:
    chain = Chain(3).conv(8, constant=dict.fromkeys(range(4), 3))
    axes = chain.model.constant(np.array([1, 2], np.int32))

    assert chain.plain("MEAN", (1, 8), axes, keep_dims=False).dense(2).channels() == [4, 4, 2]


def test_what_is_joined_keeps_its_channels_apart() -> None:
    chain = Chain(3).conv(8, constant=dict.fromkeys(range(4), 3))
    first = chain.last
    chain.conv(8, constant=dict.fromkeys(range(2, 6), 5), unread=(0, 1, 2, 3))
    joined = chain.output((1, 5, 5, 16), -20)
    options = {"axis": -1, "activation": NONE}
    chain.model.operator("CONCATENATION", [first, chain.last], [joined], **options)
    chain.last = joined

    assert chain.conv(3).channels() == [4, 4, 8, 3]


def test_maps_that_are_stacked_lose_the_channels_that_all_lack() -> None:
    chain = Chain(3).conv(8, constant=dict.fromkeys(range(4), 3))
    first = chain.last
    chain.conv(8, constant=dict.fromkeys(range(5), 3), unread=(0, 1, 2, 3))
    stacked = chain.output((1, 10, 5, 8), -20)
    options = {"axis": 1, "activation": NONE}
    chain.model.operator("CONCATENATION", [first, chain.last], [stacked], **options)
    chain.last = stacked

    assert chain.conv(3).channels() == [4, 4, 4, 3]


def test_what_is_taken_apart_keeps_its_channels_apart() -> None:
    chain = Chain(3).conv(16, constant=dict.fromkeys(range(12), 3))
    whole, halves = chain.last, [chain.output((1, 5, 5, 8), -20) for _ in range(2)]
    axis = chain.model.constant(np.array(3, np.int32))
    chain.model.operator("SPLIT", [axis, whole], halves, count=2)
    chain.last = halves[0]
    first = chain.conv(3, unread=tuple(range(8))).last
    chain.last = halves[1]

    # Nothing is known of what SPLIT makes, but that one half is not read.
    assert chain.conv(3).channels(first) == [12, 4, 3, 3]


def test_what_the_outside_reads_stays() -> None:
    chain = Chain(3).conv(8, constant=dict.fromkeys(range(4), 3))
    seen = chain.last

    assert chain.conv(3).channels(seen) == [8, 3]


def test_what_mixes_channels_in_ways_not_known_keeps_them() -> None:
    constants = dict.fromkeys(range(8), 3)
    softmax = Chain(3).conv(8, constant=constants)
    answer = softmax.model.tensor((1, 5, 5, 8), scale=1 / 256, zero_point=-128)
    softmax.model.operator("SOFTMAX", [softmax.last], [answer], beta=1.0)
    softmax.last = answer
    blocks = Chain(3).conv(8, constant=constants).plain("RESHAPE", (1, 40, 5)).dense(2)
    framed = Chain(3).conv(8, constant=constants)
    paddings = framed.model.constant(np.array([[0, 0], [0, 0], [0, 0], [0, 1]], np.int32))
    framed.plain("PAD", (1, 5, 5, 9), paddings).conv(2)
    fixed = Chain(3).conv(8, constant=constants)
    operand = np.ones((1, 5, 5, 8), np.int8)
    fixed.add(fixed.model.constant(operand, scale=4.0, zero_point=0)).conv(2)
    crossed = Chain(3).conv(8, constant=constants)
    axes = crossed.model.constant(np.array([3], np.int32))
    crossed.plain("MEAN", (1, 5, 5), axes, keep_dims=False).dense(2)

    assert [c.channels()[0] for c in (softmax, blocks, framed, fixed, crossed)] == [8] * 5


def test_a_matrix_product_over_a_feature_map_reads_each_channel_in_many_places() -> None:
    chain = Chain(3).conv(8, constant=dict.fromkeys(range(4), 3))
    weights = chain.weights((5, 200), 0)
    chain.filtering("FULLY_CONNECTED", weights, (1, 5), 0, per_channel=False)

    assert chain.channels() == [4, 5]


def test_the_values_of_a_huge_graph_are_not_looked_at() -> None:
    model = ModelFactory()
    source = model.input((1, 300, 300, 1), scale=1.0, zero_point=0)
    flat = model.tensor((1, 90000), scale=1.0, zero_point=0)
    model.operator("RESHAPE", [source], [flat])
    output = model.tensor((1, 90000), scale=1.0, zero_point=0)
    model.operator("QUANTIZE", [flat], [output])
    model.outputs = [output]

    graph = compile_sources(model.build(), name="net").graph

    assert [operator.op for operator in graph.operators] == ["RESHAPE", "QUANTIZE"]
