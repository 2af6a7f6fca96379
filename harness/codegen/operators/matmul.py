"""What C do matrix products become?"""

from __future__ import annotations

from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.requantization import write_filters
from harness.tflite import FullyConnected


def _fully_connected(code: Code) -> None:
    options, weights = code.operator.options, code.input(1).data
    assert isinstance(options, FullyConnected) and weights is not None
    depth = weights.shape[1]
    table = code.struct(
        "fully_connected_t",
        rows=code.input(0).elements // depth,
        depth=depth,
        filters=write_filters(code, weights[:, None, :], options.activation),
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
