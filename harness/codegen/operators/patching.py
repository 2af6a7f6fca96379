"""What C do the copies between a patch and the whole become?"""

from __future__ import annotations

import math

from harness.codegen.operators.code import Code, Writer
from harness.tflite import Tensor, Window


def _patch_in(code: Code) -> None:
    _move_patch(code, whole=code.input(0), patch=code.output, into_whole=False)


def _patch_out(code: Code) -> None:
    _move_patch(code, whole=code.output, patch=code.input(0), into_whole=True)


def _move_patch(code: Code, *, whole: Tensor, patch: Tensor, into_whole: bool) -> None:
    window = code.operator.options
    assert isinstance(window, Window)
    pixel = patch.bytes // math.prod(patch.shape[:3])
    line, rows = whole.shape[2] * pixel, patch.shape[1]
    count = patch.shape[2] * pixel
    place = f"{code.address(whole)} + {window.top * line + window.left * pixel}"
    if count == line:  # rows that follow one another
        rows, count = 1, rows * count
    if into_whole:
        code.call("copy_rows_s8", rows, count, code.address(patch), count, place, line)
    else:
        code.call("copy_rows_s8", rows, count, place, line, code.address(patch), count)


WRITERS: dict[str, Writer] = {
    "PATCH_IN": _patch_in,
    "PATCH_OUT": _patch_out,
}
