"""What C does one operator become? Its constant tables and its call: one module a family of
operators, one function an operator kind. They know the kernels' structs (firmware/kernels/) and
nothing of files."""

from __future__ import annotations

from harness.codegen.operators import (
    activation,
    arithmetic,
    conversion,
    convolution,
    int16,
    joining,
    matmul,
    movement,
    padding,
    patching,
    pooling,
    recurrent,
    reduction,
    resizing,
    slicing,
)
from harness.codegen.operators.code import Code, Writer
from harness.planner import ArenaPlan
from harness.tflite import Graph, Operator

_WRITERS: dict[str, Writer] = {
    **activation.WRITERS,
    **arithmetic.WRITERS,
    **conversion.WRITERS,
    **convolution.WRITERS,
    **joining.WRITERS,
    **matmul.WRITERS,
    **movement.WRITERS,
    **padding.WRITERS,
    **patching.WRITERS,
    **pooling.WRITERS,
    **recurrent.WRITERS,
    **reduction.WRITERS,
    **resizing.WRITERS,
    **slicing.WRITERS,
}
_INT16_WRITERS: dict[str, Writer] = {**_WRITERS, **int16.WRITERS}


def write_operator(graph: Graph, plan: ArenaPlan, operator: Operator) -> Code:
    """Raises UnsupportedModelError where a scale cannot be expressed."""
    code = Code(graph, plan, operator)
    writers = _INT16_WRITERS if graph.is_int16(operator) else _WRITERS
    writers[operator.op](code)
    return code
