"""What C do operators that keep state become?"""

from __future__ import annotations

from harness.codegen.arithmetic import quantise_multiplier
from harness.codegen.operators.code import Code, Writer
from harness.codegen.tables import fold_bias
from harness.tflite import Svdf


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


WRITERS: dict[str, Writer] = {
    "SVDF": _svdf,
}
