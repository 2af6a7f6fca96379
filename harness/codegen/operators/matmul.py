"""What C do matrix products become?"""

from __future__ import annotations

from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.requantization import write_requantization
from harness.codegen.tables import pad_rows, pair_rows
from harness.tflite import FullyConnected


def _fully_connected(code: Code) -> None:
    options, weights = code.operator.options, code.input(1).data
    assert isinstance(options, FullyConnected) and weights is not None
    rows, requantization = write_requantization(code, weights, options.activation)
    channels, depth = rows.shape
    table = code.struct(
        "fully_connected_t",
        rows=code.input(0).elements // depth,
        depth=depth,
        channels=channels,
        weights=code.table("weights", pair_rows(pad_rows(rows)), "int8_t"),
        out=requantization,
    )
    code.call(
        "fully_connected_s8",
        table,
        code.address(code.input(0)),
        code.address(code.output),
        code.scratch(),
    )


WRITERS: dict[str, Writer] = {
    "FULLY_CONNECTED": _fully_connected,
}
