from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from harness.codegen import generate
from harness.errors import HilnasError, UnsupportedModelError
from harness.planner import plan
from harness.tflite import read_graph
from tests.harness.kernels.cases import (
    Add,
    check_operator,
    quantised,
    scales,
    zero_points,
)
from tests.tflite_factory import ModelFactory


def add_softmax(draw: st.DrawFn, model: ModelFactory) -> None:
    rows, depth = draw(st.integers(1, 3)), draw(st.integers(1, 30))
    source = model.input((rows, depth), scale=draw(scales), zero_point=draw(zero_points))
    output = model.tensor((rows, depth), scale=1 / 256, zero_point=-128)
    model.outputs.append(output)
    beta = draw(st.sampled_from([1.0, 0.1, 0.3, 7.5]))
    model.operator("SOFTMAX", [source], [output], beta=beta)


def add_elementwise(draw: st.DrawFn, model: ModelFactory) -> None:
    op = draw(st.sampled_from(["RELU", "RELU6", "QUANTIZE"]))
    shape, details = (1, draw(st.integers(1, 200))), quantised(draw)
    source = model.input(shape, **details)
    output = model.tensor(shape, **(details if op == "RELU6" else quantised(draw)))
    model.outputs.append(output)
    model.operator(op, [source], [output])


# From the least to the greatest scale that each function is defined for, and what else it needs.
_SIGMOID_SCALES = st.sampled_from([2.0**-28, 2.0**-27, 1e-6, 1e5, 2.0**34.9])
_OTHER_SCALES = st.sampled_from([1e-40, 1e-9, 1e4, 1.2e7])


def add_function(draw: st.DrawFn, model: ModelFactory) -> None:
    op = draw(st.sampled_from(["ABS", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "TANH"]))
    fixed = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
    wild = _SIGMOID_SCALES if op in fixed else _OTHER_SCALES
    scale = float(np.float32(draw(st.one_of(scales, scales, wild))))
    shape = (1, draw(st.integers(1, 700)))
    source = model.input(shape, scale=scale, zero_point=draw(zero_points))
    gain = draw(st.sampled_from([1.0, 0.3, 4.0, 100.0, 1e-3, 1e-6, 1e-12]))
    q = fixed.get(op, (float(np.clip(scale / gain, 1e-40, 1e36)), draw(zero_points)))
    output = model.tensor(shape, scale=q[0], zero_point=q[1])
    model.outputs.append(output)
    options = {}
    if op == "LEAKY_RELU":
        options["alpha"] = draw(st.sampled_from([0.0, 0.01, 0.2, 0.3, -0.5, 1.0, 3.0]))
    model.operator(op, [source], [output], **options)


@pytest.mark.parametrize(
    "add", [add_softmax, add_elementwise, add_function], ids=lambda add: add.__name__
)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add)


def unary(op: str, *, scale: float = 0.1, output: float, zero_point: int, **options: Any) -> bytes:
    model = ModelFactory()
    source = model.input((1, 4), scale=scale)
    model.outputs = [model.tensor((1, 4), scale=output, zero_point=zero_point)]
    model.operator(op, [source], model.outputs, **options)
    return model.build()


@pytest.mark.parametrize(
    ("op", "details", "message"),
    [
        (
            "LOGISTIC",
            {"output": 1 / 128, "zero_point": -128},
            "output quantisation is not that of",
        ),
        ("LOGISTIC", {"output": 1 / 256, "zero_point": 0}, "output quantisation is not that of"),
        ("TANH", {"output": 1 / 256, "zero_point": 0}, "output quantisation is not that of"),
        ("TANH", {"output": 1 / 128, "zero_point": 1}, "output quantisation is not that of"),
        (
            "LOGISTIC",
            {"output": 1 / 256, "zero_point": -128, "scale": 2.0**35},
            "input scale is out of range",
        ),
        (
            "TANH",
            {"output": 1 / 128, "zero_point": 0, "scale": 2.0**-29},
            "input scale is out of range",
        ),
        (
            "HARD_SWISH",
            {"output": 0.1 / 128, "zero_point": 0},
            "output scale is too small for the input's",
        ),
        ("LEAKY_RELU", {"output": 0.1, "zero_point": 0, "alpha": np.nan}, "alpha is not finite"),
        ("LEAKY_RELU", {"output": 0.1, "zero_point": 0, "alpha": np.inf}, "alpha is not finite"),
    ],
)
def test_what_the_reference_does_not_define_is_refused(
    op: str, details: dict[str, Any], message: str
) -> None:
    with pytest.raises(HilnasError, match=rf"operator 0 \({op}\).*{message}"):
        read_graph(unary(op, **details), where="net.tflite")


def test_scales_that_no_shift_expresses_are_refused() -> None:
    graph = read_graph(unary("ABS", scale=1e5, output=1e-8, zero_point=0), where="net.tflite")

    with pytest.raises(UnsupportedModelError, match="too far apart"):
        generate(graph, plan(graph))
