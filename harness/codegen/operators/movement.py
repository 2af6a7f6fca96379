"""What C do operators that move values and change none become?"""

from __future__ import annotations

from harness.axes import Strided, merge_strided, strides
from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.copying import write_strided_copy
from harness.kernels import is_alias
from harness.tflite import Transpose


def _pad(code: Code) -> None:
    source, output, paddings = code.input(0), code.output, code.input(1).data
    assert paddings is not None
    value = output.q.zero_point
    if code.operator.op == "PADV2":
        chosen = code.input(2).data
        assert chosen is not None
        value = int(chosen.ravel()[0])

    def four(values: list[int], filler: int) -> str:
        return "{" + ", ".join(str(v) for v in [filler] * (4 - len(values)) + values) + "}"

    table = code.struct(
        "pad_t",
        input=four(list(source.shape), 1),
        before=four([int(before) for before in paddings[:, 0]], 0),
        output=four(list(output.shape), 1),
        value=value,
    )
    code.call("pad_s8", table, code.address(source), code.address(output))


def _reshape(code: Code) -> None:
    if not is_alias(code.graph, code.operator):
        source = code.input(0)
        code.call("memcpy", code.address(code.output), code.address(source), source.bytes)


def _transpose(code: Code) -> None:
    options, source, output = code.operator.options, code.input(0), code.output
    assert isinstance(options, Transpose)
    steps = strides(source.shape)
    axes = [Strided(source.shape[axis], steps[axis]) for axis in options.order]
    write_strided_copy(code, merge_strided(axes), code.address(source), code.address(output))


WRITERS: dict[str, Writer] = {
    "EXPAND_DIMS": _reshape,
    "PAD": _pad,
    "PADV2": _pad,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "TRANSPOSE": _transpose,
}
