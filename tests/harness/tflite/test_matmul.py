"""What is refused of products of matrices computed at run time."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from harness.errors import MalformedModelError, ModelError, UnsupportedModelError
from tests.harness.tflite.models import one_operator, read
from tests.tflite_factory import ModelFactory

Shape = tuple[int, ...]


def product(
    first: Shape, second: Shape, output: Shape, *, x: bool = False, y: bool = False
) -> ModelFactory:
    options = {"adjoint_x": x, "adjoint_y": y}
    return one_operator("BATCH_MATMUL", [first, second], output, options=options)


@pytest.mark.parametrize("x", [False, True])
def test_macs_count_the_depth_of_every_output(x: bool) -> None:
    graph = read(product((2, 5, 3) if x else (2, 3, 5), (5, 4), (2, 3, 4), x=x))
    assert graph.total_macs == 2 * 3 * 4 * 5


REFUSED: list[tuple[Callable[[], ModelFactory], type[ModelError], str]] = [
    (
        lambda: product((3, 5), (4, 5), (3, 5)),
        MalformedModelError,
        "matrices do not match (expected sums over 5, got over 4)",
    ),
    (
        lambda: product((2, 3, 5), (3, 5, 4), (2, 3, 4)),
        MalformedModelError,
        "batches do not match (expected equal sizes, or 1, got (2, 3, 5), (3, 5, 4))",
    ),
    (
        lambda: product((2, 3, 5), (5, 4), (3, 4)),
        MalformedModelError,
        "output shape contradicts the inputs (expected (2, 3, 4), got (3, 4))",
    ),
    (
        lambda: product((5,), (5, 4), (4,)),
        UnsupportedModelError,
        "multiplies tensors of another rank (expected 2..5, got 1)",
    ),
    (
        lambda: product((1, 1, 1, 1, 3, 5), (5, 4), (1, 1, 1, 1, 3, 4)),
        UnsupportedModelError,
        "multiplies tensors of another rank (expected 2..5, got 6)",
    ),
]


@pytest.mark.parametrize(("build", "error", "message"), REFUSED, ids=[m for _, _, m in REFUSED])
def test_what_cannot_be_multiplied_is_refused(
    build: Callable[[], ModelFactory], error: type[ModelError], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)) as caught:
        read(build())
    assert str(caught.value).startswith("net.tflite: operator 0 (BATCH_MATMUL): ")
    assert caught.value.hint is not None
