"""Whole networks of int16 activations answer what TensorFlow Lite Micro's kernels do, and touch
exactly the planned arena: both variants on this machine, the DSP variant as Arm code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from harness.board import load_board
from harness.measure import measure
from harness.session import open_session
from tests.host_model import check
from tests.tflite_factory import NONE, RELU, RELU6, SAME, VALID, ModelFactory


class _Network:
    """A model while it grows from a map; all of `known` are int16."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw, self.model = draw, ModelFactory()
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        shape = (1, draw(st.integers(2, 8)), draw(st.integers(2, 8)), draw(st.integers(1, 9)))
        kind = draw(st.sampled_from(["float32", "int8", "int16"]))
        details = {} if kind == "float32" else {"scale": 2.0**-8}
        source = self.model.input(shape, dtype=kind, **details)
        self.known = [source]
        if kind != "int16":
            self.known = []
            self.finish("QUANTIZE", [source], shape, 2.0**-13)

    def shape(self, index: int) -> tuple[int, ...]:
        return self.model.tensors[index].shape

    def scale(self, index: int) -> float:
        return self.model.tensors[index].scales[0]

    def pick(self, *, rank: int = 0) -> int | None:
        """Mostly the newest, often any."""
        found = [i for i in self.known if not rank or len(self.shape(i)) == rank]
        if not found:
            return None
        return self.draw(st.one_of(st.just(found[-1]), st.sampled_from(found)))

    def finish(
        self, op: str, inputs: list[int], shape: tuple[int, ...], scale: float, **options: Any
    ) -> None:
        output = self.model.tensor(shape, dtype="int16", scale=float(np.float32(scale)))
        self.model.operator(op, inputs, [output], **options)
        self.known.append(output)

    def filters(self, source: int, shape: tuple[int, ...], axis: int) -> tuple[list[int], float]:
        count, depth = shape[axis], int(np.prod(shape)) // shape[axis]
        weights = self.rng.integers(-127, 128, shape, dtype=np.int8)
        scales = 2.0**-7 * self.rng.uniform(0.3, 1.0, count)
        operands = [self.model.constant(weights, scale=scales.tolist(), axis=axis)]
        if self.draw(st.booleans()):
            bias = self.rng.integers(-(10**6), 10**6, count, dtype=np.int64)
            products = (self.scale(source) * scales).tolist()
            operands.append(self.model.constant(bias, scale=products))
        return operands, self.scale(source) * depth**0.5

    def window(self, source: int, spans: tuple[int, int]) -> dict[str, Any]:
        step, padding = self.draw(st.sampled_from([1, 1, 2])), SAME
        sizes = self.shape(source)[1:3]
        if min(size - span for size, span in zip(sizes, spans, strict=True)) >= 0:
            padding = self.draw(st.sampled_from([SAME, VALID]))
        found = [
            -(-size // step) if padding == SAME else (size - span) // step + 1
            for size, span in zip(sizes, spans, strict=True)
        ]
        options = {"padding": padding, "stride_h": step, "stride_w": step}
        return {"sizes": tuple(found), "options": {**options, "activation": self.activation()}}

    def activation(self) -> int:
        return self.draw(st.sampled_from([NONE, NONE, RELU, RELU6]))


def _conv_2d(net: _Network) -> None:
    if (source := net.pick(rank=4)) is None:
        return
    kernel = net.draw(st.sampled_from([(1, 1), (3, 3), (2, 3)]))
    found, count = net.window(source, kernel), net.draw(st.integers(1, 9))
    operands, scale = net.filters(source, (count, *kernel, net.shape(source)[3]), 0)
    shape = (1, *found["sizes"], count)
    net.finish("CONV_2D", [source, *operands], shape, scale, **found["options"])


def _depthwise_conv_2d(net: _Network) -> None:
    if (source := net.pick(rank=4)) is None:
        return
    kernel, multiplier = net.draw(st.sampled_from([(3, 3), (1, 4)])), net.draw(st.integers(1, 2))
    found, count = net.window(source, kernel), net.shape(source)[3] * multiplier
    operands, scale = net.filters(source, (1, *kernel, count), 3)
    options = {**found["options"], "multiplier": multiplier}
    shape = (1, *found["sizes"], count)
    net.finish("DEPTHWISE_CONV_2D", [source, *operands], shape, scale, **options)


def _pool_2d(net: _Network) -> None:
    if (source := net.pick(rank=4)) is None:
        return
    found = net.window(source, (2, 2))
    op = net.draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
    shape = (1, *found["sizes"], net.shape(source)[3])
    options = {**found["options"], "filter_h": 2, "filter_w": 2}
    net.finish(op, [source], shape, net.scale(source), **options)


def _fully_connected(net: _Network) -> None:
    source, count = net.known[-1], net.draw(st.integers(1, 9))
    depth = net.shape(source)[-1]
    rows = int(np.prod(net.shape(source))) // depth
    operands, scale = net.filters(source, (count, depth), 0)
    activation = net.activation()
    net.finish("FULLY_CONNECTED", [source, *operands], (rows, count), scale, activation=activation)


def _add(net: _Network) -> None:
    first = net.known[-1]
    second = net.draw(st.sampled_from([i for i in net.known if net.shape(i) == net.shape(first)]))
    scale = 2 * max(net.scale(first), net.scale(second))
    net.finish("ADD", [first, second], net.shape(first), scale, activation=net.activation())


def _pad(net: _Network) -> None:
    source = net.known[-1]
    paddings = net.rng.integers(0, 2, (len(net.shape(source)), 2), dtype=np.int32)
    paddings[0] = 0
    shape = tuple((np.array(net.shape(source)) + paddings.sum(axis=1)).tolist())
    net.finish("PAD", [source, net.model.constant(paddings)], shape, net.scale(source))


def _mean(net: _Network) -> None:
    if (source := net.pick(rank=4)) is None:
        return
    axes = net.model.constant(np.array([1, 2], np.int32))
    shape = (1, net.shape(source)[3])
    net.finish("MEAN", [source, axes], shape, net.scale(source) / 2, keep_dims=False)


def _elementwise(net: _Network) -> None:
    source = net.pick()
    assert source is not None
    op = net.draw(st.sampled_from(["RELU", "RELU6", "QUANTIZE"]))
    scale = net.scale(source) * (1 if op == "RELU6" else net.draw(st.sampled_from([1, 1, 0.6])))
    net.finish(op, [source], net.shape(source), scale)


def _reshape(net: _Network) -> None:
    source = net.known[-1]
    count = int(np.prod(net.shape(source)))
    shape = net.draw(st.sampled_from([(1, count), (1, 1, 1, count)]))
    net.finish("RESHAPE", [source], shape, net.scale(source))


def _softmax(net: _Network) -> None:
    source = net.known[-1]
    if net.scale(source) < 1:
        net.finish("SOFTMAX", [source], net.shape(source), 1 / 32768, beta=1.0)


_STEPS: list[Callable[[_Network], None]] = [
    _conv_2d,
    _conv_2d,
    _depthwise_conv_2d,
    _pool_2d,
    _fully_connected,
    _add,
    _pad,
    _mean,
    _elementwise,
    _reshape,
    _softmax,
]


@st.composite
def networks(draw: st.DrawFn) -> ModelFactory:
    """Every result that no operator reads is an output; as often as not one becomes floats."""
    net = _Network(draw)
    _conv_2d(net)
    for _ in range(draw(st.integers(2, 12))):
        draw(st.sampled_from(_STEPS))(net)
    model = net.model
    if draw(st.booleans()):
        output = model.tensor(net.shape(net.known[-1]), dtype="float32")
        model.operator("DEQUANTIZE", [net.known[-1]], [output])
    used = {index for operator in model.operators for index in operator.inputs}
    written = [index for operator in model.operators for index in operator.outputs]
    model.outputs = [index for index in written if index not in used]
    return model


_SETTINGS = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.explicit, Phase.generate],
}


@settings(max_examples=16, **_SETTINGS)
@given(networks())
def test_a_network_of_int16_is_bit_exact_in_exactly_its_arena(model: ModelFactory) -> None:
    check(model.build())


def test_a_network_of_int16_is_bit_exact_as_arm_code() -> None:
    with open_session(load_board("nucleo_f412zg"), "virtual") as session:

        @settings(max_examples=4, **_SETTINGS)
        @given(networks())
        def compare(model: ModelFactory) -> None:
            # Refuses what is not exact: outputs, arena, guard.
            assert measure(model.build(), session, repeats=1).output.bit_exact

        compare()
