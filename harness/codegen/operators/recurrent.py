"""What C do operators that keep state become?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.codegen.arithmetic import quantise_multiplier
from harness.codegen.fixedpoint import sigmoid_knots
from harness.codegen.operators.code import Code, Writer
from harness.codegen.tables import fold_bias, write_words
from harness.tflite import Lstm, Svdf, Tensor

INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1
_GATE_SCALE = 2.0**-12  # of what a gate's activation reads


def _svdf(code: Code) -> None:
    options = code.operator.options
    assert isinstance(options, Svdf)
    source, features, times, bias, state = code.inputs
    output = code.output
    assert features.data is not None and times.data is not None
    filters, memory = times.shape
    first = source.q.scale * features.q.scale / state.q.scale
    second = state.q.scale * times.q.scale / output.q.scale
    multiplier_1, shift_1 = quantise_multiplier(first, where=code.where)
    multiplier_2, shift_2 = quantise_multiplier(second, where=code.where)
    units = times.data.reshape(filters // options.rank, -1)
    wide = state.dtype == "int16"
    table = code.struct(
        "svdf_t",
        batch=source.shape[0],
        depth=source.shape[1],
        units=filters // options.rank,
        rank=options.rank,
        memory=memory,
        weights=code.table("weights", features.data, "int8_t"),
        weights_bias=code.table(
            "weights_bias", fold_bias(None, features.data, source.q.zero_point), "int32_t"
        ),
        weights_multiplier=multiplier_1,
        weights_shift=shift_1,
        state_zero_point=state.q.zero_point,
        times=code.table("times", times.data, "void"),
        bias=code.table("bias", fold_bias(bias.data, units, state.q.zero_point), "int32_t"),
        multiplier=multiplier_2,
        shift=shift_2,
        zero_point=output.q.zero_point,
    )
    code.call(
        "svdf_s8" if wide else "svdf_s8_state_s8",
        table,
        code.address(source),
        code.address(state, f"{state.dtype}_t"),
        code.address(output),
    )


def _lstm(code: Code) -> None:
    options = code.operator.options
    assert isinstance(options, Lstm)
    source, hidden, cell = code.input(0), code.input(18), code.input(19)
    batch, steps, depth = source.shape
    between = (1, steps)  # from one step and from one batch to the next
    if options.time_major:
        steps, batch = batch, steps
        between = (batch, 1)
    update = quantise_multiplier(2.0**-30 / cell.q.scale, where=code.where)
    output = quantise_multiplier(2.0**-30 / hidden.q.scale, where=code.where)
    power = math.frexp(cell.q.scale)[1] - 1
    clip = min(int(options.cell_clip / cell.q.scale), INT16_MAX)
    table = code.struct(
        "lstm_t",
        batch=batch,
        steps=steps,
        depth=depth,
        units=hidden.elements // batch,
        step_rows=between[0],
        batch_rows=between[1],
        gates="{" + ",\n    ".join(_gates(code)) + "}",
        update_multiplier=update[0],
        update_shift=update[1],
        cell_min=-clip if options.cell_clip > 0 else INT16_MIN,
        cell_max=clip if options.cell_clip > 0 else INT16_MAX,
        cell_multiplier=3 << max(0, 12 + power),
        cell_shift=max(0, -12 - power),
        multiplier=output[0],
        shift=output[1],
        zero_point=hidden.q.zero_point,
        sigmoid=_sigmoid_table(code),
    )
    code.call(
        "lstm_s8",
        table,
        code.address(source),
        code.address(hidden),
        code.address(cell, "int16_t"),
        code.address(code.output),
    )


def _gates(code: Code) -> Iterator[str]:
    """Initialisers of lstm_gate_t: forget, input, cell, output."""
    for gate in (1, 0, 2, 3):
        products = (
            _product(code, code.input(0), 1 + gate, 12 + gate),
            _product(code, code.input(18), 5 + gate, None),
        )
        yield f"{{{products[0]},\n     {products[1]}}}"


def _product(code: Code, source: Tensor, position: int, bias: int | None) -> str:
    weights = code.input(position)
    assert weights.data is not None
    real = source.q.scale * weights.q.scale / _GATE_SCALE
    multiplier, shift = quantise_multiplier(real, where=code.where)
    biases = None if bias is None else code.input(bias).data
    folded = fold_bias(biases, weights.data, source.q.zero_point)
    table = code.table(f"weights_{position}", weights.data, "int8_t")
    return (
        f"{{.weights = {table}, "
        f".bias = {code.table(f'bias_{position}', folded, 'int32_t')}, "
        f".multiplier = {multiplier}, .shift = {shift}}}"
    )


def _sigmoid_table(code: Code) -> str:
    """The model's one table of sigmoid(i / 24), to be interpolated."""
    definition = write_words("sigmoid", sigmoid_knots())
    if definition not in code.definitions:
        code.definitions.append(definition)
    return "(const uint16_t *)sigmoid"


WRITERS: dict[str, Writer] = {
    "SVDF": _svdf,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}
