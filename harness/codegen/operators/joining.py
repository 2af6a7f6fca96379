"""What C do operators that join tensors, or take one apart, become? One copy of strided rows for
each part."""

from __future__ import annotations

import math

from harness.codegen.operators.code import Code, Writer
from harness.tflite import Axis, Tensor


def _join(code: Code) -> None:
    _copy_parts(code, code.inputs, code.output, joins=True)


def _split(code: Code) -> None:
    position = 1 if code.operator.op == "SPLIT" else 0
    _copy_parts(code, code.outputs, code.input(position), joins=False)


def _copy_parts(code: Code, parts: list[Tensor], whole: Tensor, *, joins: bool) -> None:
    """Rows of `whole` are those of the parts, one behind the other."""
    options = code.operator.options
    assert isinstance(options, Axis)
    rows = math.prod(whole.shape[: options.axis])
    at = 0
    for part in parts:
        size = part.elements // rows
        piece = code.address(whole) if at == 0 else f"{code.address(whole)} + {at}"
        if joins:
            _copy_rows(code, rows, size, code.address(part), size, piece, whole.elements // rows)
        else:
            _copy_rows(code, rows, size, piece, whole.elements // rows, code.address(part), size)
        at += size


def _copy_rows(
    code: Code, rows: int, size: int, source: str, source_stride: int, to: str, to_stride: int
) -> None:
    if rows == 1 or source_stride == to_stride == size:
        code.call("memcpy", to, source, rows * size)
    else:
        code.call("copy_rows_s8", rows, size, source, source_stride, to, to_stride)


WRITERS: dict[str, Writer] = {
    "CONCATENATION": _join,
    "PACK": _join,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "UNPACK": _split,
}
