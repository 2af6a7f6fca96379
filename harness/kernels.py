"""What does the kernel that runs an operator do to memory? Its scratch memory, and which inputs
its output may overwrite, as firmware/kernels promise it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from harness.axes import merge_padded, pad_axes
from harness.options import Optimise
from harness.tflite import (
    BatchMatmul,
    Conv2D,
    DepthwiseConv2D,
    Graph,
    Operator,
    Pool2D,
    Slice,
    Tensor,
    TransposeConv,
)

_LARGEST_BLOCK = 16  # pixels; more of them hardly save reads of filters
_HELD_BYTES = 200  # of filters, which the data cache of the flash holds (RM0432, 3.3.4: 256)


@dataclass(frozen=True)
class Kernel:
    """scratch_bytes: memory that it may use while it runs.

    Where nothing reads an input afterwards, the output may lie over it in two ways. inplace:
    positions of inputs whose first byte may be the output's, too. overlaps: (position, bytes) of
    inputs over whose beginning the output's end may lie, that many bytes at most; so an output
    that is no larger may also begin anywhere below the input's first byte (diagonal memory
    optimisation, arXiv 2010.01668).
    """

    scratch_bytes: int = 0
    inplace: tuple[int, ...] = ()
    overlaps: tuple[tuple[int, int], ...] = ()


# What multiplies packed columns with filters (firmware/kernels/matmul.h).
MATMUL = {Optimise.SPEED: "matmul_s8", Optimise.SIZE: "matmul_small_s8"}


@dataclass(frozen=True)
class ConvolutionKernel(Kernel):
    """Members of conv_2d_t of their names (firmware/kernels/convolution.h)."""

    block: int = 0
    buffer_words: int = 0
    line_bytes: int = 0


def kernel_of(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    int16 = _INT16_KERNELS.get(operator.op) if graph.is_int16(operator) else None
    choose = int16 or _KERNELS.get(operator.op)
    return Kernel() if choose is None else choose(graph, operator, optimise)


def is_alias(graph: Graph, operator: Operator) -> bool:
    """The operator changes no byte: its output is its input."""
    return operator.op in _ALIASES and graph.tensor(operator.inputs[0]).data is None


def continued(graph: Graph, operator: Operator) -> int | None:
    """The input that is the output's memory, if any: a reshape's, or the whole into which a patch
    is put."""
    if operator.op == "PATCH_OUT":
        return operator.inputs[1] if len(operator.inputs) > 1 else None
    return operator.inputs[0] if is_alias(graph, operator) else None


_ALIASES = {"EXPAND_DIMS", "RESHAPE", "SQUEEZE"}


def _overlap(output: Tensor, lead: int) -> int:
    """Bytes of a safe overlap for a kernel that writes its output upwards, in steps that read what
    they need before they write.

    lead: the least, over all steps, of the input's lowest byte that the step reads less the
    output's bytes that were written before it. With the output beginning at `a` and the input at
    `b`, a step's earlier writes end at a + written <= a + lowest - lead, which is below b + lowest
    if a <= b + lead: nothing is overwritten that this step reads, and so nothing that any later
    one does. Then the output ends at a + bytes <= b + (bytes + lead).
    """
    return max(0, output.bytes + min(0, lead))


def _window_lead(graph: Graph, operator: Operator) -> int:
    """The lead of a kernel whose step is one output pixel, row by row: the pixel's window begins
    at its upper left corner, clipped to the input. Rows and columns add, so their least does."""
    options = operator.options
    assert isinstance(options, Conv2D | DepthwiseConv2D | Pool2D)
    _, _, width, channels = graph.tensor(operator.inputs[0]).shape
    _, rows, columns, written = graph.tensor(operator.outputs[0]).shape

    def least(count: int, stride: int, pad: int, read: int, write: int) -> int:
        """Over the whole axis: convex, so least at an end or where the padding is left."""
        turn = min(pad // stride, count - 1)
        places = (0, turn, min(turn + 1, count - 1), count - 1)
        return min(max(0, at * stride - pad) * read - at * write for at in places)

    (step_y, step_x), (top, left) = options.stride, options.pads
    elements = least(rows, step_y, top, width * channels, columns * written) + least(
        columns, step_x, left, channels, written
    )
    return elements * graph.tensor(operator.outputs[0]).width


def _conv_2d(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    options = operator.options
    assert isinstance(options, Conv2D)
    filters, height, width, channels = graph.tensor(operator.inputs[1]).shape
    output = graph.tensor(operator.outputs[0])
    pixels = output.shape[1] * output.shape[2]
    line_bytes = _round_up(width * channels)
    depth = height * line_bytes
    gaps = options.dilation[1] > 1 and width > 1
    line_bytes = line_bytes if channels % 4 or gaps else 0
    record = record_words(depth, len(graph.tensor(operator.inputs[1]).q.scales))
    block, buffer_words = _block(
        record, -(-filters // 2), depth, pixels, room_bytes(graph, operator) - line_bytes, optimise
    )
    scratch = line_bytes + 4 * buffer_words + columns_bytes(depth, block)
    # Blocks are packed, then multiplied with all filters before the next ones: no less of a lead
    # than pixel by pixel.
    overlap = _overlap(output, _window_lead(graph, operator))
    return ConvolutionKernel(scratch, (), ((0, overlap),), block, buffer_words, line_bytes)


@dataclass(frozen=True)
class DepthwiseStrips:
    """How a depthwise convolution walks: `planes` channels at a time are copied into planes of
    `plane_height` lines of `line` bytes, which make `height` rows of the output. inplace: no strip
    writes over what a later one reads. own_loop: a 3x3 kernel may do it. taps_bytes: one channel's
    weights where the kernel reads them widened."""

    planes: int
    line: int
    plane_height: int
    height: int
    inplace: bool
    own_loop: bool = False
    taps_bytes: int = 0

    @property
    def scratch_bytes(self) -> int:
        return self.planes * self.plane_height * self.line + self.taps_bytes


# What a depthwise convolution's planes may take: a quarter of the input, but not less or more than
# this. Two rows of output are always made at once.
_STRIP_BYTES = (384, 3072)


def depthwise_strips(graph: Graph, operator: Operator, optimise: Optimise) -> DepthwiseStrips:
    options = operator.options
    assert isinstance(options, DepthwiseConv2D)
    source = graph.tensor(operator.inputs[0])
    _, rows, columns, channels = source.shape
    _, output_rows, output_columns, _ = graph.tensor(operator.outputs[0]).shape
    reach, reach_columns = (
        (span - 1) * dilation + 1
        for span, dilation in zip(
            graph.tensor(operator.inputs[1]).shape[1:3], options.dilation, strict=True
        )
    )
    stride, stride_columns = options.stride
    line = _round_up((output_columns - 1) * stride_columns + _round_up(reach_columns))
    inplace = output_columns <= columns and output_rows <= rows and options.multiplier == 1
    span_rows, span = graph.tensor(operator.inputs[1]).shape[1:3]
    if optimise is Optimise.SIZE:
        # Words of the plane that a row of weights meets, 12 bytes each.
        words = len({column * options.dilation[1] // 4 for column in range(span)})
        plane_height = (output_rows - 1) * stride + reach
        return DepthwiseStrips(
            1, line, plane_height, output_rows, inplace, taps_bytes=12 * span_rows * words
        )
    most_bytes = _spare(graph, min(max(source.bytes // 4, _STRIP_BYTES[0]), _STRIP_BYTES[1]))

    def most_height(planes: int) -> int:
        return (most_bytes // (planes * line) - reach) // stride + 1

    taps_bytes = 0
    own_loop = (
        (span_rows, span, reach, reach_columns) == (3, 3, 3, 3)
        and stride == stride_columns <= 2
        and (output_rows if stride == 1 else output_columns) > 1
    )
    if reach_columns == span and stride_columns <= 2 and not own_loop:
        # Words of four weights, two widened ones each; the last one alone where a word would hold
        # no other. Blocks of four or two outputs read words of input to their end.
        words = (span + 2) // 4
        taps_bytes = span_rows * (8 * words + 4 * (span % 4 == 1))
        most = stride_columns * max(output_columns, 4 // stride_columns)
        line = max(line, _round_up(most + 4 * words))

    # Four channels lie in a word, and two rows of output share what is loaded.
    planes = 4 if channels >= 4 and most_height(4) >= min(2, output_rows) else 1
    most = max(2, most_height(planes) & ~1)
    strips = -(-output_rows // most)
    height = min(output_rows, -(-output_rows // strips // 2) * 2)
    while own_loop and output_rows % height == 1:  # no strip of a single row
        height += 1
    plane_height = (height - 1) * stride + reach
    if height == output_rows:
        fitting = min(channels, most_bytes // (plane_height * line))
        planes = max(planes, fitting & ~3)
    ends = range(height, output_rows, height)  # of each strip but the last
    for end in (*ends[:1], *ends[-1:]):  # what is read less what is written is concave
        ready = min(rows, (end - 1) * stride + reach - options.pads[0])
        inplace = inplace and end * output_columns <= ready * columns
    return DepthwiseStrips(planes, line, plane_height, height, inplace, own_loop, taps_bytes)


def _block(
    record: int, pairs: int, depth: int, pixels: int, room: int, optimise: Optimise
) -> tuple[int, int]:
    """(pixels packed at once, words of filters kept in RAM) of a convolution in `room` bytes, if
    it can be done in them. `record`: words of a pair of filters."""
    group = columns_bytes(depth, 4)
    if pixels > _LARGEST_BLOCK and 4 * pairs * record + 2 * group <= room:
        room -= 4 * pairs * record
        return max(4, min(_LARGEST_BLOCK, room // group * 4)), pairs * record
    block = min(pixels, max(4, min(_LARGEST_BLOCK, room // group * 4)))
    # matmul_small_s8 reads records where they are.
    if optimise is Optimise.SPEED and block > 8 and 4 * record > _HELD_BYTES:
        return block, -(-record // 8) * 8  # copied by eight words
    return block, 0


def _depthwise_conv_2d(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    strips = depthwise_strips(graph, operator, optimise)
    return Kernel(strips.scratch_bytes, (0,) if strips.inplace else ())


def _fully_connected(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    depth = graph.tensor(operator.inputs[1]).shape[1]
    rows = graph.tensor(operator.inputs[0]).elements // depth
    return Kernel(columns_bytes(_round_up(depth), min(4, rows)))


def columns_bytes(depth: int, pixels: int) -> int:
    """Packed columns of `pixels` (firmware/kernels/matmul.h)."""
    columns = pixels if pixels % 4 == 1 else -(-pixels // 4) * 4
    return columns * (4 + 2 * depth)


def record_words(depth: int, scales: int) -> int:
    """A pair of filters (firmware/kernels/matmul.h)."""
    return 2 + depth // 2 + (3 if scales > 1 else 0)


def _spare(graph: Graph, size: int) -> int:
    return size if graph.spare_bytes is None else min(size, graph.spare_bytes)


def room_bytes(graph: Graph, operator: Operator) -> int:
    """How much scratch memory is worth what it buys: what an operator with larger tensors needs
    more, and at least a sixth of what the one with the largest does."""
    most = graph.most_working_bytes
    return _spare(graph, max(most // 6, most - graph.working_bytes(operator)))


def _elementwise(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    """Elements in ascending order, each written behind the last read of its operands."""
    output = graph.tensor(operator.outputs[0])
    positions = tuple(
        position
        for position, index in enumerate(operator.inputs)
        if index >= 0 and graph.tensor(index).elements == output.elements
    )
    return Kernel(inplace=positions, overlaps=tuple((p, output.bytes) for p in positions))


def _conversion(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    """Elements in ascending order: element i is read from there on where larger ones were written
    up to i times the output's size."""
    source, output = graph.tensor(operator.inputs[0]), graph.tensor(operator.outputs[0])
    growth = (output.bytes - source.bytes) // output.elements
    lead = -(output.elements - 1) * max(0, growth)
    return Kernel(inplace=() if growth > 0 else (0,), overlaps=((0, _overlap(output, lead)),))


