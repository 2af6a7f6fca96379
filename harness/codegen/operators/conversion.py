"""What C do conversions between types and quantisations become?"""

from __future__ import annotations

from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.requantization import write_rescaling


def _dequantize(code: Code) -> None:
    source, output = code.input(0), code.output
    code.call(
        "dequantize_s8",
        output.elements,
        source.q.scale.hex(),
        source.q.zero_point,
        code.address(source),
        code.address(output, "float"),
    )


def _quantize(code: Code) -> None:
    source, output = code.input(0), code.output
    if source.dtype == "int8":
        write_rescaling(code)
        return
    code.call(
        "quantize_f32",
        output.elements,
        f"{output.q.scale.hex()}f",
        output.q.zero_point,
        code.address(source, "float"),
        code.address(output),
    )


WRITERS: dict[str, Writer] = {
    "DEQUANTIZE": _dequantize,
    "QUANTIZE": _quantize,
}
