"""What C do reductions become?"""

from __future__ import annotations

import math

from harness.codegen.arithmetic import (
    mean_parameters,
)
from harness.codegen.operators.code import Code, Writer
from harness.tflite.operators.reduction import mean_axes


def _mean(code: Code) -> None:
    source, output, axes = code.input(0), code.output, code.input(1).data
    assert axes is not None
    reduced = mean_axes(source, axes)
    assert reduced is not None
    count = math.prod(source.shape[reduced[0] : reduced[1]])
    multiplier, shift = mean_parameters(source.q.scale, output.q.scale, count, where=code.where)
    table = code.struct(
        "mean_t",
        outer=math.prod(source.shape[: reduced[0]]),
        count=count,
        inner=math.prod(source.shape[reduced[1] :]),
        input_zero_point=source.q.zero_point,
        multiplier=multiplier,
        shift=shift,
        zero_point=output.q.zero_point,
    )
    code.call("mean_s8", table, code.address(source), code.address(output))


WRITERS: dict[str, Writer] = {
    "MEAN": _mean,
}
