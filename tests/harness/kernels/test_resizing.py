from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.harness.kernels.cases import (
    Add,
    check_operator,
    quantised,
    quantised_wide,
)
from tests.host_model import check
from tests.tflite_factory import ModelFactory

_sizes = st.one_of(st.integers(1, 12), st.sampled_from([1, 2, 7, 31]))


def add_nearest(draw: st.DrawFn, model: ModelFactory) -> None:
    options = {name: draw(st.booleans()) for name in ("align_corners", "half_pixel_centers")}
    _add_resize(draw, model, "RESIZE_NEAREST_NEIGHBOR", options)


def add_bilinear(draw: st.DrawFn, model: ModelFactory) -> None:
    chosen = draw(st.sampled_from(["none", "align_corners", "half_pixel_centers"]))
    options = {name: name == chosen for name in ("align_corners", "half_pixel_centers")}
    _add_resize(draw, model, "RESIZE_BILINEAR", options)


def _add_resize(draw: st.DrawFn, model: ModelFactory, op: str, options: dict[str, bool]) -> None:
    height, width, channels = draw(_sizes), draw(_sizes), draw(st.integers(1, 6))
    size = [draw(st.one_of(_sizes, st.just(2 * before))) for before in (height, width)]
    details = (quantised if op == "RESIZE_BILINEAR" else quantised_wide)(draw)
    source = model.input((1, height, width, channels), **details)
    output = model.tensor((1, *size, channels), **details)
    model.outputs.append(output)
    operands = [source, model.constant(np.array(size, np.int32))]
    model.operator(op, operands, [output], **options)


@pytest.mark.parametrize("add", [add_nearest, add_bilinear], ids=lambda add: add.__name__)
def test_operator_is_bit_exact_with_the_reference(add: Add) -> None:
    check_operator(add, examples=15)


@pytest.mark.parametrize("half_pixel_centers", [False, True])
@pytest.mark.parametrize("op", ["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"])
def test_long_axes_are_exact(op: str, half_pixel_centers: bool) -> None:
    """Where single precision, and 1024ths, are coarse."""
    model = ModelFactory()
    for before, after in ((500, 499), (7, 150), (1500, 11), (1000, 1001)):
        source = model.input((1, 1, before, 1), scale=0.5)
        model.outputs.append(model.tensor((1, 1, after, 1), scale=0.5))
        size = model.constant(np.array([1, after], np.int32))
        model.operator(
            op,
            [source, size],
            model.outputs[-1:],
            align_corners=False,
            half_pixel_centers=half_pixel_centers,
        )
    check(model.build())
