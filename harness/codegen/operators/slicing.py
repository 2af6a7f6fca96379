"""What C do operators that keep a part of a tensor become?"""

from __future__ import annotations

import math

from harness.axes import Strided, strides
from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.copying import write_strided_copy
from harness.tflite import Axis, Slice


def _gather(code: Code) -> None:
    options, source, positions = code.operator.options, code.input(0), code.input(1).data
    assert isinstance(options, Axis) and positions is not None
    table = code.struct(
        "gather_t",
        outer=math.prod(source.shape[: options.axis]),
        size=source.shape[options.axis],
        run=math.prod(source.shape[options.axis + 1 :]),
        count=positions.size,
        positions=code.table("positions", positions, "int32_t"),
    )
    code.call("gather_s8", table, code.address(source), code.address(code.output))


def _slice(code: Code) -> None:
    options, source = code.operator.options, code.input(0)
    assert isinstance(options, Slice)
    spans = strides(source.shape)
    start = source.width * sum(
        first * span for first, span in zip(options.begin, spans, strict=True)
    )
    axes = [
        Strided(size, step * span)
        for size, step, span in zip(options.sizes, options.steps, spans, strict=True)
    ]
    address = code.address(source) + (f" + {start}" if start else "")
    write_strided_copy(code, axes, address, code.address(code.output))


WRITERS: dict[str, Writer] = {
    "GATHER": _gather,
    "SLICE": _slice,
    "STRIDED_SLICE": _slice,
}
