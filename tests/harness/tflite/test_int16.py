"""What of int16 activations has no kernel, or no meaning in the reference, is refused by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.compiler import compile_sources
from harness.errors import UnsupportedModelError
from tests.harness.tflite.models import int8, read, window
from tests.tflite_factory import NONE, SAME, TYPES, ModelFactory

_INT16 = {"dtype": "int16", "scale": 0.5}


def one(
    op: str,
    inputs: list[tuple[int, ...]],
    output: tuple[int, ...],
    *constants: Any,
    result: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    **details: Any,
) -> ModelFactory:
    """`op` on int16 inputs of the given shapes, then on constants."""
    model = ModelFactory()
    operands = [model.input(shape, **{**_INT16, **details}) for shape in inputs]
    for values in constants:
        operands.append(model.constant(values, scale=0.5 if values.dtype == np.int8 else 0.25))
    model.outputs = [model.tensor(output, **{**_INT16, **(result or {})})]
    model.operator(op, operands, model.outputs, **(options or {}))
    return model


def depthwise(bias: str) -> ModelFactory:
    constants = int8(1, 3, 3, 2), np.zeros(2, bias)
    options = window(multiplier=1)
    return one("DEPTHWISE_CONV_2D", [(1, 5, 5, 2)], (1, 3, 3, 2), *constants, options=options)


def product(*bias: Any, scale: float = 0.5, **options: Any) -> ModelFactory:
    options = {"activation": NONE, **options}
    result = {"scale": scale}
    return one(
        "FULLY_CONNECTED", [(1, 4)], (1, 2), int8(2, 4), *bias, result=result, options=options
    )


def pool(size: int) -> ModelFactory:
    options = window(padding=SAME, filter_h=size, filter_w=size)
    return one("AVERAGE_POOL_2D", [(1, size, size, 1)], (1, size, size, 1), options=options)


def softmax(*shape: int, scale: float = 0.5, beta: float = 1.0, **result: Any) -> ModelFactory:
    result = {"scale": 1 / 32768, **result}
    return one("SOFTMAX", [shape], shape, result=result, options={"beta": beta}, scale=scale)


UNSUPPORTED: list[tuple[Callable[[], ModelFactory], str]] = [
    (
        lambda: one("ABS", [(1, 4)], (1, 4)),
        "operator 0 (ABS): tensor 0 is int16 (expected int8, got int16); this operator has no "
        "int16 kernel: convert to int8, or replace it",
    ),
    (
        lambda: one("RELU", [(1, 4)], (1, 4), zero_point=3),
        "operator 0 (RELU): int16 tensor 0 is not symmetric (expected 0, got 3); quantise with",
    ),
    (
        lambda: one("RELU", [(1, 4)], (1, 4), result={"dtype": "int8"}),
        "operator 0 (RELU): mixes tensor 0 and tensor 1 (expected int16, got int8); convert to",
    ),
    (
        lambda: depthwise("int32"),
        "operator 0 (DEPTHWISE_CONV_2D): has int32 biases with int16 activations (expected int64, "
        "got int32); convert with int64 biases",
    ),
    (
        lambda: one("ADD", [(1, 4), (1, 1)], (1, 4), options={"activation": NONE}),
        "adds different shapes of int16 (expected (1, 4), got (1, 1)); make both inputs equal",
    ),
    (lambda: pool(256), "adds up too many int16 (expected <= 65535, got 65536); use a smaller"),
    (lambda: softmax(1, 4, scale=4.0), "beta times scale is out of range"),
    (lambda: softmax(1, (1 << 16) + 1), "has too many classes (expected <= 65536, got 65537)"),
    (lambda: softmax(1, 4, scale=0.5, beta=-1.0), "beta times scale is out of range"),
    (
        lambda: one("SOFTMAX", [(1, 4)], (1, 4), options={"beta": 1.0}),
        "output quantisation is not that of SOFTMAX (expected scale 3.05175781e-05, zero point 0",
    ),
]


@pytest.mark.parametrize(("build", "message"), UNSUPPORTED, ids=[m for _, m in UNSUPPORTED])
def test_what_int16_cannot_do_is_unsupported(
    build: Callable[[], ModelFactory], message: str
) -> None:
    with pytest.raises(UnsupportedModelError, match=re.escape(message)) as caught:
        read(build())
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            product(np.array([5, 1 << 46])),
            "operator 0 (FULLY_CONNECTED): has a bias that overflows the accumulator (expected "
            "below 2^46, got 70368744177664)",
        ),
        (
            product(np.array([5, -(1 << 63)])),
            "(expected below 2^46, got -9223372036854775808)",
        ),
        (
            product(scale=2.0**-10),
            "operator 0 (FULLY_CONNECTED): input and output scales are too far apart (expected a "
            "ratio below 2^7 for int16, got 2^9)",
        ),
    ],
    ids=["bias", "least bias", "scales"],
)
def test_sums_beyond_the_references_are_unsupported(model: ModelFactory, message: str) -> None:
    with pytest.raises(UnsupportedModelError, match=re.escape(message)):
        compile_sources(model.build(), name="generated")


@pytest.mark.parametrize(
    ("model", "int32_sums"),
    [
        (product(), False),
        (product(bias_type=TYPES["int32"]), True),
        (product(np.zeros(2, np.int64)), False),
        (product(np.zeros(2, np.int32)), True),
    ],
    ids=["no bias", "no int32 bias", "int64", "int32"],
)
def test_biases_decide_how_wide_sums_are(model: ModelFactory, int32_sums: bool) -> None:
    assert read(model).operators[0].options.int32_sums is int32_sums
