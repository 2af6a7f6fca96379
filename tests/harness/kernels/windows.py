"""Operators that slide windows over a feature map: how their shapes are drawn, and how a model is
given them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.harness.kernels.cases import activations, channels, sizes
from tests.tflite_factory import SAME, VALID, ModelFactory

Size = tuple[int, int]

areas = st.tuples(sizes, sizes)
strides = st.tuples(st.integers(1, 3), st.integers(1, 3))
dilations = st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 3)])


@dataclass(frozen=True)
class Windows:
    """Those of `kernel` over a map of `size`."""

    size: Size
    kernel: Size
    stride: Size = (1, 1)
    dilation: Size = (1, 1)
    padding: int = VALID

    @property
    def output(self) -> Size | None:
        """How many there are, or None where not even one fits."""
        found = [
            -(-size // step)
            if self.padding == SAME
            else (size - (span - 1) * spread - 1) // step + 1
            for size, span, step, spread in zip(
                self.size, self.kernel, self.stride, self.dilation, strict=True
            )
        ]
        return (found[0], found[1]) if min(found) > 0 else None

    @property
    def options(self) -> dict[str, int]:
        return {
            "padding": self.padding,
            "stride_h": self.stride[0],
            "stride_w": self.stride[1],
        }

    @property
    def dilated(self) -> dict[str, int]:
        """The options of a convolution."""
        return {
            **self.options,
            "dilation_h": self.dilation[0],
            "dilation_w": self.dilation[1],
        }


def draw_windows(
    draw: st.DrawFn,
    *,
    kernel: st.SearchStrategy[Size],
    stride: st.SearchStrategy[Size] = strides,
    size: st.SearchStrategy[Size] = areas,
    dilation: st.SearchStrategy[Size] = dilations,
) -> Windows:
    padding = draw(st.sampled_from([SAME, VALID]))
    return Windows(draw(size), draw(kernel), draw(stride), draw(dilation), padding)


def add_convolution(
    model: ModelFactory,
    op: str,
    windows: Windows,
    operands: list[int],
    count: int,
    details: dict[str, Any],
    **options: Any,
) -> None:
    """CONV_2D or DEPTHWISE_CONV_2D of `operands` to `count` channels of the quantisation
    `details`."""
    assert windows.output is not None
    output = model.tensor((1, *windows.output, count), **details)
    model.outputs.append(output)
    model.operator(op, operands, [output], **windows.dilated, **options)


def add_pooling(
    draw: st.DrawFn, model: ModelFactory, kernel: st.SearchStrategy[Size], details: dict[str, Any]
) -> None:
    """AVERAGE_POOL_2D or MAX_POOL_2D."""
    windows = draw_windows(draw, kernel=kernel, dilation=st.just((1, 1)))
    if windows.output is None:
        return
    depth = draw(channels)
    source = model.input((1, *windows.size, depth), **details)
    output = model.tensor((1, *windows.output, depth), **details)
    model.outputs.append(output)
    model.operator(
        draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"])),
        [source],
        [output],
        filter_h=windows.kernel[0],
        filter_w=windows.kernel[1],
        activation=draw(activations),
        **windows.options,
    )
