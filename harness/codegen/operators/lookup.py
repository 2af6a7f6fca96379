"""How does a function of one byte become C? As the table of its 256 results. Worth its bytes also
where flash is scarce: what would compute a logistic or a tanh is larger."""

from __future__ import annotations

import numpy as np

from harness.codegen.operators.code import Code
from harness.codegen.tables import Array
from harness.tflite import Tensor


def write_lookup(code: Code, source: Tensor, results: Array) -> None:
    """`results` are one-byte integers, of -128 first where `source` is int8, else of 0 first."""
    if source.dtype == "int8":  # kernels index by the byte, where 0 comes first
        results = np.roll(results, 128)
    table = code.table("lookup", results, "int8_t")
    code.call(
        "lookup_s8",
        code.output.elements,
        table,
        code.address(source),
        code.address(code.output),
    )
