from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from harness.compiler import compile_sources
from harness.errors import HilnasError
from harness.oracle import reference_outputs
from harness.planner import plan
from harness.tflite import read_graph
from tests.harness.kernels.cases import (
    Add,
    check_operator,
    quantised,
    scales,
    zero_points,
)
from tests.host_model import check, compile_variants
from tests.tflite_factory import ModelFactory

_REQUANTISED = [
    ("int8", "int8"),
    ("int8", "int16"),
    ("int8", "int32"),
    ("int8", "uint8"),
    ("int16", "int8"),
    ("int16", "int16"),
    ("int16", "int32"),
    ("int32", "int8"),
    ("int32", "int16"),
    ("uint8", "int8"),
]
_CAST_FROM = ["bool", "int8", "int16", "int32", "uint32"]
_CAST_TO = ["float32", "int8", "int16", "int32", "uint32"]


def add_float_border(draw: st.DrawFn, model: ModelFactory) -> None:
    shape, details = (1, draw(st.integers(1, 200))), quantised(draw)
    if draw(st.booleans()):
        source = model.input(shape, dtype="float32")
        kind, op = draw(st.sampled_from(["int8", "int16"])), "QUANTIZE"
        output = model.tensor(shape, dtype=kind, **details)
    else:
        kind, op = draw(st.sampled_from(["int8", "int16", "uint8"])), "DEQUANTIZE"
        if kind == "uint8":
            details["zero_point"] += 128
        source = model.input(shape, dtype=kind, **details)
        output = model.tensor(shape, dtype="float32")
    model.outputs.append(output)
    model.operator(op, [source], [output])


def add_requantisation(draw: st.DrawFn, model: ModelFactory) -> None:
    kinds = draw(st.sampled_from(_REQUANTISED))
    gain = draw(st.sampled_from([1.0, 1.0, 1 / 256, 256.0, 1e-6, 1e-12, 1e5]))
    sizes = dict.fromkeys(kinds, 0)
    scale = draw(scales)
    zeros = []
    for kind in kinds:
        limits = np.iinfo(kind)
        sizes[kind] = limits.max
        zero = draw(zero_points) + (128 if kind == "uint8" else 0)
        wide = draw(st.sampled_from([0, 0, 1])) * (limits.max // 3) * (kind in ("int16", "int32"))
        zeros.append(zero + wide)
    details = [(scale, zeros[0]), (float(np.float32(scale / gain)), zeros[1])]
    if draw(st.integers(0, 3)) == 0:  # the same numbers, counted from elsewhere
        details[1] = (scale, zeros[1])
    shape = (1, draw(st.integers(1, 300)))
    source, output = (
        add(shape, dtype=kind, scale=one, zero_point=zero)
        for add, kind, (one, zero) in zip((model.input, model.tensor), kinds, details, strict=True)
    )
    model.outputs.append(output)
    model.operator("QUANTIZE", [source], [output])


def add_cast(draw: st.DrawFn, model: ModelFactory) -> None:
    shape = (1, draw(st.integers(1, 200)))
    source = model.input(shape, dtype=draw(st.sampled_from(_CAST_FROM)))
    output = model.tensor(shape, dtype=draw(st.sampled_from(_CAST_TO)))
    model.outputs.append(output)
    model.operator("CAST", [source], [output])


@pytest.mark.parametrize(
    "add", [add_float_border, add_requantisation, add_cast], ids=lambda add: add.__name__
)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add)


def one_conversion(op: str, source: str, output: str, **details: Any) -> bytes:
    model = ModelFactory()
    operand = model.input((1, 6), dtype=source, **details)
    model.outputs = [model.tensor((1, 6), dtype=output, **details)]
    model.operator(op, [operand], model.outputs)
    return model.build()


@pytest.mark.parametrize("kind", _CAST_TO)
def test_a_float_is_cut_off_towards_zero(kind: str) -> None:
    """Of what the type holds; the rest is defined nowhere."""
    values = np.array([[0.0, 0.99, 1.5, 100.7, 127.0, 3.0]], np.float32)
    if kind != "uint32":
        values *= np.array([1, -1, -1, -1, 1, 1], np.float32)
    data = one_conversion("CAST", "float32", kind)

    models = compile_variants(compile_sources(data, name="net.tflite"))

    (expected,) = reference_outputs(data, [values])
    for model in models.values():
        np.testing.assert_array_equal(model.run([values]).outputs[0], expected)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("int32", [2**31 - 1, -(2**31), 0, 2**31 - 1, -(2**31), 0]),
        ("uint32", [2**32 - 1, 0, 0, 3 << 30, 0, 0]),
    ],
)
def test_a_float_beyond_its_type_becomes_the_nearest(kind: str, expected: list[int]) -> None:
    values = np.array([[np.inf, -np.inf, np.nan, 3.0 * 2**30, -3e9, -0.5]], np.float32)
    program = compile_sources(one_conversion("CAST", "float32", kind), name="net.tflite")

    for model in compile_variants(program).values():
        assert model.run([values]).outputs[0].tolist() == [expected]


@pytest.mark.parametrize(
    ("op", "source", "output"),
    [("DEQUANTIZE", "int8", "float32"), ("CAST", "int16", "int32"), ("QUANTIZE", "int8", "int16")],
)
def test_results_lie_over_operands_and_are_written_behind_what_is_read(
    op: str, source: str, output: str
) -> None:
    data = one_conversion(op, source, output, scale=0.5)

    size = 6 * max(np.dtype(source).itemsize, np.dtype(output).itemsize)
    assert plan(read_graph(data, where="net.tflite")).arena_bytes <= size + 4
    check(data)


@pytest.mark.parametrize(
    ("op", "source", "output", "message"),
    [
        ("QUANTIZE", "float32", "uint8", "converts float32 to uint8"),
        ("QUANTIZE", "uint8", "int16", "converts uint8 to int16"),
        ("QUANTIZE", "bool", "int8", "converts from bool"),
        ("DEQUANTIZE", "int32", "float32", "converts from int32"),
        ("DEQUANTIZE", "int8", "int8", "converts int8 to int8"),
        ("CAST", "uint8", "int8", "converts from uint8"),
        ("CAST", "int8", "uint8", "converts int8 to uint8"),
    ],
)
def test_types_that_the_reference_does_not_convert_are_refused(
    op: str, source: str, output: str, message: str
) -> None:
    with pytest.raises(HilnasError, match=rf"operator 0 \({op}\).*{message}"):
        read_graph(one_conversion(op, source, output, scale=0.5), where="net.tflite")


@pytest.mark.parametrize(("op", "output"), [("QUANTIZE", "int16"), ("DEQUANTIZE", "float32")])
def test_a_conversion_needs_a_scale(op: str, output: str) -> None:
    with pytest.raises(HilnasError, match=rf"operator 0 \({op}\).*has no scale"):
        read_graph(one_conversion(op, "int8", output), where="net.tflite")
