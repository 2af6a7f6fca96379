"""What C do arithmetic of two tensors become?"""

from __future__ import annotations

import math

import numpy as np

from harness.broadcast import Axis, merge_axes
from harness.codegen import fixedpoint
from harness.codegen.arithmetic import (
    INT8_MAX,
    INT8_MIN,
    activation_range,
    quantise_multiplier,
)
from harness.codegen.fixedpoint import INT8_VALUES
from harness.codegen.functions import Function2, product_of, sum_of
from harness.codegen.linear import fit_sum
from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.lookup import write_lookup
from harness.codegen.tables import Array
from harness.tflite import Arithmetic

_INT8 = (INT8_MIN, INT8_MAX)


def _add(code: Code) -> None:
    sign = -1 if code.operator.op == "SUB" else 1
    first, second, output = (t.q for t in (code.input(0), code.input(1), code.output))
    add = sum_of(code.graph, code.operator)
    limits = _limits(code)
    if _write_function(code, add, limits):
        return
    factors = first.scale / output.scale, sign * second.scale / output.scale
    found = fit_sum(add, *factors, limits)
    if found is not None:
        members: dict[str, object] = {
            "factor_1": found.first,
            "factor_2": found.second,
            "offset": found.offset,
        }
        _write_pairs(code, "sum_s8", "sum_t", members, limits)
        return
    members = {
        "sign": sign,
        "zero_point_1": first.zero_point,
        "multiplier_1": add.pairs[0][0],
        "shift_1": add.pairs[0][1],
        "zero_point_2": second.zero_point,
        "multiplier_2": add.pairs[1][0],
        "shift_2": add.pairs[1][1],
        "zero_point": output.zero_point,
        "multiplier": add.pairs[2][0],
        "shift": add.pairs[2][1],
    }
    _write_pairs(code, "add_s8", "add_t", members, limits)


def _mul(code: Code) -> None:
    first, second, output = (t.q for t in (code.input(0), code.input(1), code.output))
    pair, mul = product_of(code.graph, code.operator)
    limits = _limits(code)
    if not _write_function(code, mul, limits):
        members: dict[str, object] = {
            "zero_point_1": first.zero_point,
            "zero_point_2": second.zero_point,
            "zero_point": output.zero_point,
            "multiplier": pair[0],
            "shift": pair[1],
        }
        _write_pairs(code, "mul_s8", "mul_t", members, limits)


def _prelu(code: Code) -> None:
    first, second, output = (t.q for t in (code.input(0), code.input(1), code.output))
    identity = quantise_multiplier(first.scale / output.scale, where=code.where)
    slope = quantise_multiplier(first.scale * second.scale / output.scale, where=code.where)

    def prelu(a: Array, b: Array) -> Array:
        x, y = a - first.zero_point, b - second.zero_point
        return fixedpoint.prelu(x, y, identity, slope, output.zero_point)

    if not _write_function(code, prelu, _INT8):
        members: dict[str, object] = {
            "zero_point_1": first.zero_point,
            "zero_point_2": second.zero_point,
            "zero_point": output.zero_point,
            "multiplier": identity[0],
            "shift": identity[1],
            "slope_multiplier": slope[0],
            "slope_shift": slope[1],
        }
        _write_pairs(code, "prelu_s8", "prelu_t", members, _INT8)


def _extremum(code: Code) -> None:
    larger = code.operator.op == "MAXIMUM"
    for source, other in ((0, 1), (1, 0)):
        bound = code.input(other).data
        if bound is not None and bound.size == 1:
            limit = int(bound.ravel()[0])
            low, high = (limit, INT8_MAX) if larger else (INT8_MIN, limit)
            addresses = code.address(code.input(source)), code.address(code.output)
            code.call("clamp_s8", code.output.elements, low, high, *addresses)
            return
    _write_pairs(code, "maximum_s8" if larger else "minimum_s8", "pairing_t", {}, _INT8)


def _limits(code: Code) -> tuple[int, int]:
    options = code.operator.options
    assert isinstance(options, Arithmetic)
    return activation_range(options.activation, code.output.q, where=code.where)


def _write_function(code: Code, function: Function2, limits: tuple[int, int]) -> bool:
    """Where only one of the two varies from element to element and inference to inference: the
    table of its 256 results."""
    first, second = code.input(0), code.input(1)
    if first.index == second.index:
        source, results = first, function(INT8_VALUES, INT8_VALUES)
    elif second.data is not None and second.elements == 1:
        source, results = first, function(INT8_VALUES, second.data.ravel().astype(np.int64))
    elif first.data is not None and first.elements == 1:
        source, results = second, function(first.data.ravel().astype(np.int64), INT8_VALUES)
    else:
        return False
    write_lookup(code, source, fixedpoint.saturate(results, low=limits[0], high=limits[1]))
    return True


def _write_pairs(
    code: Code, function: str, kind: str, members: dict[str, object], limits: tuple[int, int]
) -> None:
    """The table and the call: the last two axes are the kernel's, those before them are loops."""
    first, second, output = code.input(0), code.input(1), code.output
    *outer, rows, depth = (Axis(1, 0, 0), *merge_axes(first.shape, second.shape))
    pairing = {
        "rows": rows.size,
        "depth": depth.size,
        "mask_1": -depth.first,
        "mask_2": -depth.second,
        "row_1": rows.first,
        "row_2": rows.second,
    }
    if kind == "pairing_t":
        table = code.struct(kind, **pairing)
    else:
        values = ", ".join(f".{key} = {value}" for key, value in pairing.items())
        table = code.struct(kind, pairing=f"{{{values}}}", **members)
    addresses = [code.address(first), code.address(second), code.address(output)]
    done = output.elements
    for level, axis in enumerate(outer):
        done //= axis.size
        if axis.size == 1:
            continue
        code.statements.append(
            f"for (int32_t i{level} = 0; i{level} < {axis.size}; i{level}++) {{"
        )
        for operand, step in enumerate((axis.first, axis.second, done)):
            addresses[operand] += f" + {step} * i{level}" if step else ""
    code.call(function, table, *addresses)
    code.statements.extend("}" for axis in outer if axis.size > 1)
    if limits != _INT8:
        address = code.address(output)
        code.call("clamp_s8", math.prod(output.shape), *limits, address, address)


WRITERS: dict[str, Writer] = {
    "ADD": _add,
    "MAXIMUM": _extremum,
    "MINIMUM": _extremum,
    "MUL": _mul,
    "PRELU": _prelu,
    "SUB": _add,
}
