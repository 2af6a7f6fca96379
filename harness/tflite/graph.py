"""What is a checked model? Immutable tensors, operators and their options. Knows no flatbuffer."""

from __future__ import annotations

import enum
import functools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Activation(enum.Enum):
    """Fused activation; quantised, each is a clamp."""

    NONE = 0
    RELU = 1
    RELU_N1_TO_1 = 2
    RELU6 = 3


@dataclass(frozen=True)
class Quantisation:
    """real = scale * (quantised - zero_point); one pair, or one a slice along `axis`."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0

    @property
    def scale(self) -> float:
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        return self.zero_points[0]


@dataclass(frozen=True)
class Tensor:
    """dtype as numpy spells it; networks compute in int8. data is None for what is computed at run
    time, else a read-only array of `shape`. name comes from the file: never trust it, escape
    it.

    variable: state, which one inference leaves to the next; see reset_value."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    quantisation: Quantisation | None
    data: Array | None = field(default=None, compare=False, repr=False)
    variable: bool = False

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def width(self) -> int:
        """Bytes of an element."""
        return np.dtype(self.dtype).itemsize

    @property
    def bytes(self) -> int:
        return self.elements * self.width

    @property
    def reset_value(self) -> int:
        """What every byte of state is before the first inference."""
        return self.q.zero_point if self.dtype == "int8" else 0

    @property
    def q(self) -> Quantisation:
        """The quantisation of a tensor that is known to have one."""
        assert self.quantisation is not None
        return self.quantisation


@dataclass(frozen=True)
class BatchMatmul:
    """adjoint: are the matrices of the first, and of the second, input transposed?"""

    adjoint: tuple[bool, bool]


@dataclass(frozen=True)
class Conv2D:
    """pads: rows above and columns left of the input; how many lie below and to the right follows
    from the output's size. As in DepthwiseConv2D and Pool2D.

    int32_sums: accumulators have 32 bits, not 64. As in FullyConnected."""

    pads: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    activation: Activation
    int32_sums: bool = True


@dataclass(frozen=True)
class DepthwiseConv2D:
    pads: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    activation: Activation
    multiplier: int


@dataclass(frozen=True)
class Lstm:
    """time_major: the input is [time][batch][depth], else [batch][time][depth]. cell_clip: the
    cell's state is clamped to +-cell_clip, unless 0."""

    time_major: bool
    cell_clip: float


@dataclass(frozen=True)
class Svdf:
    """rank: filters that add up to one output."""

    rank: int


@dataclass(frozen=True)
class TransposeConv:
    """pads: rows above and columns left of the output that are computed by nobody."""

    pads: tuple[int, int]
    stride: tuple[int, int]
    activation: Activation


@dataclass(frozen=True)
class Pool2D:
    pads: tuple[int, int]
    stride: tuple[int, int]
    window: tuple[int, int]
    activation: Activation


@dataclass(frozen=True)
class Axis:
    """Along which axis tensors are joined, split or searched; never negative."""

    axis: int


@dataclass(frozen=True)
class FullyConnected:
    activation: Activation
    int32_sums: bool = True


@dataclass(frozen=True)
class Arithmetic:
    """ADD, MUL and SUB."""

    activation: Activation


@dataclass(frozen=True)
class LeakyRelu:
    alpha: float


@dataclass(frozen=True)
class MirrorPad:
    """skipped: 1 where the outermost element is the mirror and not repeated, else 0."""

    skipped: int


@dataclass(frozen=True)
class Reduction:
    """Over which axes; ascending, each once, none negative."""

    axes: tuple[int, ...]


@dataclass(frozen=True)
class Resize:
    align_corners: bool
    half_pixel_centers: bool


@dataclass(frozen=True)
class Slice:
    """Of each axis of the input: the first element, the step to the next, how many. Axes that the
    operator removes have one."""

    begin: tuple[int, ...]
    steps: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Softmax:
    beta: float


@dataclass(frozen=True)
class Transpose:
    """Axis i of the output is axis order[i] of the input."""

    order: tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """Where a patch lies in the tensor that PATCH_IN takes it from and PATCH_OUT puts it into:
    operators that no file has, from harness/passes/patches.py."""

    top: int
    left: int


Options = (
    Axis
    | BatchMatmul
    | Conv2D
    | DepthwiseConv2D
    | Pool2D
    | FullyConnected
    | Arithmetic
    | LeakyRelu
    | Lstm
    | MirrorPad
    | Reduction
    | Resize
    | Slice
    | Softmax
    | Svdf
    | Transpose
    | TransposeConv
    | Window
    | None
)