def _reduction(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    """Elements in ascending order. Element [o][m][i] is made of [o][j][m][k][i] for all j and k,
    none of which lies further down than (o * middle + m) * inner + i, what was written before."""
    output = graph.tensor(operator.outputs[0])
    return Kernel(overlaps=((0, output.bytes),))


def _pad(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    """Rows along the last of the merged axes in ascending order, each moved at once. Every row has
    at least as much in front of it as the one before, so the last one has the least lead."""
    source, output = graph.tensor(operator.inputs[0]), graph.tensor(operator.outputs[0])
    paddings = graph.tensor(operator.inputs[1]).data
    assert paddings is not None
    axes = merge_padded(pad_axes(source.shape, paddings))
    at = 0
    for axis in axes:
        at = at * axis.total + axis.before + axis.size - 1
    row = axes[-1].size
    at -= row - 1  # where the last row begins
    lead = source.elements - row - at
    return Kernel(overlaps=((0, _overlap(output, lead * source.width)),))


def _pool_2d(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    """Pixels in ascending order, channels of one too, each written behind its window's values of
    that channel: no lower in the window than the channel is in the pixel."""
    output = graph.tensor(operator.outputs[0])
    return Kernel(overlaps=((0, _overlap(output, _window_lead(graph, operator))),))


def transpose_conv_column(
    weights: tuple[int, ...], output: tuple[int, ...], options: TransposeConv
) -> int:
    """Bytes of the longest column of a transposed convolution. Which of the filter's taps meet an
    output pixel depends on its phase, its place modulo the stride."""

    def most(size: int, span: int, stride: int, pad: int) -> int:
        """Taps of the first phase that occurs: the one at 0, unless the axis ends before it."""
        first = pad % stride
        return len(range(first if first + size <= stride else 0, span, stride))

    taps = map(most, output[1:3], weights[1:3], options.stride, options.pads)
    return max(4, _round_up(math.prod(taps) * weights[3]))


def _transpose_conv(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    """A column, plain and packed."""
    options = operator.options
    assert isinstance(options, TransposeConv)
    weights = graph.tensor(operator.inputs[1]).shape
    column = transpose_conv_column(weights, graph.tensor(operator.outputs[0]).shape, options)
    return Kernel(column + columns_bytes(column, 1))


def _slice(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    """Elements in ascending order. With steps forward only, each comes from no lower than it goes
    to, and so does every later one."""
    options = operator.options
    assert isinstance(options, Slice)
    if min(options.steps) < 0:
        return Kernel()
    return Kernel(inplace=(0,), overlaps=((0, graph.tensor(operator.outputs[0]).bytes),))


def _conv_2d_int16(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    """Columns of four pixels, gathered before any of these is written."""
    _, height, width, channels = graph.tensor(operator.inputs[1]).shape
    output = graph.tensor(operator.outputs[0])
    columns = 4 if output.shape[1] * output.shape[2] > 1 else 1
    lead = _window_lead(graph, operator)
    return Kernel(
        columns * _round_up(2 * height * width * channels),
        inplace=() if lead < 0 else (0,),
        overlaps=((0, _overlap(output, lead)),),
    )


def _depthwise_conv_2d_int16(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    """As pooling, but that channel c of a pixel reads channel c // multiplier of its window."""
    channels = [graph.tensor(i).shape[3] for i in (operator.inputs[0], operator.outputs[0])]
    lead = _window_lead(graph, operator) + 2 * (channels[0] - channels[1])
    _, height, width, count = graph.tensor(operator.inputs[1]).shape
    overlap = _overlap(graph.tensor(operator.outputs[0]), lead)
    return Kernel(height * width * _round_up(count), overlaps=((0, overlap),))


def _fully_connected_int16(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    depth = graph.tensor(operator.inputs[1]).shape[1]
    return Kernel(2 * (depth + 1) if depth % 2 else 0)


def strided_operands(graph: Graph, operator: Operator) -> tuple[bool, bool]:
    """Must the kernel gather the rows of the first, the columns of the second input of a
    BATCH_MATMUL? Constants are laid out for it beforehand."""
    options = operator.options
    assert isinstance(options, BatchMatmul)
    first, second = (graph.tensor(index).data is None for index in operator.inputs)
    return first and options.adjoint[0], second and not options.adjoint[1]


def _batch_matmul(graph: Graph, operator: Operator, optimise: Optimise) -> Kernel:
    """What each row adds to its sums, the rows and one column, those that must be gathered."""
    options = operator.options
    assert isinstance(options, BatchMatmul)
    depth = graph.tensor(operator.inputs[0]).shape[-2 if options.adjoint[0] else -1]
    rows = graph.tensor(operator.outputs[0]).shape[-2]
    rows_gathered, column_gathered = strided_operands(graph, operator)
    return Kernel(4 * rows + rows_gathered * rows * depth + column_gathered * depth)


def _round_up(size: int) -> int:
    return -(-size // 4) * 4


_KERNELS: dict[str, Callable[[Graph, Operator, Optimise], Kernel]] = {
    "ABS": _elementwise,
    "ADD": _elementwise,
    "AVERAGE_POOL_2D": _pool_2d,
    "BATCH_MATMUL": _batch_matmul,
    "CAST": _conversion,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "DEQUANTIZE": _conversion,
    "FULLY_CONNECTED": _fully_connected,
    "HARD_SWISH": _elementwise,
    "LEAKY_RELU": _elementwise,
    "LOGISTIC": _elementwise,
    "MAXIMUM": _elementwise,
    "MAX_POOL_2D": _pool_2d,
    "MEAN": _reduction,
    "MINIMUM": _elementwise,
    "MUL": _elementwise,
    "PAD": _pad,
    "PADV2": _pad,
    "PRELU": _elementwise,
    "QUANTIZE": _conversion,
    "REDUCE_MAX": _reduction,
    "REDUCE_MIN": _reduction,
    "RELU": _elementwise,
    "RELU6": _elementwise,
    "SLICE": _slice,
    "SOFTMAX": _elementwise,
    "STRIDED_SLICE": _slice,
    "SUB": _elementwise,
    "SUM": _reduction,
    "TANH": _elementwise,
    "TRANSPOSE_CONV": _transpose_conv,
}

_INT16_KERNELS: dict[str, Callable[[Graph, Operator, Optimise], Kernel]] = {
    "CONV_2D": _conv_2d_int16,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d_int16,
    "FULLY_CONNECTED": _fully_connected_int16,
}
