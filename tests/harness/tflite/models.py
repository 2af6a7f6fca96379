"""Small models of one operator or few, good ones and such as no converter would write."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.errors import ModelError
from harness.tflite import read_graph
from tests.tflite_factory import NONE, VALID, ModelFactory


def read(model: ModelFactory | bytes) -> Any:
    data = model if isinstance(model, bytes) else model.build()
    return read_graph(data, where="net.tflite")


# What draws the model, the error, and what its sentence contains.
Refusal = tuple[Callable[[], ModelFactory], type[ModelError], str]


def expect_refusal(model: ModelFactory, error: type[ModelError], message: str) -> None:
    """One sentence that names the file and the next step."""
    with pytest.raises(error, match=re.escape(message)) as caught:
        read(model)
    assert str(caught.value).startswith("net.tflite: ")
    assert caught.value.hint is not None


def one_operator(
    op: str,
    inputs: list[tuple[int, ...]],
    output: tuple[int, ...],
    *,
    constants: list[Any] | None = None,
    quantisation: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
) -> ModelFactory:
    """`op` on int8 inputs of the given shapes, then on constants."""
    model = ModelFactory()
    details = {"scale": 0.5, "zero_point": 1} if quantisation is None else quantisation
    operands = [model.input(shape, **details) for shape in inputs]
    for values in constants or []:
        scaled = np.asarray(values).dtype == np.int8
        operands.append(model.constant(values, **({"scale": 0.5} if scaled else {})))
    model.outputs = [model.tensor(output, **details)]
    model.operator(op, operands, model.outputs, **(options or {}))
    return model


def window(**changes: Any) -> dict[str, Any]:
    return {"padding": VALID, "stride_h": 1, "stride_w": 1, "activation": NONE, **changes}


def int8(*shape: int) -> Any:
    return np.ones(shape, np.int8)


def int32(*values: Any) -> Any:
    return np.array(values, np.int32)


def relu(**changes: Any) -> ModelFactory:
    model = ModelFactory()
    details = {"scale": 0.5, **changes}
    model.outputs = [model.tensor((1, 4), scale=0.5)]
    model.inputs = [model.tensor(details.pop("shape", (1, 4)), **details)]
    model.operator("RELU", model.inputs, model.outputs)
    return model


def operands(inputs: list[int], outputs: list[int]) -> ModelFactory:
    model = relu()
    model.operators[0].inputs, model.operators[0].outputs = inputs, outputs
    return model


def graph_ends(inputs: list[int], outputs: list[int]) -> ModelFactory:
    model = relu()
    model.inputs, model.outputs = inputs, outputs
    return model


CONV = {"constants": [int8(3, 3, 3, 2)], "options": window()}
