"""What C do operators that resize feature maps become?"""

from __future__ import annotations

import numpy as np

from harness.codegen.operators.code import Code, Writer
from harness.tflite import Resize
from harness.tflite.operators.resizing import bilinear_steps, nearest_places


def _nearest(code: Code) -> None:
    options, source, output = code.operator.options, code.input(0), code.output
    assert isinstance(options, Resize)
    rows, columns = (
        code.table(what, np.array(nearest_places(before, after, options), np.uint16), "uint16_t")
        for what, before, after in zip(
            ("rows", "columns"), source.shape[1:3], output.shape[1:3], strict=True
        )
    )
    table = code.struct(
        "resize_nearest_t",
        input_width=source.shape[2],
        output_height=output.shape[1],
        output_width=output.shape[2],
        pixel=source.shape[3] * source.width,
        rows=rows,
        columns=columns,
    )
    code.call("resize_nearest_s8", table, code.address(source), code.address(output))


def _bilinear(code: Code) -> None:
    options, source, output = code.operator.options, code.input(0), code.output
    assert isinstance(options, Resize)
    rows, columns = (
        _axis(before, after, *bilinear_steps(before, after, options))
        for before, after in zip(source.shape[1:3], output.shape[1:3], strict=True)
    )
    table = code.struct("resize_bilinear_t", rows=rows, columns=columns, channels=source.shape[3])
    code.call("resize_bilinear_s8", table, code.address(source), code.address(output))


def _axis(before: int, after: int, step: int, start: int) -> str:
    return f"{{.input = {before}, .output = {after}, .step = {step}, .start = {start}}}"


WRITERS: dict[str, Writer] = {
    "RESIZE_BILINEAR": _bilinear,
    "RESIZE_NEAREST_NEIGHBOR": _nearest,
}
