"""Channels that no output depends on are gone, and nobody can tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from harness.compiler import compile_sources
from harness.errors import UnsupportedModelError
from harness.tflite import Graph
from tests.host_model import check
from tests.random_networks import networks
from tests.tflite_factory import NONE, SAME, VALID, ModelFactory

_WINDOW = {"stride_h": 1, "stride_w": 1}


class _Chain:
    """A model that grows by one operator after another, from `channels` channels of 5x5."""

    def __init__(self, channels: int, *, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.model = ModelFactory()
        self.last = self.model.input((1, 5, 5, channels), scale=0.5, zero_point=3)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.model.tensors[self.last].shape

    def weights(self, shape: tuple[int, ...], axis: int) -> np.ndarray:
        values = self.rng.integers(1, 128, shape, dtype=np.int8)
        return values * self.rng.choice(np.array([-1, 1], np.int8), shape)

    def output(self, shape: tuple[int, ...], zero_point: int) -> int:
        return self.model.tensor(shape, scale=4.0, zero_point=zero_point)

    def filtering(
        self,
        op: str,
        weights: np.ndarray,
        shape: tuple[int, ...],
        axis: int,
        *,
        constant: dict[int, int] | None = None,
        unread: tuple[int, ...] = (),
        zero_point: int = -20,
        per_channel: bool = True,
        **options: Any,
    ) -> _Chain:
        """constant: what the filter of a channel makes, a multiple of the scale away from the zero
        point. unread: input channels with weights of zero."""
        count = weights.shape[axis]
        bias = self.rng.integers(-999, 999, count, dtype=np.int32)
        if unread:
            weights[..., list(unread)] = 0
        for channel, value in (constant or {}).items():
            weights[(slice(None),) * axis + (channel,)] = 0
            bias[channel] = value * 64  # 4 / (0.5 / 8)
        scale = 4.0 if self.model.operators else 0.5
        scales = np.full(count if per_channel else 1, 1 / (16 * scale)).tolist()
        operands = [
            self.last,
            self.model.constant(weights, scale=scales, axis=axis if per_channel else 0),
            self.model.constant(bias, scale=[s * scale for s in scales]),
        ]
        output = self.output(shape, zero_point)
        self.model.operator(op, operands, [output], **{"activation": NONE, **options})
        self.last = output
        return self

    def conv(self, count: int, *, kernel: int = 1, padding: int = VALID, **details: Any) -> _Chain:
        _, height, width, channels = self.shape
        weights = self.weights((count, kernel, kernel, channels), 0)
        less = 0 if padding == SAME else kernel - 1
        shape = (1, height - less, width - less, count)
        return self.filtering("CONV_2D", weights, shape, 0, padding=padding, **_WINDOW, **details)

    def depthwise(self, *, padding: int = SAME, multiplier: int = 1, **details: Any) -> _Chain:
        _, height, width, channels = self.shape
        weights = self.weights((1, 3, 3, channels * multiplier), 3)
        less = 0 if padding == SAME else 2
        shape = (1, height - less, width - less, channels * multiplier)
        return self.filtering(
            "DEPTHWISE_CONV_2D", weights, shape, 3,
            padding=padding, multiplier=multiplier, **_WINDOW, **details,
        )  # fmt: skip

    def dense(self, count: int, **details: Any) -> _Chain:
        depth = self.shape[-1]
        rows = int(np.prod(self.shape)) // depth
        weights = self.weights((count, depth), 0)
        return self.filtering("FULLY_CONNECTED", weights, (rows, count), 0, **details)

    def add(self, other: int) -> _Chain:
        output = self.output(self.shape, 9)
        self.model.operator("ADD", [other, self.last], [output], activation=NONE)
        self.last = output
        return self

    def plain(self, op: str, shape: tuple[int, ...], *operands: int, **options: Any) -> _Chain:
        zero_point = self.model.tensors[self.last].zero_points[0]
        output = self.output(shape, zero_point)
        self.model.operator(op, [self.last, *operands], [output], **options)
        self.last = output
        return self

    def channels(self, *more: int) -> list[int]:
        """Of each operator's output, once compiled; what the model computes is still the same."""
        self.model.outputs = [*more, self.last]
        check(self.model.build(), seed=1)
        graph = self.compiled()
        return [graph.tensor(operator.outputs[0]).shape[-1] for operator in graph.operators]

    def compiled(self) -> Graph:
        return compile_sources(self.model.build(), name="net").graph


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
    chain = _Chain(3).conv(8, constant={1: 5, 2: -7, 3: 0, 6: 1}).conv(3)

    assert chain.channels() == [4, 3]
    graph = chain.compiled()
    assert [graph.tensor(o.inputs[1]).shape for o in graph.operators] == [
        (4, 1, 1, 3),
        (3, 1, 1, 4),
    ]


