"""What the reference kernels compute lies in the intervals that were worked out without them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from harness.compiler import compile_sources
from harness.errors import UnsupportedModelError
from harness.oracle import reference_outputs
from harness.passes.intervals import Intervals, find_intervals
from harness.tflite import Graph, read_graph
from tests.random_networks import networks
from tests.tflite_factory import NONE, RELU, RELU6, SAME, VALID, ModelFactory


def intervals_of(model: ModelFactory) -> Intervals:
    return find_intervals(read_graph(model.build(), where="net"))


def ends(found: Intervals, tensor: int) -> list[tuple[int, int]]:
    interval = found[tensor]
    return list(zip(interval.low.tolist(), interval.high.tolist(), strict=True))


def extremes(graph: Graph, rng: np.random.Generator) -> list[np.ndarray]:
    values = [np.array([-128, 127]), np.arange(-128, 128), rng.integers(-128, 128, 2)]
    return [
        rng.choice(values[rng.integers(3)], graph.tensor(index).shape).astype(np.int8)
        for index in graph.inputs
    ]


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(networks(), st.integers(0, 2**32 - 1))
def test_every_value_lies_in_its_interval(model: ModelFactory, seed: int) -> None:
    model.outputs = [operator.outputs[0] for operator in model.operators]
    data = model.build()
    rng = np.random.default_rng(seed)
    try:
        graph = compile_sources(data, name="net").given
        found = find_intervals(graph)
    except UnsupportedModelError:
        reject()
    for _ in range(4):
        for index, values in zip(
            graph.outputs, reference_outputs(data, extremes(graph, rng)), strict=True
        ):
            if index in found:
                assert (values >= found[index].low).all(), index
                assert (values <= found[index].high).all(), index


@pytest.mark.parametrize("seed", range(4))
def test_the_ends_of_a_matrix_products_intervals_are_reached(seed: int) -> None:
    rng = np.random.default_rng(seed)
    channels, depth = 5, 7
    weights = rng.integers(-127, 128, (channels, depth), dtype=np.int8)
    model = ModelFactory()
    source = model.input((2 * channels, depth), scale=0.5, zero_point=int(rng.integers(-9, 9)))
    operands = [
        source,
        model.constant(weights, scale=0.25),
        model.constant(rng.integers(-999, 999, channels, dtype=np.int32), scale=0.125),
    ]
    output = model.tensor((2 * channels, channels), scale=100.0, zero_point=-7)
    model.operator("FULLY_CONNECTED", operands, [output], activation=NONE)
    model.outputs = [output]

    most = np.where(weights > 0, 127, -128)
    extremes = np.concatenate([-1 - most, most]).astype(np.int8)
    (values,) = reference_outputs(model.build(), [extremes])

    own = np.arange(channels)
    reached = zip(values[own, own].tolist(), values[channels + own, own].tolist(), strict=True)
    assert ends(intervals_of(model), output) == list(reached)


def one_filter(
    weight: int, bias: int, *, padding: int = VALID, scale: float = 1.0, activation: int = NONE
) -> list[tuple[int, int]]:
    """Ends of a 2x1 window of one `weight`, an eighth each, over inputs whose zero point is -128,
    where the clamp of a ReLU begins at -100."""
    model = ModelFactory()
    source = model.input((1, 2, 1, 1), scale=1.0, zero_point=-128)
    filters = model.constant(np.full((1, 2, 1, 1), weight, np.int8), scale=0.125)
    biases = model.constant(np.array([bias], np.int32))
    rows = 2 if padding == SAME else 1
    model.outputs = [model.tensor((1, rows, 1, 1), scale=scale, zero_point=-100)]
    model.operator(
        "CONV_2D",
        [source, filters, biases],
        model.outputs,
        padding=padding,
        stride_h=1,
        stride_w=1,
        activation=activation,
    )
    return ends(intervals_of(model), model.outputs[0])


def test_ends_are_images_of_the_ends_of_the_sums() -> None:
    assert one_filter(1, 0) == [(-100, -100 + 64)]  # 2 * 255 / 8, the half away from zero
    assert one_filter(-1, 0) == [(-128, -100)]
    assert one_filter(-1, 80) == [(-128, -90)]


def test_a_clamp_makes_constants() -> None:
    assert one_filter(-1, -1, activation=RELU) == [(-100, -100)]
    assert one_filter(1, 80, activation=RELU6) == [(-94, -94)]


def test_padding_is_one_of_the_inputs_values() -> None:
    model = ModelFactory()
    source = model.input((1, 2, 2, 1), scale=1.0, zero_point=5)
    low = model.tensor((1, 2, 2, 1), scale=1.0, zero_point=5)
    model.operator("RELU", [source], [low])
    window = {"stride_h": 1, "stride_w": 1, "activation": NONE}
    filters = model.constant(np.array([1], np.int8).reshape(1, 1, 1, 1), scale=1.0)
    high = model.tensor((1, 2, 2, 1), scale=1.0, zero_point=100)
    biases = model.constant(np.array([20], np.int32))
    model.operator("CONV_2D", [low, filters, biases], [high], padding=VALID, **window)
    wide = model.constant(np.ones((1, 3, 3, 1), np.int8), scale=1.0)
    output = model.tensor((1, 2, 2, 1), scale=10.0, zero_point=0)
    model.operator("CONV_2D", [high, wide], [output], padding=SAME, **window)
    model.outputs = [output]

    found = intervals_of(model)

    assert ends(found, high) == [(120, 127)]
    # Each of nine taps may meet padding, or at most 27 above the zero point.
    assert ends(found, output) == [(0, 24)]


def test_sums_beyond_int32_may_make_anything() -> None:
    assert one_filter(127, 2**31 - 1) == [(-128, 127)]
    assert one_filter(127, 0, scale=1e-6) == [(-128, 127)]  # the shift to the left overflows


def test_movements_keep_what_is_known() -> None:
    model = ModelFactory()
    q = {"scale": 1.0, "zero_point": 0}
    source = model.input((1, 2, 2, 2), **q)
    positive = model.tensor((1, 2, 2, 2), **q)
    model.operator("RELU", [source], [positive])
    framed = model.tensor((1, 3, 2, 3), **q)
    paddings = model.constant(np.array([[0, 0], [1, 0], [0, 0], [0, 1]], np.int32))
    value = model.constant(np.array(-5, np.int8), **q)
    model.operator("PADV2", [positive, paddings, value], [framed])
    pooled = model.tensor((1, 1, 1, 3), **q)
    window = {"stride_h": 3, "stride_w": 2, "filter_h": 3, "filter_w": 2, "padding": VALID}
    model.operator("MAX_POOL_2D", [framed], [pooled], activation=RELU6, **window)
    joined, split, odd = (model.tensor(shape, **q) for shape in [(1, 18), (1, 18, 1), (1, 9, 2)])
    model.operator("RESHAPE", [framed], [joined])
    model.operator("RESHAPE", [framed], [split])
    model.operator("RESHAPE", [framed], [odd])
    mean = model.tensor((1, 3), scale=2.0, zero_point=1)
    axes = model.constant(np.array([1, 2], np.int32))
    model.operator("MEAN", [framed, axes], [mean], keep_dims=False)
    model.outputs = [pooled, joined, split, odd, mean]

    found = intervals_of(model)

    assert ends(found, positive) == [(0, 127)] * 2
    assert ends(found, framed) == [(-5, 127), (-5, 127), (-5, -5)]
    assert ends(found, pooled) == [(0, 6), (0, 6), (0, 0)]
    assert ends(found, joined) == ends(found, framed) * 6
    assert ends(found, split) == [(-5, 127)]
    assert ends(found, odd) == [(-5, 127)] * 2
    assert ends(found, mean) == [(-2, 65), (-2, 65), (-2, -2)]


def test_functions_of_one_value_map_intervals() -> None:
    model = ModelFactory()
    q = {"scale": 0.05, "zero_point": 0}
    source = model.input((1, 2), **q)
    positive = model.tensor((1, 2), **q)
    model.operator("RELU", [source], [positive])
    details = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0), "ABS": (0.05, -100)}
    model.outputs = []
    for op, (scale, zero_point) in details.items():
        model.outputs.append(model.tensor((1, 2), scale=scale, zero_point=zero_point))
        model.operator(op, [source if op == "ABS" else positive], [model.outputs[-1]])

    logistic, tanh, absolute = (ends(intervals_of(model), index) for index in model.outputs)

    assert logistic == [(0, 127)] * 2
    assert tanh == [(0, 127)] * 2
    assert absolute == [(-100, 28)] * 2  # 128 steps above the zero point


@pytest.mark.parametrize(("op", "value"), [("ADD", 5), ("SUB", 1), ("MUL", 6)])
def test_functions_of_two_constants_are_constants(op: str, value: int) -> None:
    model = ModelFactory()
    q = {"scale": 1.0, "zero_point": 0}
    source = model.input((1, 2), **q)
    known = [model.constant(np.array([[x, x]], np.int8), **q) for x in (3, 2)]
    both, half = model.tensor((1, 2), **q), model.tensor((1, 2), **q)
    model.operator(op, known, [both], activation=NONE)
    model.operator(op, [source, known[1]], [half], activation=RELU)
    model.outputs = [both, half]

    found = intervals_of(model)

    assert ends(found, both) == [(value, value)] * 2
    assert ends(found, half) == [(0, 127)] * 2


def test_what_is_not_known_may_be_anything_and_floats_have_no_interval() -> None:
    model = ModelFactory()
    source = model.input((1, 3), scale=1.0, zero_point=0)
    answer = model.tensor((1, 3), scale=1 / 256, zero_point=-128)
    model.operator("SOFTMAX", [source], [answer], beta=1.0)
    real = model.tensor((1, 3), dtype="float32")
    model.operator("DEQUANTIZE", [answer], [real])
    again = model.tensor((1, 3), scale=1.0, zero_point=0)
    model.operator("QUANTIZE", [real], [again])
    model.outputs = [again]

    found = intervals_of(model)

    assert ends(found, answer) == ends(found, again) == [(-128, 127)] * 3
    assert real not in found


def test_a_scale_that_no_multiplier_expresses_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="scales are too far apart"):
        one_filter(1, 0, scale=1e-30)
