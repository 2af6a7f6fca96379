"""State that the reader finds, and what is refused of operators that keep some."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.errors import MalformedModelError, ModelError, UnsupportedModelError
from tests.harness.tflite.models import read, relu
from tests.tflite_factory import NONE, TANH, ModelFactory, svdf


def layer(at: int | None = None, *, rank: int = 2, **changes: Any) -> ModelFactory:
    """SVDF, its input `at` changed."""
    model = ModelFactory()
    source = model.input((1, 6), scale=0.5)
    model.outputs = [svdf(model, source, rank=2)]
    operator = model.operators[0]
    operator.options = {"rank": rank, "activation": 0}
    if at is not None:
        tensor = model.tensors[operator.inputs[at]]
        for name, value in changes.items():
            setattr(tensor, name, value)
    return model


def without_biases() -> ModelFactory:
    model = layer()
    model.operators[0].inputs[3] = -1
    return model


def with_one_state() -> ModelFactory:
    model = layer()
    operator = model.operators[0]
    model.outputs.append(model.tensor((1, 5), scale=0.25, zero_point=3))
    model.operator("SVDF", operator.inputs, [model.outputs[1]], rank=2, activation=0)
    return model


def with_state_as_output() -> ModelFactory:
    model = layer()
    model.inputs.append(model.operators[0].inputs[4])
    return model


def test_state_is_what_an_operator_keeps() -> None:
    graph = read(layer())
    state = graph.operators[0].inputs[4]
    assert graph.states == (state,)
    assert graph.tensor(state).variable
    assert graph.tensor(state).reset_value == 0
    assert graph.total_macs == 10 * 6 + 10 * 3


def test_state_of_int8_starts_from_its_zero_point() -> None:
    times = np.ones((10, 3), np.int8)
    model = layer(4, dtype="int8", zero_points=(-7,))
    changed = model.tensors[model.operators[0].inputs[2]]
    changed.dtype, changed.data = "int8", times.tobytes()
    graph = read(model)
    assert graph.tensor(graph.states[0]).reset_value == -7


def lstm(at: int | None = None, *, without: int | None = None, **changes: Any) -> ModelFactory:
    """An LSTM of 3 units on 2 steps of 4, its input `at` changed or made."""
    model = ModelFactory()
    options = {"activation": TANH, "cell_clip": 0.0, "time_major": False}
    options.update({name: changes.pop(name) for name in list(changes) if name in options})
    operands = [-1] * 24
    operands[0] = model.input((1, 2, 4), scale=0.5)
    for i in range(4):
        operands[1 + i] = model.constant(np.ones((3, 4), np.int8), scale=0.5)
        operands[5 + i] = model.constant(np.ones((3, 3), np.int8), scale=0.5)
        operands[12 + i] = model.constant(np.ones(3, np.int32), scale=0.25)
    operands[18] = model.tensor((1, 3), scale=0.5, zero_point=4, is_variable=True)
    operands[19] = model.tensor((1, 3), dtype="int16", scale=2.0**-11, is_variable=True)
    if at is not None and operands[at] < 0:
        operands[at] = model.constant(np.ones(3, np.int16), scale=0.5)
    elif at is not None:
        for name, value in changes.items():
            setattr(model.tensors[operands[at]], name, value)
    if without is not None:
        operands[without] = -1
    model.outputs = [model.tensor((1, 2, 3), scale=0.5, zero_point=4)]
    model.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, model.outputs, **options)
    return model


def test_an_lstm_keeps_its_output_and_its_cells() -> None:
    graph = read(lstm())
    assert [graph.tensor(index).dtype for index in graph.states] == ["int8", "int16"]
    assert [graph.tensor(index).reset_value for index in graph.states] == [4, 0]
    assert graph.total_macs == 2 * 4 * 3 * (4 + 3)


REFUSED: list[tuple[Callable[[], ModelFactory], type[ModelError], str]] = [
    (
        lambda: relu(is_variable=True),
        UnsupportedModelError,
        "operator 0 (RELU) reads tensor 1, which is variable (expected state of",
    ),
    (
        with_one_state,
        UnsupportedModelError,
        "operator 1 (SVDF) keeps its state in tensor 4, which has another use",
    ),
    (
        with_state_as_output,
        UnsupportedModelError,
        "operator 0 (SVDF) keeps its state in tensor 4, which has another use",
    ),
    (
        lambda: layer(4, data=bytes(60)),
        UnsupportedModelError,
        "tensor 4 is variable and has a first value",
    ),
    (
        lambda: layer(4, extra={}, data=bytes(60)),
        MalformedModelError,
        "input 4 is its state and not variable",
    ),
    (
        lambda: layer(4, dtype="int8"),
        UnsupportedModelError,
        "state has the wrong type (expected int16, got int8)",
    ),
    (lambda: layer(4, scales=()), UnsupportedModelError, "state has no scale"),
    (
        lambda: layer(4, shape=(1, 29)),
        MalformedModelError,
        "state has the wrong size (expected (1, 30), got (1, 29))",
    ),
    (
        lambda: layer(2, zero_points=(5,)),
        UnsupportedModelError,
        "weights 2 are not symmetric (expected 0, got 5)",
    ),
    (
        lambda: layer(1, scales=(0.5,) * 10, zero_points=(0,) * 10),
        UnsupportedModelError,
        "weights 1 are quantised per channel or not at all",
    ),
    (
        lambda: layer(1, shape=(10, 3, 2)),
        MalformedModelError,
        "input or weights have the wrong rank (expected 2 each, got (1, 6), (10, 3, 2), (10, 3))",
    ),
    (
        lambda: layer(1, shape=(12, 5)),
        MalformedModelError,
        "weights 1 have the wrong shape (expected (10, 6), got (12, 5))",
    ),
    (
        lambda: layer(rank=3),
        MalformedModelError,
        "filters are no multiple of the rank (expected a divisor of 10, got 3)",
    ),
    (
        lambda: layer(rank=0),
        MalformedModelError,
        "filters are no multiple of the rank (expected a divisor of 10, got 0)",
    ),
    (
        lambda: layer(3, scales=(0.5,)),
        UnsupportedModelError,
        "bias scale is not state scale times weight scale (expected 5.96046e-08, got 0.5)",
    ),
    (lambda: lstm(10), UnsupportedModelError, "has peephole connections"),
    (lambda: lstm(16), UnsupportedModelError, "has a projection"),
    (lambda: lstm(21), UnsupportedModelError, "has layer normalisation"),
    (lambda: lstm(without=1), UnsupportedModelError, "couples its input and forget gates"),
    (lambda: lstm(without=13), MalformedModelError, "input 13 is missing"),
    (
        lambda: lstm(7, shape=(1, 9)),
        MalformedModelError,
        "weights 7 have the wrong shape (expected (3, 3), got (1, 9))",
    ),
    (
        lambda: lstm(0, shape=(2, 4)),
        MalformedModelError,
        "input or output has the wrong rank (expected 3, got (2, 4), (1, 2, 3))",
    ),
    (
        lambda: lstm(19, scales=(0.3,)),
        UnsupportedModelError,
        "cell state has an impossible scale (expected a power of two, 2^-40 to 2^2, got 0.3)",
    ),
    (
        lambda: lstm(19, scales=(8.0,)),
        UnsupportedModelError,
        "cell state has an impossible scale (expected a power of two, 2^-40 to 2^2, got 8)",
    ),
    (
        lambda: lstm(activation=NONE),
        UnsupportedModelError,
        "activation is not tanh (expected 4, got 0)",
    ),
    (
        lambda: lstm(cell_clip=-1.0),
        MalformedModelError,
        "cell clip is impossible (expected a number >= 0, got -1.0)",
    ),
    (
        lambda: lstm(time_major=True),
        MalformedModelError,
        "state has the wrong size (expected (2, 3), got (1, 3))",
    ),
    (without_biases, UnsupportedModelError, "has no biases (expected biases, got none)"),
]


@pytest.mark.parametrize(("build", "error", "message"), REFUSED, ids=[m for _, _, m in REFUSED])
def test_what_cannot_keep_state_is_refused(
    build: Callable[[], ModelFactory], error: type[ModelError], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)) as caught:
        read(build())
    assert str(caught.value).startswith("net.tflite: ")
    assert caught.value.hint is not None
