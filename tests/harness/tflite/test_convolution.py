"""What is refused of transposed convolutions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.errors import MalformedModelError, ModelError, UnsupportedModelError
from tests.harness.tflite.models import int8, int32, read
from tests.tflite_factory import NONE, SAME, ModelFactory


def transposed(
    *,
    size: tuple[int, int] = (6, 6),
    wanted: Any = (1, 6, 6, 2),
    weights: tuple[int, ...] = (2, 3, 3, 4),
    biases: int = 2,
    **options: Any,
) -> ModelFactory:
    model = ModelFactory()
    source = model.input((1, 3, 3, 4), scale=0.5)
    shape = model.tensor((4,), dtype="int32", data=None if wanted is None else int32(*wanted))
    if wanted is None:
        model.inputs.append(shape)
    filters = model.constant(int8(*weights), scale=0.5)
    bias = model.constant(np.ones(biases, np.int32), scale=0.25)
    model.outputs = [model.tensor((1, *size, 2), scale=0.5)]
    options = {"padding": SAME, "stride_h": 2, "stride_w": 2, "activation": NONE, **options}
    model.operator("TRANSPOSE_CONV", [shape, filters, source, bias], model.outputs, **options)
    return model


def test_macs_count_every_tap_of_every_input() -> None:
    graph = read(transposed())
    assert graph.total_macs == 9 * 4 * 9 * 2


REFUSED: list[tuple[Callable[[], ModelFactory], type[ModelError], str]] = [
    (
        lambda: transposed(wanted=None),
        UnsupportedModelError,
        "output shapes are computed at run time",
    ),
    (
        lambda: transposed(wanted=(1, 6, 5, 2)),
        MalformedModelError,
        "output shape contradicts the inputs (expected (1, 6, 5, 2), got (1, 6, 6, 2))",
    ),
    (
        lambda: transposed(size=(6, 7), wanted=(1, 6, 7, 2)),
        MalformedModelError,
        "output size contradicts the input's (expected an input of 3x4, got 3x3)",
    ),
    (
        lambda: transposed(weights=(2, 3, 3, 2)),
        MalformedModelError,
        "weights do not match the tensors (expected (2, h, w, 4), got (2, 3, 3, 2))",
    ),
    (
        lambda: transposed(weights=(2, 3, 12)),
        MalformedModelError,
        "weights have the wrong rank (expected 4, got (2, 3, 12))",
    ),
    (
        lambda: transposed(biases=4),
        MalformedModelError,
        "bias length differs from the channels (expected 2, got (4,))",
    ),
    (
        lambda: transposed(stride_h=512),
        UnsupportedModelError,
        "strides too far (expected height times width <= 256, got 512x2)",
    ),
]


@pytest.mark.parametrize(("build", "error", "message"), REFUSED, ids=[m for _, _, m in REFUSED])
def test_what_cannot_be_convolved_is_refused(
    build: Callable[[], ModelFactory], error: type[ModelError], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)) as caught:
        read(build())
    assert str(caught.value).startswith("net.tflite: operator 0 (TRANSPOSE_CONV): ")
    assert caught.value.hint is not None
