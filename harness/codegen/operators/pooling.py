"""What C do pooling become?"""

from __future__ import annotations

from harness.codegen.arithmetic import (
    INT8_LIMITS,
    activation_range,
)
from harness.codegen.operators.code import Code, Writer
from harness.tflite import Pool2D


def write_table(code: Code, limits: tuple[int, int] = INT8_LIMITS) -> str:
    options, source, output = code.operator.options, code.input(0), code.output
    assert isinstance(options, Pool2D)
    top, left = options.pads
    low, high = activation_range(options.activation, output.q, where=code.where, limits=limits)
    return code.struct(
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


def _pool_2d(code: Code) -> None:
    addresses = code.address(code.input(0)), code.address(code.output)
    code.call(f"{code.operator.op.lower()}_s8", write_table(code), *addresses)


WRITERS: dict[str, Writer] = {
    "AVERAGE_POOL_2D": _pool_2d,
    "MAX_POOL_2D": _pool_2d,
}
