"""What is refused of operators that move values and change none."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from harness.errors import MalformedModelError, ModelError
from tests.harness.tflite.models import int32, one_operator, read
from tests.tflite_factory import ModelFactory

REFUSED: list[tuple[Callable[[], ModelFactory], type[ModelError], str]] = [
    (
        lambda: one_operator("SQUEEZE", [(1, 4, 1)], (4, 1), options={"axes": [1]}),
        MalformedModelError,
        "squeezes axes of more than one (expected [0, 2], got [1])",
    ),
    (
        lambda: one_operator("SQUEEZE", [(1, 4)], (4,), options={"axes": [2]}),
        MalformedModelError,
        "has no such axis (expected -2..1, got 2)",
    ),
    (
        lambda: one_operator("SQUEEZE", [(1, 4, 1)], (4, 1), options={"axes": []}),
        MalformedModelError,
        "output shape contradicts the inputs (expected (4,), got (4, 1))",
    ),
    (
        lambda: one_operator("EXPAND_DIMS", [(4,)], (1, 4), constants=[int32(1)]),
        MalformedModelError,
        "output shape contradicts the inputs (expected (4, 1), got (1, 4))",
    ),
    (
        lambda: one_operator("EXPAND_DIMS", [(4,)], (1, 4), constants=[int32(-3)]),
        MalformedModelError,
        "has no such axis (expected -2..1, got -3)",
    ),
]


@pytest.mark.parametrize(("build", "error", "message"), REFUSED, ids=[m for _, _, m in REFUSED])
def test_what_cannot_be_moved_is_refused(
    build: Callable[[], ModelFactory], error: type[ModelError], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)) as caught:
        read(build())
    assert str(caught.value).startswith("net.tflite: ")
    assert caught.value.hint is not None
