"""Integers that follow from fixed shapes are constants of the graph; no kernel computes them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from harness.compiler import compile_sources
from harness.errors import MalformedModelError, UnsupportedModelError
from harness.tflite import Graph, read_graph
from tests.host_model import check
from tests.tflite_factory import NONE, RELU, ModelFactory


def read(model: ModelFactory) -> Graph:
    return read_graph(model.build(), where="net")


def with_an_output(model: ModelFactory) -> ModelFactory:
    source = model.input((1, 4), scale=1.0, zero_point=0)
    model.outputs = [model.tensor((1, 4), scale=1.0, zero_point=0)]
    model.operator("RELU", [source], [model.outputs[0]])
    return model


def evaluated(
    op: str, *operands: Any, shape: tuple[int, ...], dtype: str = "int32", **options: Any
) -> np.ndarray:
    """What `op` becomes for integer constants, or arrays of any other type."""
    model = ModelFactory()
    inputs = [
        model.constant(x if isinstance(x, np.ndarray) else np.array(x, np.int32)) for x in operands
    ]
    output = model.tensor(shape, dtype=dtype)
    model.operator(op, inputs, [output], **options)
    graph = read(with_an_output(model))
    assert [operator.index for operator in graph.operators] == [1]
    assert [(operator.index, operator.op) for operator in graph.folded] == [(0, op)]
    data = graph.tensor(output).data
    assert data is not None and data.dtype == dtype and data.shape == shape
    return data


def sliced(
    source: Any, begin: Any, end: Any, step: Any, shape: tuple[int, ...], **masks: int
) -> Any:
    every = dict.fromkeys(
        ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask", "offset"),
        0,
    )
    every |= masks
    return evaluated("STRIDED_SLICE", source, begin, end, step, shape=shape, **every).tolist()


def flattened_at_run_time() -> ModelFactory:
    """What keras' Flatten becomes: (batch, everything else) worked out from the input's shape."""
    model = ModelFactory()
    q = {"scale": 1.0, "zero_point": 0}
    image = model.input((1, 3, 4, 2), **q)
    positive = model.tensor((1, 3, 4, 2), **q)
    model.operator("RELU", [image], [positive])
    shape = model.tensor((4,), dtype="int32")
    model.operator("SHAPE", [positive], [shape])
    ends = [model.constant(np.array([value], np.int32)) for value in (0, 1, 1)]
    batch = model.tensor((), dtype="int32")
    masks = dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask"), 0)
    model.operator("STRIDED_SLICE", [shape, *ends], [batch], shrink_axis_mask=1, **masks)
    rest = model.constant(np.array(24, np.int32))
    wanted = model.tensor((2,), dtype="int32")
    model.operator("PACK", [batch, rest], [wanted], count=2, axis=0)
    flat = model.tensor((1, 24), **q)
    model.operator("RESHAPE", [positive, wanted], [flat])
    answer = model.tensor((1, 24), **q)
    model.operator("RELU6", [flat], [answer])
    model.outputs = [answer]
    return model


def test_the_shape_of_a_reshape_may_be_computed() -> None:
    model = flattened_at_run_time()

    check(model.build())

    graph = read(model)
    assert [(o.index, o.op) for o in graph.operators] == [
        (0, "RELU"),
        (4, "RESHAPE"),
        (5, "RELU6"),
    ]
    assert [(o.index, o.op) for o in graph.folded] == [
        (1, "SHAPE"),
        (2, "STRIDED_SLICE"),
        (3, "PACK"),
    ]


def test_nothing_of_it_reaches_the_code() -> None:
    program = compile_sources(flattened_at_run_time().build(), name="net")

    reported = re.findall(r"LAYER\((\d+)\)", program.sources["model.c"])
    assert {int(index) for index in reported} <= {0, 4, 5}


def test_a_shape_is_that_of_any_tensor() -> None:
    assert evaluated("SHAPE", np.zeros((3, 1, 2), np.int8), shape=(3,)).tolist() == [3, 1, 2]


def test_slices_take_masks_and_steps() -> None:
    assert sliced([5, 6, 7, 8], [1], [3], [1], (2,)) == [6, 7]
    assert sliced([5, 6, 7, 8], [-1], [0], [-2], (2,)) == [8, 6]
    assert sliced([5, 6, 7, 8], [2], [1], [1], (4,), begin_mask=1, end_mask=1) == [5, 6, 7, 8]
    assert sliced([5, 6, 7, 8], [-1], [0], [1], (), shrink_axis_mask=1) == 8
    assert sliced([5, 6, 7, 8], [2], [0], [1], (), shrink_axis_mask=1, begin_mask=1) == 5
    assert sliced([[1, 2], [3, 4]], [1], [2], [1], (2,), shrink_axis_mask=1) == [3, 4]


def test_elements_are_picked_joined_and_rearranged() -> None:
    assert evaluated("GATHER", [5, 6, 7], [2, 0], shape=(2,), axis=0, batch_dims=0).tolist() == [
        7,
        5,
    ]
    assert evaluated("PACK", 5, 6, shape=(2,), count=2, axis=-1).tolist() == [5, 6]
    joined = evaluated("CONCATENATION", [5], [6, 7], shape=(3,), axis=0, activation=NONE)
    assert joined.tolist() == [5, 6, 7]
    for op in ("RESHAPE", "EXPAND_DIMS"):
        assert evaluated(op, [5, 6], [0], shape=(1, 2)).tolist() == [[5, 6]]
    assert evaluated("SQUEEZE", [[5, 6]], shape=(2,)).tolist() == [5, 6]


def test_numbers_are_computed() -> None:
    for op, expected in [("ADD", [9, 5]), ("SUB", [5, 1]), ("MUL", [14, 6])]:
        assert evaluated(op, [7, 3], 2, shape=(2,), activation=NONE).tolist() == expected
    assert evaluated("FLOOR_DIV", [7, -7], 2, shape=(2,)).tolist() == [3, -4]
    assert evaluated("MAXIMUM", [7, 3], 5, shape=(2,)).tolist() == [7, 5]
    assert evaluated("MINIMUM", [7, 3], 5, shape=(2,)).tolist() == [5, 3]
    assert evaluated("REDUCE_PROD", [7, 3], [0], shape=(1,), keep_dims=True).tolist() == [21]
    assert evaluated("FILL", [2, 1], 9, shape=(2, 1)).tolist() == [[9], [9]]
    assert evaluated("RANGE", 1, 6, 2, shape=(3,)).tolist() == [1, 3, 5]
    assert evaluated("RANGE", 5, 1, -3, shape=(2,)).tolist() == [5, 2]
    assert evaluated("CAST", np.array([1 << 20]), shape=(1,)).tolist() == [1 << 20]
    assert evaluated("CAST", [3], shape=(1,), dtype="int64").tolist() == [3]


@pytest.mark.parametrize(
    ("op", "operands", "shape", "options", "message"),
    [
        ("SHAPE", [[1, 2]], (2,), {}, "output shape contradicts the inputs"),
        ("PACK", [[1], [2, 3]], (2, 1), {"axis": 0}, "operands differ in shape"),
        ("PACK", [[1], [2]], (2, 1), {"axis": 2}, "has no such axis"),
        ("CONCATENATION", [[1], 2], (2,), {"axis": 0}, "operands differ in rank"),
        ("CONCATENATION", [[[1]], [[2, 3]]], (2, 1), {"axis": 0}, "operands differ in shape"),
        ("STRIDED_SLICE", [[1], [0, 0], [1, 1], [1, 1]], (1,), {}, "has impossible slices"),
        ("STRIDED_SLICE", [[1], [0], [1], [0]], (1,), {}, "in steps of 0"),
        ("STRIDED_SLICE", [[1], [1], [2], [1]], (), {"shrink_axis_mask": 1}, "what is not there"),
        ("STRIDED_SLICE", [[1], [0], [1], [1]], (1,), {"ellipsis_mask": 1}, "with ellipsis_mask"),
        ("STRIDED_SLICE", [[1], [0], [0], [1]], (1,), {}, "output shape contradicts"),
        ("GATHER", [[1], [1]], (1,), {"axis": 0}, "gathers what is not there"),
        ("GATHER", [[1], [0]], (1,), {"axis": 0, "batch_dims": 1}, "in batches"),
        ("SQUEEZE", [[1, 2]], (1,), {}, "changes size"),
        ("ADD", [[1, 2], [1, 2, 3]], (3,), {}, "do not broadcast"),
        ("ADD", [[1], [2]], (1,), {"activation": RELU}, "clamps integers"),
        ("ADD", [[[1]] * 4096, [1] * 4096], (1,), {}, "output shape contradicts"),
        ("MUL", [[1 << 30], [2]], (1,), {}, "computes numbers that leave its type"),
        ("FLOOR_DIV", [[1], [0]], (1,), {}, "divides by 0"),
        ("FILL", [[2], 1], (3,), {}, "output shape contradicts the inputs"),
        ("FILL", [[1], [1, 2]], (1,), {}, "input 1 is no scalar"),
        ("RANGE", [0, 3, 0], (3,), {}, "in steps of 0"),
        ("RANGE", [0, 1 << 30, 1], (3,), {}, "output shape contradicts the inputs"),
        ("REDUCE_PROD", [[1], [1]], (), {"keep_dims": False}, "has no such axis"),
        ("CAST", [], (1,), {}, "has the wrong number of operands"),
        ("RESHAPE", [list(range(4097)), [4097]], (4097,), {}, "larger than any shape"),
    ],
)
def test_what_cannot_be_computed_is_refused(
    op: str, operands: list[Any], shape: tuple[int, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises((MalformedModelError, UnsupportedModelError), match=message) as raised:
        evaluated(op, *operands, shape=shape, **options)

    assert "operator 0" in str(raised.value)


def test_a_range_without_end_is_refused_at_once() -> None:
    with pytest.raises(MalformedModelError, match="output shape contradicts"):
        ends = [np.array(x) for x in (-(1 << 63), (1 << 63) - 1, 1)]
        evaluated("RANGE", *ends, shape=(3,), dtype="int64")


def test_numbers_known_only_at_run_time_are_refused() -> None:
    model = ModelFactory()
    count = model.input((1,), dtype="int32")
    output = model.tensor((2,), dtype="int32")
    model.operator("FILL", [count, model.constant(np.array(0, np.int32))], [output])

    with pytest.raises(UnsupportedModelError) as raised:
        read(with_an_output(model))

    assert "operator 0 (FILL)" in str(raised.value)
    assert f"int32 of tensor {count} known only at run time" in str(raised.value)
    assert "export the model with fixed shapes" in str(raised.value)


def test_an_output_that_depends_on_no_input_is_refused() -> None:
    model = with_an_output(ModelFactory())
    shape = model.tensor((2,), dtype="int32")
    model.operator("SHAPE", [model.inputs[0]], [shape])
    model.outputs.append(shape)

    with pytest.raises(UnsupportedModelError, match="does not depend on the inputs"):
        read(model)
