"""What C do convolutions become?"""

from __future__ import annotations

import numpy as np

from harness.codegen.operators.code import Code, Writer
from harness.codegen.operators.requantization import (
    find_requantisation,
    write_filters,
    write_requantization,
)
from harness.kernels import (
    ConvolutionKernel,
    depthwise_strips,
    kernel_of,
    transpose_conv_column,
)
from harness.options import Optimise
from harness.tflite import Conv2D, DepthwiseConv2D, TransposeConv


def write_convolution(
    code: Code,
    kind: str,
    function: str,
    *,
    element: str = "int8_t",
    scratch: str = "int8_t",
    **more: object,
) -> None:
    """The call of `function` with a table of the type `kind`, which has the members `more` besides
    those of every convolution. element, scratch: the types that its tensors and its scratch memory
    consist of."""
    options = code.operator.options
    assert isinstance(options, Conv2D | DepthwiseConv2D)
    source, output = code.input(0), code.output
    top, left = options.pads
    table = code.struct(
        kind,
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
        **more,
    )
    addresses = (code.address(tensor, element) for tensor in (source, output))
    code.call(function, table, *addresses, code.scratch(scratch))


def _conv_2d(code: Code) -> None:
    options, weights = code.operator.options, code.input(1).data
    kernel = kernel_of(code.graph, code.operator, code.plan.optimise)
    assert isinstance(options, Conv2D) and weights is not None
    assert isinstance(kernel, ConvolutionKernel)
    count, height, width, channels = weights.shape
    lines = weights.reshape(count, height, width * channels)
    write_convolution(
        code,
        "conv_2d_t",
        "conv_2d_s8",
        input_zero_point=code.input(0).q.zero_point,
        filters=write_filters(code, lines, options.activation),
        block=kernel.block,
        buffer_words=kernel.buffer_words,
        line_bytes=kernel.line_bytes,
    )


def _depthwise_conv_2d(code: Code) -> None:
    options, weights = code.operator.options, code.input(1).data
    assert isinstance(options, DepthwiseConv2D) and weights is not None
    # [channels][height * width]
    rows = weights.reshape(-1, weights.shape[3]).T
    found = find_requantisation(code, rows, options.activation, (0, 1, 2))
    strips = depthwise_strips(code.graph, code.operator, code.plan.optimise)
    variant = ""
    if code.plan.optimise is Optimise.SIZE:
        variant = "_small"
    elif strips.own_loop and found.short:
        variant = "_3x3" if options.stride[0] == 1 else "_3x3_stride_2"
    write_convolution(
        code,
        "depthwise_conv_2d_t",
        f"depthwise_conv_2d{variant}_s8",
        input_zero_point=code.input(0).q.zero_point,
        weights=code.table("weights", found.rows, "int8_t"),
        out=write_requantization(code, found),
        line=strips.line,
        plane_height=strips.plane_height,
        strip_height=strips.height,
        planes=strips.planes,
        taps_bytes=strips.taps_bytes,
    )


def _transpose_conv(code: Code) -> None:
    options, weights = code.operator.options, code.input(1).data
    assert isinstance(options, TransposeConv) and weights is not None
    source, output = code.input(2), code.output
    channels = output.shape[3]
    phases = []
    for row in range(options.stride[0]):
        for column in range(options.stride[1]):
            # A later input meets an earlier tap.
            taps = weights[:, row :: options.stride[0], column :: options.stride[1]][:, ::-1, ::-1]
            rows = taps.reshape(channels, -1) if taps.size else np.zeros((channels, 4), np.int8)
            part = f"_{row}_{column}"
            filters = write_filters(
                code, rows[:, None, :], options.activation, operands=(2, 1, 3), part=part
            )
            height, width = taps.shape[1:3]
            phases.append(
                f"{{.kernel_height = {height}, .kernel_width = {width},\n"
                f"     .filters = {filters}}}"
            )
    name, body = code.name("phases"), ",\n    ".join(phases)
    code.definitions.append(
        f"static const transpose_conv_phase_t {name}[{len(phases)}] = {{\n    {body}\n}};\n"
    )
    table = code.struct(
        "transpose_conv_t",
        input_height=source.shape[1],
        input_width=source.shape[2],
        input_channels=source.shape[3],
        output_height=output.shape[1],
        output_width=output.shape[2],
        output_channels=channels,
        stride_height=options.stride[0],
        stride_width=options.stride[1],
        pad_top=options.pads[0],
        pad_left=options.pads[1],
        input_zero_point=source.q.zero_point,
        longest=transpose_conv_column(weights.shape, output.shape, options),
        phases=name,
    )
    code.call(
        "transpose_conv_s8", table, code.address(source), code.address(output), code.scratch()
    )


WRITERS: dict[str, Writer] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "TRANSPOSE_CONV": _transpose_conv,
}
