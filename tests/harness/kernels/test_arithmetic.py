from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from harness.broadcast import Axis, merge_axes, result_shape
from harness.codegen import generate
from harness.errors import HilnasError
from harness.planner import plan
from harness.tflite import read_graph
from tests.harness.kernels.cases import (
    Add,
    activations,
    check_operator,
    quantised,
    seeds,
    wild_scales,
    zero_points,
)
from tests.host_model import check
from tests.tflite_factory import NONE, RELU, RELU6, ModelFactory

Shape = tuple[int, ...]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Shape, Shape, Shape]:
    """Shapes of two operands, often equal, and of their result."""
    shape = draw(st.lists(st.integers(1, 7), min_size=1, max_size=5).map(tuple))
    if draw(st.booleans()):
        return shape, shape, shape
    first, second = (
        tuple(1 if repeated else size for size, repeated in zip(shape, draw(one), strict=True))
        for one in [st.lists(st.booleans(), min_size=len(shape), max_size=len(shape))] * 2
    )
    first, second = first[draw(st.integers(0, 1)) :], second[draw(st.integers(0, 2)) :]
    result = result_shape(first, second)
    assert result is not None
    return first, second, result


def operand(draw: st.DrawFn, model: ModelFactory, shape: Shape, details: dict[str, Any]) -> int:
    if draw(st.sampled_from([False, False, True])):
        rng = np.random.default_rng(draw(seeds))
        values = rng.integers(-128, 128, shape, dtype=np.int8)
        return model.constant(values, **details)
    return model.input(shape, **details)


def operands(
    draw: st.DrawFn, model: ModelFactory, first: dict[str, Any], second: dict[str, Any]
) -> tuple[list[int], Shape]:
    """Two operands, at least one computed at run time, and the result's shape."""
    *shapes, result = draw(pairs())
    inputs = [
        operand(draw, model, shape, details)
        for shape, details in zip(shapes, (first, second), strict=True)
    ]
    if not set(inputs) & set(model.inputs):
        inputs[0] = model.input(shapes[0], **first)
    if shapes[0] == shapes[1] and inputs[0] in model.inputs and draw(st.booleans()):
        inputs[1] = inputs[0]
    return inputs, result


def finish(
    model: ModelFactory, op: str, inputs: list[int], shape: Shape, details: Any, **options: Any
) -> None:
    output = model.tensor(shape, **details)
    model.outputs.append(output)
    model.operator(op, inputs, [output], **options)


def add_sum(draw: st.DrawFn, model: ModelFactory) -> None:
    op = draw(st.sampled_from(["ADD", "SUB"]))
    inputs, shape = operands(draw, model, quantised(draw), quantised(draw))
    finish(model, op, inputs, shape, quantised(draw), activation=draw(activations))


def add_sane_sum(draw: st.DrawFn, model: ModelFactory) -> None:
    """What a converter writes: the output covers the sums."""
    op = draw(st.sampled_from(["ADD", "SUB"]))
    base = draw(st.floats(0.01, 0.1))
    ratios = st.one_of(st.sampled_from([0.5, 1.0, 2.0]), st.floats(0.2, 2.0))
    first, second, output = (
        {"scale": float(np.float32(base * draw(ratios))), "zero_point": draw(zero_points)}
        for _ in range(3)
    )
    inputs, shape = operands(draw, model, first, second)
    finish(model, op, inputs, shape, output, activation=draw(activations))


def add_wild_sum(draw: st.DrawFn, model: ModelFactory) -> None:
    first_scale, second_scale = draw(wild_scales), draw(wild_scales)
    op = "ADD"
    # TensorFlow Lite subtracts scales in single precision, and aborts where that ends.
    if min(first_scale, second_scale) > 1e-30 and max(first_scale, second_scale) < 1e30:
        op = draw(st.sampled_from(["ADD", "SUB"]))
    count = draw(st.integers(1, 99))
    first = model.input((count,), scale=first_scale, zero_point=draw(zero_points))
    second = model.input((count,), scale=second_scale, zero_point=draw(zero_points))
    scale = draw(st.sampled_from([1.0, 2.0, 1 / 300, 1e3])) * max(first_scale, second_scale)
    details = {"scale": float(np.clip(scale, 1e-45, 3e38)), "zero_point": draw(zero_points)}
    finish(model, op, [first, second], (count,), details, activation=NONE)


def add_product(draw: st.DrawFn, model: ModelFactory) -> None:
    op = draw(st.sampled_from(["MUL", "PRELU"]))
    inputs, shape = operands(draw, model, quantised(draw), quantised(draw))
    first, second = (model.tensors[index].scales[0] for index in inputs)
    gain = draw(st.sampled_from([1.0, 1.0, 0.01, 30.0, 1e-5, 1e5, 1e-12]))
    base = first * second * (200 if op == "MUL" else 1)
    details = {"scale": float(np.float32(base / gain)), "zero_point": draw(zero_points)}
    options = {"activation": draw(activations)} if op == "MUL" else {}
    finish(model, op, inputs, shape, details, **options)


def add_extremum(draw: st.DrawFn, model: ModelFactory) -> None:
    op, details = draw(st.sampled_from(["MAXIMUM", "MINIMUM"])), quantised(draw)
    inputs, shape = operands(draw, model, details, details)
    finish(model, op, inputs, shape, details)


