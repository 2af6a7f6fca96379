"""Which call copies bytes that lie some way apart? The plainest that does."""

from __future__ import annotations

from collections.abc import Sequence

from harness.axes import Strided, merge_strided
from harness.codegen.operators.code import Code

_AXES = 5  # of strided_copy_t


def write_row_copy(
    code: Code, rows: int, size: int, source: str, source_stride: int, to: str, to_stride: int
) -> None:
    """`size` bytes of each row."""
    if rows == 1 or source_stride == to_stride == size:
        code.call("memcpy", to, source, rows * size)
    else:
        code.call("copy_rows_s8", rows, size, source, source_stride, to, to_stride)


def write_strided_copy(code: Code, axes: Sequence[Strided], source: str, to: str) -> None:
    """Elements along `axes`, with strides in elements, become the output, one behind the other."""
    width = code.output.width
    merged = merge_strided(
        [*(Strided(axis.size, axis.stride * width) for axis in axes), Strided(width, 1)]
    )
    padded = [Strided(1, 0)] * (_AXES - len(merged)) + merged
    rows, inner = padded[-2:]
    if len(merged) <= 2 and inner.stride in (0, 1):
        code.call("copy_rows_s8", rows.size, inner.size, source, rows.stride, to, inner.size)
    else:
        table = code.struct(
            "strided_copy_t",
            sizes="{" + ", ".join(str(axis.size) for axis in padded) + "}",
            strides="{" + ", ".join(str(axis.stride) for axis in padded) + "}",
        )
        code.call("strided_copy_s8", table, source, to)
