"""What does TFLite Micro keep at the end of its arena (the tail), and what does it need besides
while it allocates? Every allocation on a 32-bit Arm, replayed in upstream's order.

Sizes are those of upstream's structures as GCC lays them out for Arm (pointers of 4 bytes, enums
no wider than they must be), commit 90b983c of tflite-micro: micro_allocator.cc,
micro_interpreter.cc, single_arena_buffer_allocator.cc, lite/c/builtin_op_data.h, and the OpData of
each kernel. An allocation lies below the one before, at a multiple of its alignment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.engines.tflm.head import ALIGNMENT, Head
from harness.engines.tflm.scratch import Kernels
from harness.errors import UnsupportedModelError
from harness.tflite import BatchMatmul, Graph, Operator, Tensor

_WORD = 4
# SingleArenaBufferAllocator, GreedyMemoryPlanner, MicroAllocator, MicroBuiltinDataAllocator,
# SubgraphAllocations.
_FIXED_BYTES = (36, 44, 36, 8, 8)
_EVAL_TENSOR_BYTES = 12
_NODE_BYTES = 32  # NodeAndRegistration
_TENSOR_BYTES = 32  # TfLiteTensor
_AFFINE_BYTES = 12  # TfLiteAffineQuantization
# While tensors are planned: ScratchBufferRequest, of which there is always room for 12 more,
# AllocationInfo, and what GreedyMemoryPlanner keeps about a buffer.
_REQUEST_BYTES = 12
_SPARE_REQUESTS = 12
_INFO_BYTES = 24
_PLANNED_BYTES = 40

# TfLite<Operator>Params: bytes, alignment.
_PARAMETERS = {
    "ADD": (2, 1),
    "ARG_MAX": (1, 1),
    "ARG_MIN": (1, 1),
    "AVERAGE_POOL_2D": (40, 4),
    "BATCH_MATMUL": (3, 1),
    "CAST": (2, 1),
    "CONCATENATION": (8, 4),
    "CONV_2D": (28, 4),
    "DEPTHWISE_CONV_2D": (28, 4),
    "FULLY_CONNECTED": (5, 1),
    "GATHER": (8, 4),
    "LEAKY_RELU": (4, 4),
    "MAX_POOL_2D": (40, 4),
    "MEAN": (1, 1),
    "MIRROR_PAD": (1, 1),
    "MUL": (1, 1),
    "PACK": (8, 4),
    "REDUCE_MAX": (1, 1),
    "REDUCE_MIN": (1, 1),
    "RESHAPE": (36, 4),
    "RESIZE_BILINEAR": (2, 1),
    "RESIZE_NEAREST_NEIGHBOR": (2, 1),
    "SHAPE": (1, 1),
    "SOFTMAX": (4, 4),
    "SPLIT": (4, 4),
    "SPLIT_V": (4, 4),
    "SQUEEZE": (36, 4),
    "STRIDED_SLICE": (24, 4),
    "SUB": (2, 1),
    "SUM": (1, 1),
    "SVDF": (8, 4),
    "TRANSPOSE_CONV": (16, 4),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (16, 4),
    "UNPACK": (8, 4),
}
# What a kernel's Init allocates; those that are not here allocate nothing.
_OP_DATA_BYTES = {
    "ABS": 28,
    "ADD": 60,
    "AVERAGE_POOL_2D": 32,
    "BATCH_MATMUL": 16,
    "CONCATENATION": 24,
    "CONV_2D": 56,
    "DEPTHWISE_CONV_2D": 56,
    "DEQUANTIZE": 32,
    "FULLY_CONNECTED": 48,
    "HARD_SWISH": 20,
    "LEAKY_RELU": 24,
    "LOGISTIC": 16,
    "MAX_POOL_2D": 32,
    "MEAN": 44,
    "MIRROR_PAD": 20,
    "MUL": 36,
    "PAD": 56,
    "PADV2": 56,
    "PRELU": 28,
    "QUANTIZE": 32,
    "REDUCE_MAX": 44,
    "REDUCE_MIN": 44,
    "RELU": 28,
    "RELU6": 8,
    "SOFTMAX": 56,
    "STRIDED_SLICE": 84,
    "SUB": 52,
    "SUM": 44,
    "SVDF": 36,
    "TANH": 16,
    "TRANSPOSE_CONV": 72,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 688,
}
# The same of the kernels that kernels/cmsis_nn replaces, where it differs.
_CMSIS_NN_OP_DATA_BYTES = {
    "AVERAGE_POOL_2D": 36,
    "BATCH_MATMUL": 36,
    "CONV_2D": 60,
    "DEPTHWISE_CONV_2D": 60,
    "FULLY_CONNECTED": 72,
    "MAX_POOL_2D": 36,
    "SOFTMAX": 64,
    "SVDF": 40,
    "TRANSPOSE_CONV": 76,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 912,
}
_UNREGISTERED = ("RANGE", "REDUCE_PROD")  # no kernel upstream
_LOOKUP_BYTES = 2 * 513  # of int16, kernels/softmax_common.cc
_MATMUL_QUANTISATION_BYTES = 28


@dataclass(frozen=True)
class Tail:
    """bytes: what lies there when all is allocated. allocation_bytes: the least arena in which all
    of it succeeds; temporary memory is at its most while tensors are planned, or while an operator
    is prepared, for which this is an upper bound."""

    bytes: int
    allocation_bytes: int


def tail_of(graph: Graph, head: Head, kernels: Kernels) -> Tail:
    """The tail of `graph`, as the file says it.

    Raises:
        UnsupportedModelError: TFLite Micro has no kernel for an operator of the file.
    """
    operators = graph.file_operators
    for one in operators:
        if one.op in _UNREGISTERED:
            raise UnsupportedModelError(
                f"operator {one.index} is {one.op}, for which TFLite Micro has no kernel",
                hint="fold its constants before converting",
            )
    stack = _Stack()
    for size in _FIXED_BYTES:
        stack.push(size, _WORD)
    stack.push(_EVAL_TENSOR_BYTES * len(graph.tensors), _WORD)
    stack.push(_NODE_BYTES * len(operators), _WORD)
    for one in operators:
        if one.op in _PARAMETERS:
            stack.push(*_PARAMETERS[one.op])
    for one in operators:
        if size := _op_data_bytes(one, kernels):
            stack.push(size, ALIGNMENT)
    needed, requests = 0, 0
    for one, asked in zip(operators, head.requests, strict=True):
        for size in _prepared(graph, one, kernels):
            stack.push(size, ALIGNMENT)
        needed = max(needed, stack.bytes + _listed(requests) + _looked_at(graph, one))
        requests += len(asked)
    if requests:
        stack.push(_WORD * requests, _WORD)
    for index in graph.states:
        stack.push(graph.tensor(index).bytes, ALIGNMENT)
    infos = _WORD + _INFO_BYTES * (len(graph.tensors) + requests)
    planning = _up(_listed(requests) + infos, ALIGNMENT) + _PLANNED_BYTES * head.planned_buffers()
    needed = max(needed, _up(stack.bytes, ALIGNMENT) + planning)
    for indices in (graph.inputs, graph.outputs):
        stack.push(_WORD * len(indices), ALIGNMENT)
        for index in indices:
            for size in _tensor_parts(graph.tensor(index)):
                stack.push(size, _WORD)
    return Tail(stack.bytes, needed)


class _Stack:
    """Grows down from an aligned end."""

    def __init__(self) -> None:
        self.bytes = 0

    def push(self, size: int, alignment: int) -> None:
        self.bytes = _up(self.bytes + size, alignment)


def _up(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _listed(requests: int) -> int:
    return _REQUEST_BYTES * (requests + _SPARE_REQUESTS)


def _op_data_bytes(operator: Operator, kernels: Kernels) -> int:
    own = _CMSIS_NN_OP_DATA_BYTES if kernels is Kernels.CMSIS_NN else {}
    return own.get(operator.op, _OP_DATA_BYTES.get(operator.op, 0))


def _tensor_parts(tensor: Tensor) -> tuple[int, ...]:
    """A TfLiteTensor and its quantisation, whose scales stay in flash."""
    if tensor.quantisation is None:
        return (_TENSOR_BYTES,)
    zero_points = _WORD + _WORD * len(tensor.quantisation.scales)
    return (_TENSOR_BYTES, _AFFINE_BYTES, zero_points)


# Prepare of these looks at its operands twice.
_TWICE = {
    "AVERAGE_POOL_2D",
    "CONCATENATION",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "MEAN",
    "REDUCE_MAX",
    "REDUCE_MIN",
    "SUM",
    "TANH",
    "TRANSPOSE_CONV",
}


def _looked_at(graph: Graph, operator: Operator) -> int:
    """Temporary TfLiteTensors of all operands and results, the most that a Prepare holds."""
    used = [index for index in (*operator.inputs, *operator.outputs) if index >= 0]
    once = sum(sum(_tensor_parts(graph.tensor(index))) for index in used)
    return once * (2 if operator.op in _TWICE else 1)


def _prepared(graph: Graph, operator: Operator, kernels: Kernels) -> Sequence[int]:
    """What the operator's Prepare allocates, in any order."""
    tensors = [graph.tensor(index) if index >= 0 else None for index in operator.inputs]
    output = graph.tensor(operator.outputs[0])
    if operator.op in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
        return (_WORD * output.shape[3],) * 2  # a multiplier and a shift for each channel
    if operator.op == "FULLY_CONNECTED":
        assert tensors[1] is not None
        scales = len(tensors[1].q.scales)
        return (_WORD * scales,) * 2 if scales > 1 else ()
    if operator.op == "SOFTMAX" and output.dtype == "int16":
        return (_LOOKUP_BYTES,) * 2
    if operator.op == "GATHER":
        return (_dimensions(output),)
    if operator.op == "BATCH_MATMUL":
        return _matmul(operator, tensors, output)
    if operator.op == "UNIDIRECTIONAL_SEQUENCE_LSTM" and kernels is Kernels.CMSIS_NN:
        sum_bytes = 8 if output.dtype == "int16" else 4
        return (sum_bytes * output.shape[2],) * 8  # of input and hidden state, for four gates
    return ()


def _dimensions(tensor: Tensor) -> int:
    """A TfLiteIntArray."""
    return _WORD + _WORD * len(tensor.shape)


def _matmul(
    operator: Operator, tensors: Sequence[Tensor | None], output: Tensor
) -> tuple[int, ...]:
    """Results' dimensions, quantisation, and operands that are transposed, with their data."""
    assert isinstance(operator.options, BatchMatmul)
    sizes = [_dimensions(output), _MATMUL_QUANTISATION_BYTES]
    first, second = operator.options.adjoint
    for tensor, transposed in zip(tensors, (first, not second), strict=True):
        assert tensor is not None
        if transposed:
            sizes += (_EVAL_TENSOR_BYTES, _dimensions(tensor), tensor.bytes)
    return tuple(sizes)
