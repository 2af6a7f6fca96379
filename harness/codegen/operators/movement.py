"""What C do operators that move values and change none become?"""

from __future__ import annotations

from harness.axes import Strided, strides
from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.copying import write_strided_copy
from harness.kernels import is_alias
from harness.tflite import Transpose


def _reshape(code: Code) -> None:
    if not is_alias(code.graph, code.operator):
        source = code.input(0)
        code.call("memcpy", code.address(code.output), code.address(source), source.bytes)


def _transpose(code: Code) -> None:
    options, source, output = code.operator.options, code.input(0), code.output
    assert isinstance(options, Transpose)
    steps = strides(source.shape)
    axes = [Strided(source.shape[axis], steps[axis]) for axis in options.order]
    write_strided_copy(code, axes, code.address(source), code.address(output))


WRITERS: dict[str, Writer] = {
    "EXPAND_DIMS": _reshape,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "TRANSPOSE": _transpose,
}