def test_a_channel_that_meets_only_zero_weights_goes() -> None:
    assert _Chain(3).conv(8).conv(3, unread=(0, 1, 5, 6)).channels() == [4, 3]


def test_the_inputs_of_what_is_gone_go_too() -> None:
    chain = _Chain(3).conv(8).conv(8, unread=(7,)).conv(8, unread=(0, 1, 2, 3)).conv(3)
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
    chain = _Chain(2).conv(count, constant=dict.fromkeys(range(constants), 3)).conv(3)

    assert chain.channels() == [left, 3]


def test_behind_padding_only_the_zero_point_can_be_folded() -> None:
    zero = _Chain(3).conv(8, constant=dict.fromkeys(range(4), 0)).conv(3, kernel=3, padding=SAME)
    other = _Chain(3).conv(8, constant=dict.fromkeys(range(4), 1)).conv(3, kernel=3, padding=SAME)
    inside = _Chain(3).conv(8, constant=dict.fromkeys(range(4), 1)).conv(3, kernel=3)

    assert zero.channels() == [4, 3]
    assert other.channels() == [8, 3]
    assert inside.channels() == [4, 3]


def test_padding_below_and_to_the_right_is_padding_too() -> None:
    chain = _Chain(3).conv(8, constant=dict.fromkeys(range(4), 1))
    chain.conv(3, kernel=2, padding=SAME)

    assert chain.channels() == [8, 3]


def test_a_depthwise_convolution_passes_on_that_a_channel_goes() -> None:
    constants = dict.fromkeys(range(4), 6)
    behind = _Chain(3).conv(8).depthwise(constant=constants).conv(3)
    ahead = _Chain(3).conv(8, constant=constants).depthwise(padding=VALID).conv(3)
    padded = _Chain(3).conv(8, constant=constants).depthwise().conv(3)
    spread = _Chain(3).conv(8).depthwise(multiplier=2, constant=dict.fromkeys(range(9), 6)).conv(3)

    assert behind.channels() == [4, 4, 3]
    assert ahead.channels() == [4, 4, 3]
    assert padded.channels() == [8, 8, 3]
    assert spread.channels() == [4, 8, 3]


def test_an_addition_goes_where_both_its_operands_do() -> None:
    def residual(second: tuple[int, ...]) -> _Chain:
        chain = _Chain(3).conv(8, constant=dict.fromkeys(range(4), 2))
        skip = chain.last
        chain.conv(8, constant=dict.fromkeys(second, 5))
        return chain.add(skip).conv(3, unread=(0, 1, 2, 3))

    assert residual((0, 1, 2, 3)).channels() == [4, 4, 4, 3]
    assert residual((4, 5, 6, 7)).channels() == [4, 4, 4, 3]


