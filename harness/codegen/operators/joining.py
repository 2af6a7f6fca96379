"""What C do operators that join tensors, or take one apart, become? One copy of strided rows for
each part."""

from __future__ import annotations

import math

from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.copying import write_row_copy
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
    row, at = whole.bytes // rows, 0
    for part in parts:
        size = part.bytes // rows
        piece = code.address(whole) if at == 0 else f"{code.address(whole)} + {at}"
        if joins:
            write_row_copy(code, rows, size, code.address(part), size, piece, row)
        else:
            write_row_copy(code, rows, size, piece, row, code.address(part), size)
        at += size


WRITERS: dict[str, Writer] = {
    "CONCATENATION": _join,
    "PACK": _join,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "UNPACK": _split,
}
