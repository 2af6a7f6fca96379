"""What C do conversions between types and quantisations become?"""

from __future__ import annotations

import numpy as np

from harness.codegen.arithmetic import quantise_multiplier
from harness.codegen.fixedpoint import requantise
from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.lookup import write_lookup
from harness.codegen.operators.requantization import write_rescaling
from harness.tflite import Tensor


def _cast(code: Code) -> None:
    source, output = code.input(0), code.output
    types = _element(source), _element(output)
    code.call("cast_elements", output.elements, *types, code.address(source), code.address(output))


def _dequantize(code: Code) -> None:
    source, output = code.input(0), code.output
    code.call(
        "dequantize",
        output.elements,
        _element(source),
        f"{source.q.scale.hex()}f",
        source.q.zero_point,
        code.address(source),
        code.address(output, "float"),
    )


def _quantize(code: Code) -> None:
    source, output = code.input(0), code.output
    if source.dtype == "float32":
        code.call(
            "quantize_f32",
            output.elements,
            _element(output),
            f"{output.q.scale.hex()}f",
            output.q.zero_point,
            code.address(source, "float"),
            code.address(output),
        )
        return
    if source.dtype == output.dtype == "int8":
        write_rescaling(code)
        return
    pair = quantise_multiplier(source.q.scale / output.q.scale, where=code.where)
    source_limits, limits = (np.iinfo(tensor.dtype) for tensor in (source, output))
    low, high = int(limits.min), int(limits.max)
    if source.dtype == "uint8" or output.dtype == "uint8":
        values = np.arange(source_limits.min, source_limits.max + 1)
        zero_points = source.q.zero_point, output.q.zero_point
        results = requantise(values, zero_points[0], pair, zero_points[1], low=low, high=high)
        write_lookup(code, source, results)
        return
    table = code.struct(
        "rescale_t",
        count=output.elements,
        input_zero_point=source.q.zero_point,
        multiplier=pair[0],
        shift=pair[1],
        zero_point=output.q.zero_point,
        min="INT32_MIN" if output.dtype == "int32" else low,
        max=high,
    )
    types = _element(source), _element(output)
    code.call("rescale_elements", table, *types, code.address(source), code.address(output))


def _element(tensor: Tensor) -> str:
    return f"ELEMENT_{tensor.dtype.upper()}"


WRITERS: dict[str, Writer] = {
    "CAST": _cast,
    "DEQUANTIZE": _dequantize,
    "QUANTIZE": _quantize,
}
