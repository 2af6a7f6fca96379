"""What C do pooling become?"""

from __future__ import annotations

from harness.codegen.arithmetic import (
    activation_range,
)
from harness.codegen.operators.code import Code, Writer
from harness.tflite import Pool2D


def _pool_2d(code: Code) -> None:
    options, source, output = code.operator.options, code.input(0), code.output
    assert isinstance(options, Pool2D)
    top, left = options.pads
    low, high = activation_range(options.activation, output.q, where=code.where)
    table = code.struct(
        "pool_2d_t",
        input_height=source.shape[1],
        input_width=source.shape[2],
        channels=source.shape[3],
        output_height=output.shape[1],
        output_width=output.shape[2],
        window_height=options.window[0],
        window_width=options.window[1],
        stride_height=options.stride[0],
        stride_width=options.stride[1],
        pad_top=top,
        pad_left=left,
        min=low,
        max=high,
    )
    function = {"AVERAGE_POOL_2D": "average_pool_2d_s8", "MAX_POOL_2D": "max_pool_2d_s8"}
    code.call(function[code.operator.op], table, code.address(source), code.address(output))


WRITERS: dict[str, Writer] = {
    "AVERAGE_POOL_2D": _pool_2d,
    "MAX_POOL_2D": _pool_2d,
}