def test_pools_means_pads_and_reshapes_work_channel_by_channel() -> None:
    pool = {**_WINDOW, "filter_h": 2, "filter_w": 2, "padding": VALID, "activation": NONE}
    chain = _Chain(3).conv(8, constant=dict.fromkeys(range(4), 3))
    paddings = chain.model.constant(np.array([[0, 0], [1, 0], [0, 1], [0, 0]], np.int32))
    chain.plain("AVERAGE_POOL_2D", (1, 4, 4, 8), **pool).plain("RELU", (1, 4, 4, 8))
    chain.plain("MAX_POOL_2D", (1, 3, 3, 8), **pool)
    chain.plain("QUANTIZE", (1, 3, 3, 8)).conv(8, constant=dict.fromkeys(range(4), 0))
    chain.plain("PAD", (1, 4, 4, 8), paddings).plain("RESHAPE", (4, 4, 8))
    chain.plain("RESHAPE", (1, 128)).dense(5)

    assert chain.channels() == [4, 4, 4, 4, 4, 4, 4, 4, 64, 5]


def test_a_mean_keeps_channels_apart() -> None:
    chain = _Chain(3).conv(8, constant=dict.fromkeys(range(4), 3))
    axes = chain.model.constant(np.array([1, 2], np.int32))

    assert chain.plain("MEAN", (1, 8), axes, keep_dims=False).dense(2).channels() == [4, 4, 2]


def test_what_the_outside_reads_stays() -> None:
    chain = _Chain(3).conv(8, constant=dict.fromkeys(range(4), 3))
    seen = chain.last

    assert chain.conv(3).channels(seen) == [8, 3]


def test_what_mixes_channels_in_ways_not_known_keeps_them() -> None:
    constants = dict.fromkeys(range(8), 3)
    softmax = _Chain(3).conv(8, constant=constants)
    answer = softmax.model.tensor((1, 5, 5, 8), scale=1 / 256, zero_point=-128)
    softmax.model.operator("SOFTMAX", [softmax.last], [answer], beta=1.0)
    softmax.last = answer
    blocks = _Chain(3).conv(8, constant=constants).plain("RESHAPE", (1, 40, 5)).dense(2)
    framed = _Chain(3).conv(8, constant=constants)
    paddings = framed.model.constant(np.array([[0, 0], [0, 0], [0, 0], [0, 1]], np.int32))
    framed.plain("PAD", (1, 5, 5, 9), paddings).conv(2)
    fixed = _Chain(3).conv(8, constant=constants)
    operand = np.ones((1, 5, 5, 8), np.int8)
    fixed.add(fixed.model.constant(operand, scale=4.0, zero_point=0)).conv(2)
    crossed = _Chain(3).conv(8, constant=constants)
    axes = crossed.model.constant(np.array([3], np.int32))
    crossed.plain("MEAN", (1, 5, 5), axes, keep_dims=False).dense(2)

    assert [c.channels()[0] for c in (softmax, blocks, framed, fixed, crossed)] == [8] * 5


def test_a_matrix_product_over_a_feature_map_reads_each_channel_in_many_places() -> None:
    chain = _Chain(3).conv(8, constant=dict.fromkeys(range(4), 3))
    weights = chain.weights((5, 200), 0)
    chain.filtering("FULLY_CONNECTED", weights, (1, 5), 0, per_channel=False)

    assert chain.channels() == [4, 5]


def test_per_channel_scales_of_a_matrix_product_stay_per_channel() -> None:
    # TFLite multiplies one scale in single precision, and several in double.
    chain = _Chain(3).dense(2, constant={0: 3}).dense(3)

    assert chain.channels() == [2, 3]


def test_a_huge_graph_is_left_alone() -> None:
    model = ModelFactory()
    source = model.input((1, 300, 300, 1), scale=1.0, zero_point=0)
    flat = model.tensor((1, 90000), scale=1.0, zero_point=0)
    model.operator("RESHAPE", [source], [flat])
    output = model.tensor((1, 90000), scale=1.0, zero_point=0)
    model.operator("RELU", [flat], [output])
    model.outputs = [output]

    program = compile_sources(model.build(), name="net")

    assert program.graph is program.given
