"""What C do matrix products become?"""

from __future__ import annotations

import numpy as np

from harness.codegen.arithmetic import quantise_multiplier
from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.requantization import write_filters
from harness.kernels import strided_operands
from harness.tflite import BatchMatmul, FullyConnected, Tensor


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


def _batch_matmul(code: Code) -> None:
    options, output = code.operator.options, code.output
    assert isinstance(options, BatchMatmul)
    first, second = code.inputs
    columns_first, rows_last = strided_operands(code.graph, code.operator)
    real = first.q.scale * second.q.scale / output.q.scale
    multiplier, shift = quantise_multiplier(real, where=code.where)
    rows, columns = output.shape[-2:]
    table = code.struct(
        "batch_matmul_t",
        batch=_braces(_batch(output)),
        rows=rows,
        columns=columns,
        depth=first.shape[-2 if options.adjoint[0] else -1],
        steps_1=_braces(_steps(first)),
        steps_2=_braces(_steps(second)),
        by_columns_1=int(columns_first),
        by_rows_2=int(rows_last),
        zero_point_1=first.q.zero_point,
        zero_point_2=second.q.zero_point,
        multiplier=multiplier,
        shift=shift,
        zero_point=output.q.zero_point,
    )
    code.call(
        "batch_matmul_s8",
        table,
        _matrices(code, 0),
        _matrices(code, 1),
        code.address(output),
        code.scratch(),
    )


def _matrices(code: Code, position: int) -> str:
    """Constants are laid out as the kernel reads them, rows of the first and columns of the
    second one by one."""
    options, tensor = code.operator.options, code.input(position)
    assert isinstance(options, BatchMatmul)
    if tensor.data is None:
        return code.address(tensor)
    turned = options.adjoint[0] if position == 0 else not options.adjoint[1]
    values = np.swapaxes(tensor.data, -1, -2) if turned else tensor.data
    return code.table(f"matrices_{position}", values, "int8_t")


def _batch(tensor: Tensor) -> list[int]:
    return [1] * (5 - len(tensor.shape)) + list(tensor.shape[:-2])


def _steps(tensor: Tensor) -> list[int]:
    """Bytes from one matrix to the next along each axis of the batch; none where there is one."""
    sizes, step, steps = _batch(tensor), tensor.shape[-2] * tensor.shape[-1], []
    for size in reversed(sizes):
        steps.append(step if size > 1 else 0)
        step *= size
    return steps[::-1]


def _braces(values: list[int]) -> str:
    return "{" + ", ".join(str(value) for value in values) + "}"


WRITERS: dict[str, Writer] = {
    "BATCH_MATMUL": _batch_matmul,
    "FULLY_CONNECTED": _fully_connected,
}
