"""What C do reductions become?"""

from __future__ import annotations

import math

from harness.axes import merge_reduced
from harness.codegen.arithmetic import (
    mean_parameters,
    quantise_multiplier,
)
from harness.codegen.operators.code import Code, Writer
from harness.tflite import Axis, Reduction

_GROUPS = ("outer", "far", "middle", "near", "inner")  # of reduction_t


def write_sum(code: Code) -> str:
    """The table of a SUM or MEAN."""
    source, output = code.input(0), code.output
    count = source.elements // output.elements
    if code.operator.op == "MEAN":
        pair = mean_parameters(source.q.scale, output.q.scale, count, where=code.where)
    else:
        pair = quantise_multiplier(source.q.scale / output.q.scale, where=code.where)
    return code.struct(
        "reduce_sum_t",
        shape=_shape(code),
        offset=-source.q.zero_point * count,
        multiplier=pair[0],
        shift=pair[1],
        zero_point=output.q.zero_point,
    )


def _sum(code: Code) -> None:
    addresses = code.address(code.input(0)), code.address(code.output)
    code.call("reduce_sum_s8", write_sum(code), *addresses)


def _extreme(code: Code) -> None:
    flip = -1 if code.operator.op == "REDUCE_MIN" else 0
    table = code.struct("reduce_max_t", shape=_shape(code), flip=flip)
    code.call("reduce_max_s8", table, code.address(code.input(0)), code.address(code.output))


def _shape(code: Code) -> str:
    """An initialiser of reduction_t. One run of reduced axes is the nearer one."""
    options, source = code.operator.options, code.input(0)
    assert isinstance(options, Reduction)
    groups = merge_reduced(source.shape, options.axes)
    if len(groups) < 3:
        groups += [1] * (3 - len(groups))
    if len(groups) < len(_GROUPS):
        groups[1:1] = [1] * (len(_GROUPS) - len(groups))
    members = zip(_GROUPS, groups, strict=True)
    return "{" + ", ".join(f".{name} = {size}" for name, size in members) + "}"


def _arg_max(code: Code) -> None:
    options, source = code.operator.options, code.input(0)
    assert isinstance(options, Axis)
    table = code.struct(
        "arg_max_t",
        outer=math.prod(source.shape[: options.axis]),
        count=source.shape[options.axis],
        inner=math.prod(source.shape[options.axis + 1 :]),
        flip=-1 if code.operator.op == "ARG_MIN" else 0,
    )
    code.call("arg_max_s8", table, code.address(source), code.address(code.output, "int32_t"))


WRITERS: dict[str, Writer] = {
    "ARG_MAX": _arg_max,
    "ARG_MIN": _arg_max,
    "MEAN": _sum,
    "REDUCE_MAX": _extreme,
    "REDUCE_MIN": _extreme,
    "SUM": _sum,
}
