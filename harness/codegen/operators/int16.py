"""What C do operators on int16 activations become? Every zero point of an int16 is 0. Those that
move bytes, or convert them, are the same for all types and not here."""

from __future__ import annotations

import numpy as np

from harness.codegen.arithmetic import (
    INT16_LIMITS,
    activation_range,
    add_multipliers,
    quantise_multiplier,
    single,
)
from harness.codegen.operators import filters16, pooling, reduction
from harness.codegen.operators.code import Code, Writer
from harness.codegen.softmax16 import EXPONENTIALS, RECIPROCALS, softmax_ratio
from harness.tflite import Activation, Softmax
from harness.tflite.graph import Arithmetic


def _addresses(code: Code) -> tuple[str, str]:
    return code.address(code.input(0), "int16_t"), code.address(code.output, "int16_t")


def _relu(code: Code) -> None:
    source, output = code.input(0), code.output
    # TFLite divides these two scales in single precision.
    ratio = single(np.divide, source.q.scale, output.q.scale)
    multiplier, shift = quantise_multiplier(ratio, where=code.where)
    table = code.struct(
        "rescale_t",
        count=output.elements,
        multiplier=multiplier,
        shift=shift,
        max=INT16_LIMITS[1],
    )
    types = "ELEMENT_INT16", "ELEMENT_INT16"
    code.call("rescale_elements", table, *types, code.address(source), code.address(output))


def _relu6(code: Code) -> None:
    q = code.input(0).q
    limits = activation_range(Activation.RELU6, q, where=code.where, limits=INT16_LIMITS)
    code.call("clamp_s16", code.output.elements, *limits, *_addresses(code))


def _add(code: Code) -> None:
    options, output = code.operator.options, code.output
    assert isinstance(options, Arithmetic)
    first, second = code.input(0), code.input(1)
    pairs = add_multipliers(first.q, second.q, output.q, 15, where=code.where)
    low, high = activation_range(
        options.activation, output.q, where=code.where, limits=INT16_LIMITS
    )
    table = code.struct(
        "add_s16_t",
        count=output.elements,
        multiplier_1=pairs[0][0],
        shift_1=pairs[0][1],
        multiplier_2=pairs[1][0],
        shift_2=pairs[1][1],
        multiplier=pairs[2][0],
        shift=pairs[2][1],
        min=low,
        max=high,
    )
    addresses = (code.address(tensor, "int16_t") for tensor in (first, second, output))
    code.call("add_s16", table, *addresses)


def _sum(code: Code) -> None:
    code.call("reduce_sum_s16", reduction.write_sum(code), *_addresses(code))


def _pool_2d(code: Code) -> None:
    table = pooling.write_table(code, INT16_LIMITS)
    code.call(f"{code.operator.op.lower()}_s16", table, *_addresses(code))


def _softmax(code: Code) -> None:
    options, source = code.operator.options, code.input(0)
    assert isinstance(options, Softmax)
    real = softmax_ratio(options.beta, source.q.scale)
    multiplier, shift = quantise_multiplier(real, where=code.where)
    table = code.struct(
        "softmax_s16_t",
        rows=source.elements // source.shape[-1],
        depth=source.shape[-1],
        multiplier=multiplier,
        shift=shift,
        exp=code.table("exp", EXPONENTIALS, "int16_t"),
        reciprocal=code.table("reciprocal", RECIPROCALS, "int16_t"),
    )
    code.call("softmax_s16", table, *_addresses(code))


WRITERS: dict[str, Writer] = {
    **filters16.WRITERS,
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool_2d,
    "MAX_POOL_2D": _pool_2d,
    "MEAN": _sum,
    "RELU": _relu,
    "RELU6": _relu6,
    "SOFTMAX": _softmax,
    "SUM": _sum,
}
