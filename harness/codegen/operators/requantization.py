"""Which tables turn accumulators, or values of one quantisation, into int8 of another?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.codegen.arithmetic import (
    INT8_MAX,
    INT8_MIN,
    activation_range,
    filter_multipliers,
    rescale,
)
from harness.codegen.fixedpoint import INT8_VALUES
from harness.codegen.functions import function_of, rescaling_of
from harness.codegen.operators.code import Code
from harness.codegen.operators.lookup import write_lookup
from harness.codegen.tables import Array, filter_records, fold_bias, pad_lines, sum_ranges
from harness.kernels import MATMUL
from harness.options import Optimise
from harness.tflite import Activation

_SIMPLE_SHIFTS = (-22, -1)  # firmware/kernels/requantize_dsp.h


@dataclass(frozen=True)
class Requantisation:
    """What becomes of the sums of products with the filters `rows`, [channels][depth].

    bias: folded, uint32. multipliers, shifts: one, or one for each channel. short: what
    requantization_t and filters_t call simple, clamping aside.
    """

    rows: Array
    bias: Array
    multipliers: Array
    shifts: Array
    zero_point: int
    low: int
    high: int
    short: bool

    @property
    def per_channel(self) -> bool:
        return len(self.shifts) > 1

    @property
    def clamped(self) -> bool:
        return (self.low, self.high) != (INT8_MIN, INT8_MAX)


def find_requantisation(
    code: Code, rows: Array, activation: Activation, operands: tuple[int, int, int]
) -> Requantisation:
    source, weights, output = code.input(operands[0]), code.input(operands[1]), code.output
    bias = code.graph.optional(code.operator, operands[2])
    pairs = filter_multipliers(source.q, weights.q, output.q, where=code.where)
    folded = fold_bias(None if bias is None else bias.data, rows, source.q.zero_point)
    low, high = activation_range(activation, output.q, where=code.where)
    if len(pairs) > 1:
        rows, folded = _settle_constants(rows, folded, pairs, output.q.zero_point, (low, high))
    least, greatest = sum_ranges(folded, rows)
    return Requantisation(
        rows=rows,
        bias=folded,
        multipliers=np.array([multiplier for multiplier, _ in pairs], np.int32),
        shifts=np.array([shift for _, shift in pairs], np.int8),
        zero_point=output.q.zero_point,
        low=low,
        high=high,
        short=all(_SIMPLE_SHIFTS[0] <= shift <= _SIMPLE_SHIFTS[1] for _, shift in pairs)
        and max(int(greatest.max()), -int(least.min())) < 1 << 30,
    )


def write_requantization(code: Code, found: Requantisation) -> str:
    """An initialiser of requantization_t."""
    members = {
        "bias": code.table("bias", found.bias, "int32_t"),
        "multiplier": code.table("multiplier", found.multipliers, "int32_t"),
        "shift": code.table("shift", found.shifts, "int8_t"),
        "step": int(found.per_channel),
        "simple": int(found.short and not found.clamped),
        "clamped": int(found.short and found.clamped),
        "zero_point": found.zero_point,
        "min": found.low,
        "max": found.high,
    }
    return _initialiser(members)


def write_filters(
    code: Code,
    lines: Array,
    activation: Activation,
    *,
    operands: tuple[int, int, int] = (0, 1, 2),
    part: str = "",
) -> str:
    """Initialiser of filters_t for `lines`, [channels][lines][length].

    operands: the positions of input, weights and bias. part: what sets the name of this table
    apart from those of the operator's other filters.
    """
    found = find_requantisation(code, pad_lines(lines), activation, operands)
    rescaling = (found.multipliers, found.shifts) if found.per_channel else None
    records = filter_records(found.rows, found.bias, rescaling).ravel()
    records = np.append(records, np.zeros(7, np.uint32))  # copied by eight words
    multiplier, shift = int(found.multipliers[0]), int(found.shifts[0]) & 0xFF
    members = {
        "matmul": MATMUL[code.plan.optimise],
        "records": code.table("filters" + part, records, "int32_t"),
        "depth": found.rows.shape[1],
        "channels": found.rows.shape[0],
        "per_channel": int(found.per_channel),
        "rescaling": f"{{{multiplier}, {multiplier}, {shift << 8 | shift}}}",
        "simple": int(found.short),
        "clamped": int(found.clamped),
        "zero_point": found.zero_point,
        "min": found.low,
        "max": found.high,
    }
    return _initialiser(members)


def _initialiser(members: dict[str, object]) -> str:
    return "{" + ", ".join(f".{key} = {value}" for key, value in members.items()) + "}"


def _settle_constants(
    rows: Array,
    folded: Array,
    pairs: list[tuple[int, int]],
    zero_point: int,
    limits: tuple[int, int],
) -> tuple[Array, Array]:
    """Channels whose output no input can change (pruned ones, with scales next to zero and biases
    next to overflow) get zero weights and plain numbers with the same result. Changes `pairs`."""
    rows, folded = rows.copy(), folded.copy()
    ends = zip(*sum_ranges(folded, rows), strict=True)
    for channel, ((multiplier, shift), sums) in enumerate(zip(list(pairs), ends, strict=True)):
        if shift > 0 or not all(-(1 << 31) <= total < 1 << 31 for total in sums):
            continue
        # Rescaling is monotonous: equal at both ends means equal throughout.
        first, last = (
            min(max(rescale(int(total), multiplier, shift) + zero_point, limits[0]), limits[1])
            for total in sums
        )
        if first == last:
            rows[channel] = 0
            folded[channel] = (4 * (first - zero_point)) & 0xFFFFFFFF
            pairs[channel] = (1 << 30, -1)  # a quarter, exactly
    return rows, folded


def write_rescaling(code: Code) -> None:
    """RELU and QUANTIZE. A table takes a tenth of the arithmetic's time and eight times its
    constants' flash."""
    source, output = code.input(0), code.output
    function = function_of(code.graph, code.operator)
    if code.plan.optimise is Optimise.SPEED and function is not None:
        write_lookup(code, source, function(INT8_VALUES))
        return
    (multiplier, shift), low = rescaling_of(code.graph, code.operator)
    table = code.struct(
        "rescale_t",
        count=output.elements,
        input_zero_point=source.q.zero_point,
        multiplier=multiplier,
        shift=shift,
        zero_point=output.q.zero_point,
        min=low,
        max=INT8_MAX,
    )
    code.call("rescale_s8", table, code.address(source), code.address(output))
