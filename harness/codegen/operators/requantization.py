"""Which tables turn accumulators, or values of one quantisation, into int8 of another?"""

from __future__ import annotations

import numpy as np

from harness.codegen.arithmetic import (
    INT8_MAX,
    INT8_MIN,
    activation_range,
    filter_multipliers,
    quantise_multiplier,
    rescale,
)
from harness.codegen.fixedpoint import INT8_VALUES, requantise
from harness.codegen.operators.code import Code
from harness.codegen.operators.lookup import write_lookup
from harness.codegen.tables import Array, fold_bias, sum_ranges
from harness.options import Optimise
from harness.tflite import Activation

_SIMPLE_SHIFTS = (-22, -1)  # firmware/kernels/requantize_dsp.h


def write_requantization(
    code: Code,
    rows: Array,
    activation: Activation,
    *,
    operands: tuple[int, int, int] = (0, 1, 2),
    part: str = "",
) -> tuple[Array, str]:
    """(filters [channels][depth], initialiser of requantization_t) for the filters `rows`.

    operands: the positions of input, weights and bias. part: what sets the names of these tables
    apart from those of the operator's other filters.
    """
    source, weights, output = code.input(operands[0]), code.input(operands[1]), code.output
    bias = code.graph.optional(code.operator, operands[2])
    pairs = filter_multipliers(code.operator.op, source.q, weights.q, output.q, where=code.where)
    folded = fold_bias(None if bias is None else bias.data, rows, source.q.zero_point)
    low, high = activation_range(activation, output.q, where=code.where)
    if len(pairs) > 1:
        rows, folded = _settle_constants(rows, folded, pairs, output.q.zero_point, (low, high))
    least, greatest = sum_ranges(folded, rows)
    full = (low, high) == (INT8_MIN, INT8_MAX)
    short = (
        all(_SIMPLE_SHIFTS[0] <= shift <= _SIMPLE_SHIFTS[1] for _, shift in pairs)
        and max(int(greatest.max()), -int(least.min())) < 1 << 30
    )
    members = {
        "bias": code.table("bias" + part, folded, "int32_t"),
        "multiplier": code.table(
            "multiplier" + part, np.array([m for m, _ in pairs], np.int32), "int32_t"
        ),
        "shift": code.table("shift" + part, np.array([s for _, s in pairs], np.int8), "int8_t"),
        "step": int(len(pairs) > 1),
        "simple": int(short and full),
        "clamped": int(short and not full),
        "zero_point": output.q.zero_point,
        "min": low,
        "max": high,
    }
    return rows, "{" + ", ".join(f".{key} = {value}" for key, value in members.items()) + "}"


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


def write_rescaling(code: Code, real: float, low: int) -> None:
    """A table takes a tenth of the arithmetic's time and eight times its constants' flash."""
    source, output = code.input(0), code.output
    multiplier, shift = quantise_multiplier(real, where=code.where)
    if code.plan.optimise is Optimise.SPEED:
        pair, zero_point = (multiplier, shift), output.q.zero_point
        results = requantise(INT8_VALUES, source.q.zero_point, pair, zero_point, low=low)
        write_lookup(code, source, results)
        return
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
