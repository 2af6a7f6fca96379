"""What C does one operator become? Its constant tables and its call. One function an operator
kind; they know the kernels' structs (firmware/kernels/kernels.h) and nothing of files."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from harness.codegen.arithmetic import (
    INT8_MAX,
    INT8_MIN,
    activation_range,
    mean_parameters,
    quantise_multiplier,
    rescale,
    single,
    softmax_parameters,
)
from harness.codegen.tables import Array, fold_bias, pad_rows, pair_rows, sum_ranges, write_words
from harness.planner import ArenaPlan, is_alias, padding_before
from harness.tflite import (
    Activation,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Graph,
    Operator,
    Pool2D,
    Softmax,
    Tensor,
)
from harness.tflite.graph import Add
from harness.tflite.operators import mean_axes


@dataclass
class Code:
    """C of one operator: definitions at file scope, then statements of the function."""

    graph: Graph
    plan: ArenaPlan
    operator: Operator
    definitions: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        return f"operator {self.operator.index} ({self.operator.op})"

    def input(self, position: int) -> Tensor:
        return self.graph.tensor(self.operator.inputs[position])

    @property
    def output(self) -> Tensor:
        return self.graph.tensor(self.operator.outputs[0])

    def name(self, what: str) -> str:
        return f"{what}_{self.operator.index}"

    def address(self, tensor: Tensor, kind: str = "int8_t") -> str:
        """A pointer expression; constants become tables."""
        if tensor.data is not None:
            name = f"constant_{self.operator.index}_{tensor.index}"
            definition = write_words(name, tensor.data)
            if definition not in self.definitions:
                self.definitions.append(definition)
            return f"(const {kind} *){name}"
        offset = f"arena + {self.plan.offsets[tensor.index]}"
        return offset if kind == "int8_t" else f"({kind} *)(void *)({offset})"

    def scratch(self) -> str:
        at = self.plan.scratch.get(self.operator.index)
        return "NULL" if at is None else f"arena + {at}"

    def table(self, what: str, values: Array, kind: str) -> str:
        self.definitions.append(write_words(self.name(what), values))
        return f"(const {kind} *){self.name(what)}"

    def struct(self, kind: str, **members: object) -> str:
        """Defines a constant struct and returns a pointer to it."""
        name = self.name("operator")
        body = "\n".join(f"    .{key} = {value}," for key, value in members.items())
        self.definitions.append(f"static const {kind} {name} = {{\n{body}\n}};\n")
        return f"&{name}"

    def call(self, function: str, *arguments: object) -> None:
        self.statements.append(f"{function}({', '.join(str(a) for a in arguments)});")


def write_operator(graph: Graph, plan: ArenaPlan, operator: Operator) -> Code:
    """Raises UnsupportedModelError where a scale cannot be expressed."""
    code = Code(graph, plan, operator)
    _WRITERS[operator.op](code)
    return code


def _filters(code: Code, rows: Array, activation: Activation) -> tuple[Array, str]:
    """(filters [channels][depth], initialiser of requantization_t) for the filters `rows`."""
    source, weights, output = code.input(0), code.input(1), code.output
    bias = code.graph.optional(code.operator, 2)
    if code.operator.op == "FULLY_CONNECTED" and len(weights.q.scales) == 1:
        # Here alone TFLite multiplies the two scales in single precision.
        reals = [single(np.multiply, source.q.scale, weights.q.scale) / output.q.scale]
    else:
        reals = [source.q.scale * scale / output.q.scale for scale in weights.q.scales]
    pairs = [quantise_multiplier(real, where=code.where) for real in reals]
    folded = fold_bias(None if bias is None else bias.data, rows, source.q.zero_point)
    low, high = activation_range(activation, output.q, where=code.where)
    if len(pairs) > 1:
        rows, folded = _settle_constants(rows, folded, pairs, output.q.zero_point, (low, high))
    least, greatest = sum_ranges(folded, rows)
    simple = (
        (low, high) == (INT8_MIN, INT8_MAX)
        and all(shift < 0 for _, shift in pairs)
        and max(int(greatest.max()), -int(least.min())) < 1 << 30
    )
    members = {
        "bias": code.table("bias", folded, "int32_t"),
        "multiplier": code.table(
            "multiplier", np.array([m for m, _ in pairs], np.int32), "int32_t"
        ),
        "shift": code.table("shift", np.array([s for _, s in pairs], np.int8), "int8_t"),
        "step": int(len(pairs) > 1),
        "simple": int(simple),
        "zero_point": output.q.zero_point,
        "min": low,
        "max": high,
    }
    return rows, "{" + ", ".join(f".{key} = {value}" for key, value in members.items()) + "}"


def _settle_constants(
    rows: Array,
    folded: Array,
    pairs: list[tuple[int, int]],
    zero_point: int,
    limits: tuple[int, int],
) -> tuple[Array, Array]:
    """Channels whose output no input can change (pruned ones, with scales next to zero and biases
    next to overflow) get zero weights and plain numbers with the same result. Changes `pairs`."""
    rows, folded = rows.copy(), folded.copy()
    ends = zip(*sum_ranges(folded, rows), strict=True)
    for channel, ((multiplier, shift), sums) in enumerate(zip(list(pairs), ends, strict=True)):
        if shift > 0 or not all(-(1 << 31) <= total < 1 << 31 for total in sums):
            continue
        # Rescaling is monotonous: equal at both ends means equal throughout.
        first, last = (
            min(max(rescale(int(total), multiplier, shift) + zero_point, limits[0]), limits[1])
            for total in sums
        )
        if first == last:
            rows[channel] = 0
            folded[channel] = (4 * (first - zero_point)) & 0xFFFFFFFF
            pairs[channel] = (1 << 30, -1)  # a quarter, exactly
    return rows, folded


def _convolution(code: Code, function: str, weights: str, requantization: str) -> None:
    options = code.operator.options
    assert isinstance(options, Conv2D | DepthwiseConv2D)
    source, output = code.input(0), code.output
    top, left = padding_before(code.graph, code.operator)
    table = code.struct(
        "conv_2d_t",
        input_height=source.shape[1],
        input_width=source.shape[2],
        input_channels=source.shape[3],
        output_height=output.shape[1],
        output_width=output.shape[2],
        output_channels=output.shape[3],
        kernel_height=code.input(1).shape[1],
        kernel_width=code.input(1).shape[2],
        stride_height=options.stride[0],
        stride_width=options.stride[1],
        dilation_height=options.dilation[0],
        dilation_width=options.dilation[1],
        pad_top=top,
        pad_left=left,
        input_zero_point=source.q.zero_point,
        weights=weights,
        out=requantization,
    )
    code.call(function, table, code.address(source), code.address(output), code.scratch())


def _conv_2d(code: Code) -> None:
    options, weights = code.operator.options, code.input(1).data
    assert isinstance(options, Conv2D) and weights is not None
    rows, requantization = _filters(
        code, weights.reshape(weights.shape[0], -1), options.activation
    )
    table = code.table("weights", pair_rows(pad_rows(rows)), "int8_t")
    _convolution(code, "conv_2d_s8", table, requantization)


def _depthwise_conv_2d(code: Code) -> None:
    options, weights = code.operator.options, code.input(1).data
    assert isinstance(options, DepthwiseConv2D) and weights is not None
    # [channels][height * width]
    rows, requantization = _filters(
        code, weights.reshape(-1, weights.shape[3]).T, options.activation
    )
    table = code.table("weights", rows, "int8_t")
    _convolution(code, "depthwise_conv_2d_s8", table, requantization)


def _fully_connected(code: Code) -> None:
    options, weights = code.operator.options, code.input(1).data
    assert isinstance(options, FullyConnected) and weights is not None
    rows, requantization = _filters(code, weights, options.activation)
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


def _pool_2d(code: Code) -> None:
    options, source, output = code.operator.options, code.input(0), code.output
    assert isinstance(options, Pool2D)
    top, left = padding_before(code.graph, code.operator)
    low, high = activation_range(options.activation, output.q, where=code.where)
    table = code.struct(
        "pool_2d_t",
        input_height=source.shape[1],
        input_width=source.shape[2],
        channels=source.shape[3],
        output_height=output.shape[1],
        output_width=output.shape[2],
        window_height=options.window[0],
        window_width=options.window[1],
        stride_height=options.stride[0],
        stride_width=options.stride[1],
        pad_top=top,
        pad_left=left,
        min=low,
        max=high,
    )
    function = {"AVERAGE_POOL_2D": "average_pool_2d_s8", "MAX_POOL_2D": "max_pool_2d_s8"}
    code.call(function[code.operator.op], table, code.address(source), code.address(output))


def _add(code: Code) -> None:
    options, output = code.operator.options, code.output
    assert isinstance(options, Add)
    first, second = code.input(0), code.input(1)
    twice = 2.0 * max(first.q.scale, second.q.scale)
    pairs = [
        quantise_multiplier(real, where=code.where)
        for real in (
            first.q.scale / twice,
            second.q.scale / twice,
            twice / (float(1 << 20) * output.q.scale),
        )
    ]
    low, high = activation_range(options.activation, output.q, where=code.where)
    table = code.struct(
        "add_t",
        count=output.elements,
        zero_point_1=first.q.zero_point,
        multiplier_1=pairs[0][0],
        shift_1=pairs[0][1],
        zero_point_2=second.q.zero_point,
        multiplier_2=pairs[1][0],
        shift_2=pairs[1][1],
        zero_point=output.q.zero_point,
        multiplier=pairs[2][0],
        shift=pairs[2][1],
        min=low,
        max=high,
    )
    code.call("add_s8", table, code.address(first), code.address(second), code.address(output))


def _pad(code: Code) -> None:
    source, output, paddings = code.input(0), code.output, code.input(1).data
    assert paddings is not None
    value = output.q.zero_point
    if code.operator.op == "PADV2":
        chosen = code.input(2).data
        assert chosen is not None
        value = int(chosen.ravel()[0])

    def four(values: list[int], filler: int) -> str:
        return "{" + ", ".join(str(v) for v in [filler] * (4 - len(values)) + values) + "}"

    table = code.struct(
        "pad_t",
        input=four(list(source.shape), 1),
        before=four([int(before) for before in paddings[:, 0]], 0),
        output=four(list(output.shape), 1),
        value=value,
    )
    code.call("pad_s8", table, code.address(source), code.address(output))


def _mean(code: Code) -> None:
    source, output, axes = code.input(0), code.output, code.input(1).data
    assert axes is not None
    reduced = mean_axes(source, axes)
    assert reduced is not None
    count = math.prod(source.shape[reduced[0] : reduced[1]])
    multiplier, shift = mean_parameters(source.q.scale, output.q.scale, count, where=code.where)
    table = code.struct(
        "mean_t",
        outer=math.prod(source.shape[: reduced[0]]),
        count=count,
        inner=math.prod(source.shape[reduced[1] :]),
        input_zero_point=source.q.zero_point,
        multiplier=multiplier,
        shift=shift,
        zero_point=output.q.zero_point,
    )
    code.call("mean_s8", table, code.address(source), code.address(output))


def _reshape(code: Code) -> None:
    if not is_alias(code.graph, code.operator):
        source = code.input(0)
        code.call("memcpy", code.address(code.output), code.address(source), source.bytes)


def _softmax(code: Code) -> None:
    options, source = code.operator.options, code.input(0)
    assert isinstance(options, Softmax)
    multiplier, shift, lowest = softmax_parameters(options.beta, source.q.scale)
    table = code.struct(
        "softmax_t",
        rows=source.elements // source.shape[-1],
        depth=source.shape[-1],
        multiplier=multiplier,
        shift=shift,
        lowest_difference=lowest,
    )
    code.call("softmax_s8", table, code.address(source), code.address(code.output))


def _rescale(code: Code, real: float, low: int) -> None:
    source, output = code.input(0), code.output
    multiplier, shift = quantise_multiplier(real, where=code.where)
    table = code.struct(
        "rescale_t",
        count=output.elements,
        input_zero_point=source.q.zero_point,
        multiplier=multiplier,
        shift=shift,
        zero_point=output.q.zero_point,
        min=low,
        max=INT8_MAX,
    )
    code.call("rescale_s8", table, code.address(source), code.address(output))


def _relu(code: Code) -> None:
    source, output = code.input(0), code.output
    # TFLite divides these two scales in single precision.
    ratio = single(np.divide, source.q.scale, output.q.scale)
    _rescale(code, ratio, max(INT8_MIN, output.q.zero_point))


def _relu6(code: Code) -> None:
    source, output = code.input(0), code.output
    low, high = activation_range(Activation.RELU6, source.q, where=code.where)
    code.call("clamp_s8", output.elements, low, high, code.address(source), code.address(output))


def _quantize(code: Code) -> None:
    source, output = code.input(0), code.output
    if source.dtype == "int8":
        _rescale(code, source.q.scale / output.q.scale, INT8_MIN)
        return
    code.call(
        "quantize_f32",
        output.elements,
        f"{output.q.scale.hex()}f",
        output.q.zero_point,
        code.address(source, "float"),
        code.address(output),
    )


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


_WRITERS: dict[str, Callable[[Code], None]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool_2d,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "DEQUANTIZE": _dequantize,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _pool_2d,
    "MEAN": _mean,
    "PAD": _pad,
    "PADV2": _pad,
    "QUANTIZE": _quantize,
    "RELU": _relu,
    "RELU6": _relu6,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
}
