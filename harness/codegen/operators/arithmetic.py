"""What C do arithmetic of two tensors become?"""

from __future__ import annotations

from harness.codegen.arithmetic import (
    activation_range,
    quantise_multiplier,
)
from harness.codegen.operators.code import Code, Writer
from harness.tflite.graph import Arithmetic


def _add(code: Code) -> None:
    options, output = code.operator.options, code.output
    assert isinstance(options, Arithmetic)
    first, second = code.input(0), code.input(1)
    twice = 2.0 * max(first.q.scale, second.q.scale)
    pairs = [
        quantise_multiplier(real, where=code.where)
        for real in (
            first.q.scale / twice,
            second.q.scale / twice,
            twice / (float(1 << 20) * output.q.scale),
        )
    ]
    low, high = activation_range(options.activation, output.q, where=code.where)
    table = code.struct(
        "add_t",
        count=output.elements,
        zero_point_1=first.q.zero_point,
        multiplier_1=pairs[0][0],
        shift_1=pairs[0][1],
        zero_point_2=second.q.zero_point,
        multiplier_2=pairs[1][0],
        shift_2=pairs[1][1],
        zero_point=output.q.zero_point,
        multiplier=pairs[2][0],
        shift=pairs[2][1],
        min=low,
        max=high,
    )
    code.call("add_s8", table, code.address(first), code.address(second), code.address(output))


WRITERS: dict[str, Writer] = {
    "ADD": _add,
}
