"""A small network of every operator that joins, splits, slices, frames, resizes or reduces: what
converters make of U-Nets, feature pyramids and channel shuffles."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.tflite_factory import NONE, ModelFactory


def movement_network(*, size: int = 4, channels: int = 2) -> bytes:
    model = ModelFactory()
    details = {"scale": 0.05, "zero_point": 3}

    def apply(op: str, inputs: list[int], shape: tuple[int, ...], **options: Any) -> int:
        output = model.tensor(shape, **details)
        model.operator(op, inputs, [output], **options)
        return output

    def numbers(*values: Any) -> int:
        return model.constant(np.array(values, np.int32))

    image = (1, size, size, channels)
    known = model.input(image, **details)
    frame = numbers((0, 0), (1, 0), (0, 1), (0, 0))
    framed = (1, size + 1, size + 1, channels)
    known = apply("MIRROR_PAD", [known, frame], framed, mode=0)
    known = apply("RESIZE_BILINEAR", [known, numbers(size, size)], image, half_pixel_centers=True)
    wide = (1, 2 * size, 2 * size, channels)
    large = apply("RESIZE_NEAREST_NEIGHBOR", [known, numbers(2 * size, 2 * size)], wide)
    ends = [numbers(*values) for values in ((0, 0, 0, 0), wide, (1, 2, 2, 1))]
    small = apply("STRIDED_SLICE", [large, *ends], image, begin_mask=1, end_mask=9)
    both = (1, size, size, 2 * channels)
    known = apply("CONCATENATION", [known, small], both, axis=-1, activation=NONE)
    shuffled = list(range(0, 2 * channels, 2)) + list(range(1, 2 * channels, 2))
    known = apply("GATHER", [known, numbers(*shuffled)], both, axis=3, batch_dims=0)
    halves = [model.tensor(image, **details) for _ in range(2)]
    model.operator("SPLIT", [numbers(3), known], halves, count=2)
    packed = (1, size, size, channels, 2)
    known = apply("PACK", halves, packed, axis=4, count=2)
    known = apply("TRANSPOSE", [known, numbers(0, 4, 1, 2, 3)], (1, 2, size, size, channels))
    known = apply("SQUEEZE", [known], (2, size, size, channels), axes=[0])
    rows = [model.tensor((count, size, size, channels), **details) for count in (1, 1)]
    model.operator("SPLIT_V", [known, numbers(1, -1), numbers(0)], rows, count=2)
    slices = [model.tensor((size, channels), **details) for _ in range(size)]
    flat = apply("SQUEEZE", rows[:1], (size, size, channels), axes=[])
    model.operator("UNPACK", [flat], slices, axis=0, count=size)
    part = [numbers(0, 1, 0, 0), numbers(1, -1, size, channels)]
    known = apply("SLICE", [rows[1], *part], (1, size - 1, size, channels))
    known = apply("MEAN", [known, numbers(1)], (1, size, channels))
    known = apply("SUM", [known, numbers(0, 2)], (size,))
    known = apply("EXPAND_DIMS", [known, numbers(1)], (size, 1))
    widest = numbers((0, 0), (0, channels - 1))
    known = apply("PAD", [known, widest], (size, channels))
    known = apply("REDUCE_MAX", [known, numbers(0)], (channels,))
    place = model.tensor((size,), dtype="int32")
    model.operator("ARG_MIN", [slices[0], numbers(-1)], [place])
    model.outputs = [known, place, *slices[1:]]
    return model.build()