@dataclass(frozen=True)
class Operator:
    """op as the schema spells it ("CONV_2D"); index is its place in the file; inputs and outputs
    are tensor indices, an absent optional input is -1. part_of: the place in the file of the
    operator that this one computes a part of, with an index behind all those of the file."""

    index: int
    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options
    part_of: int | None = None

    @property
    def layer(self) -> int:
        """What its cycles are counted for."""
        return self.index if self.part_of is None else self.part_of


@dataclass(frozen=True)
class Graph:
    """One subgraph in the file's operator order, which is a valid execution order. folded:
    operators of the file that need not run, as their results are constants. spare_bytes: memory
    that a kernel may use at most only to be faster; None: what harness/kernels.py finds worth it.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    sha256: str
    size: int
    folded: tuple[Operator, ...] = ()
    spare_bytes: int | None = None

    @property
    def file_operators(self) -> tuple[Operator, ...]:
        """Those that run and those that need not, in the file's order."""
        return tuple(sorted((*self.operators, *self.folded), key=lambda one: one.index))

    def tensor(self, index: int) -> Tensor:
        return self.tensors[index]

    def operator(self, index: int) -> Operator:
        """The operator with this index in the file: positions differ once operators are folded."""
        return self._by_index[index]

    @functools.cached_property
    def _by_index(self) -> dict[int, Operator]:
        return {operator.index: operator for operator in self.operators}

    def working_bytes(self, operator: Operator) -> int:
        """What `operator` reads and writes of the arena."""
        used = {index for index in (*operator.inputs, *operator.outputs) if index >= 0}
        return sum(self.tensors[i].bytes for i in used if self.tensors[i].data is None)

    @functools.cached_property
    def most_working_bytes(self) -> int:
        """Of all operators."""
        return max(self.working_bytes(operator) for operator in self.operators)

    def optional(self, operator: Operator, position: int) -> Tensor | None:
        """The operator's input at `position`, None where it is absent."""
        if position >= len(operator.inputs) or operator.inputs[position] < 0:
            return None
        return self.tensors[operator.inputs[position]]

    @property
    def states(self) -> tuple[int, ...]:
        """Tensors that live from one inference to the next."""
        used = (i for operator in self.operators for i in operator.inputs if i >= 0)
        return tuple(index for index in used if self.tensors[index].variable)

    def is_int16(self, operator: Operator) -> bool:
        """Some operand or result is int16: the kernels of int16 activations run it."""
        used = (*operator.inputs, *operator.outputs)
        return any(self.tensors[index].dtype == "int16" for index in used if index >= 0)

    def macs(self, operator: Operator) -> int:
        """Multiply-accumulates of convolutions, matrix products and recurrent layers; padding
        counts, other operators have none."""
        output = self.tensors[operator.outputs[0]]
        if isinstance(operator.options, BatchMatmul):
            depth = self.tensors[operator.inputs[0]].shape[
                -2 if operator.options.adjoint[0] else -1
            ]
            return output.elements * depth
        if operator.op == "CONV_2D":
            return output.elements * math.prod(self.tensors[operator.inputs[1]].shape[1:])
        if operator.op == "DEPTHWISE_CONV_2D":
            return output.elements * math.prod(self.tensors[operator.inputs[1]].shape[1:3])
        if operator.op == "FULLY_CONNECTED":
            return output.elements * self.tensors[operator.inputs[1]].shape[-1]
        if operator.op == "SVDF":
            features, memories = (self.tensors[i].elements for i in operator.inputs[1:3])
            return output.shape[0] * (features + memories)
        if operator.op == "UNIDIRECTIONAL_SEQUENCE_LSTM":
            batch, steps, units = output.shape
            depth = self.tensors[operator.inputs[0]].shape[2]
            return batch * steps * 4 * units * (depth + units)
        if operator.op == "TRANSPOSE_CONV":
            taps = math.prod(self.tensors[operator.inputs[1]].shape[:3])
            return self.tensors[operator.inputs[2]].elements * taps
        return 0

    def moved_bytes(self, operator: Operator) -> int:
        """Operands and results, each once."""
        used = {index for index in (*operator.inputs, *operator.outputs) if index >= 0}
        return sum(self.tensors[index].bytes for index in used)

    @property
    def total_macs(self) -> int:
        return sum(self.macs(operator) for operator in self.operators)

    @property
    def weights_bytes(self) -> int:
        """All constants of the file that operators use."""
        used = {i for operator in self.operators for i in operator.inputs if i >= 0}
        return sum(t.bytes for t in self.tensors if t.index in used and t.data is not None)