@pytest.mark.parametrize(
    "add",
    [add_sum, add_sane_sum, add_wild_sum, add_product, add_extremum],
    ids=lambda add: add.__name__,
)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add)


def every_pair(op: str, scale: float, **options: Any) -> bytes:
    model = ModelFactory()
    first = model.input((256, 1), scale=0.0537138219, zero_point=-3)
    second = model.input((256,), scale=0.0703417733, zero_point=20)
    model.outputs = [model.tensor((256, 256), scale=scale, zero_point=-128)]
    model.operator(op, [first, second], model.outputs, **options)
    return model.build()


@pytest.mark.parametrize("activation", [NONE, RELU, RELU6])
@pytest.mark.parametrize("op", ["ADD", "SUB"])
def test_sums_are_two_products_where_scales_are_sane(op: str, activation: int) -> None:
    graph = read_graph(every_pair(op, 0.0612398477, activation=activation), where="net.tflite")

    source = generate(graph, plan(graph))["model.c"]

    assert "sum_s8(" in source


def test_sums_keep_their_roundings_where_two_products_cannot_hold_them() -> None:
    graph = read_graph(every_pair("ADD", 0.001, activation=NONE), where="net.tflite")

    source = generate(graph, plan(graph))["model.c"]

    assert "add_s8(" in source
    check(every_pair("ADD", 0.001, activation=NONE))


@pytest.mark.parametrize("op", ["ADD", "MUL", "SUB"])
def test_an_operand_that_is_one_constant_leaves_a_table(op: str) -> None:
    model = ModelFactory()
    source = model.input((1, 9), scale=0.05, zero_point=-3)
    bound = model.constant(np.array([77], np.int8), scale=0.05)
    model.outputs = [model.tensor((1, 9), scale=0.1)]
    model.operator(op, [bound, source], model.outputs, activation=NONE)
    graph = read_graph(model.build(), where="net.tflite")

    assert "lookup_s8(" in generate(graph, plan(graph))["model.c"]
    check(model.build())


def test_a_repeated_operand_keeps_its_memory() -> None:
    """The output may lie where the other one was."""
    model = ModelFactory()
    source, gate = model.input((1, 9, 4), scale=0.05), model.input((1, 1, 4), scale=0.05)
    model.outputs = [model.tensor((1, 9, 4), scale=0.5)]
    model.operator("MUL", [gate, source], model.outputs, activation=NONE)
    graph = read_graph(model.build(), where="net.tflite")

    found = plan(graph)

    assert found.offsets[model.outputs[0]] == found.offsets[source]
    assert found.arena_bytes == 36 + 4


def test_shapes_that_walk_alike_become_one_axis() -> None:
    assert merge_axes((1, 4, 5, 6), (4, 5, 6)) == (Axis(120, 1, 1),)
    assert merge_axes((1, 4, 5, 6), (6,)) == (Axis(20, 6, 0), Axis(6, 1, 1))
    assert merge_axes((4, 5, 1), (4, 5, 6)) == (Axis(20, 1, 6), Axis(6, 0, 1))
    assert merge_axes((1, 1), (2, 3)) == (Axis(6, 0, 1),)
    assert merge_axes((), ()) == (Axis(1, 1, 1),)


def two_operands(op: str, first: Any, second: Any, output: Any, **options: Any) -> bytes:
    """Each a shape and a scale."""
    model = ModelFactory()
    inputs = [model.input(shape, scale=scale) for shape, scale in (first, second)]
    model.outputs = [model.tensor(output[0], scale=output[1])]
    model.operator(op, inputs, model.outputs, **options)
    return model.build()


_LINE = (4,), 0.5


@pytest.mark.parametrize(
    ("op", "first", "second", "output", "message"),
    [
        ("ADD", ((2, 4), 0.5), ((3, 4), 0.5), ((2, 4), 0.5), "inputs do not fit each other"),
        ("MUL", ((2, 4), 0.5), ((4,), 0.5), ((4,), 0.5), "output shape contradicts the inputs"),
        ("SUB", _LINE, _LINE, ((4,), 1e-9), "output scale is too small for its inputs"),
        ("MAXIMUM", _LINE, ((4,), 0.25), _LINE, "compares different quantisations"),
        ("MINIMUM", _LINE, _LINE, ((4,), 0.25), "compares different quantisations"),
    ],
)
def test_what_the_reference_does_not_define_is_refused(
    op: str, first: Any, second: Any, output: Any, message: str
) -> None:
    options = {} if op in ("MAXIMUM", "MINIMUM") else {"activation": NONE}

    with pytest.raises(HilnasError, match=rf"operator 0 \({op}\).*{re.escape(message)}"):
        read_graph(two_operands(op, first, second, output, **options), where="net.tflite")


def test_products_that_no_shift_expresses_are_refused() -> None:
    data = two_operands("MUL", ((4,), 1e9), ((4,), 1e9), ((4,), 1.0), activation=NONE)
    graph = read_graph(data, where="net.tflite")

    with pytest.raises(HilnasError, match="too far apart"):
        generate(graph, plan(graph))
