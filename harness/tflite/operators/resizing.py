"""What must operators that resize feature maps look like, and which pixels do they read?"""

from __future__ import annotations

import numpy as np

from harness.tflite.graph import (
    Options,
    Resize,
)
from harness.tflite.operators.node import (
    Check,
    Node,
)

_LONGEST = 1 << 15  # along one axis; positions count in 1024ths in int32


def _resize(node: Node) -> Options:
    node.take(2, 2)
    source, output = node.operand(0), node.output
    if node.op == "RESIZE_BILINEAR":
        node.int8(source, output)
    else:
        node.int8_or_int16(source, output)
    height, width, channels = node.feature_map(source)
    size = node.constant(node.operand(1), "sizes", "int32")
    if size.shape != (2,) or (size < 1).any():
        raise node.malformed("sizes are impossible", "two, height and width", size.tolist())
    node.shaped(1, int(size[0]), int(size[1]), channels)
    longest = max(height, width, *output.shape[1:3])
    if longest > _LONGEST:
        raise node.unsupported(
            "resizes too long an axis", "use smaller feature maps", f"<= {_LONGEST}", longest
        )
    options = node.options()
    return Resize(bool(options["align_corners"]), bool(options["half_pixel_centers"]))


def _resize_bilinear(node: Node) -> Options:
    options = _resize(node)
    assert isinstance(options, Resize)
    if options.align_corners and options.half_pixel_centers:
        raise node.unsupported(
            "aligns corners and pixel centers",
            "choose one of align_corners and half_pixel_centers",
            "not both",
            "both",
        )
    for before, after in zip(node.operand(0).shape[1:3], node.output.shape[1:3], strict=True):
        step, start = bilinear_steps(before, after, options)
        if ((after - 1) * step + start) >> 10 >= before:
            raise node.unsupported(
                "is enlarged so far that it reads behind its end",
                "resize in two steps",
                f"less than {after} from {before}",
                after,
            )
    return options


def nearest_places(before: int, after: int, options: Resize) -> list[int]:
    """Which of `before` elements each of `after` is a copy of, in TFLite's single precision."""
    single = np.float32
    if options.align_corners and after > 1:
        scale = single(before - 1) / single(after - 1)
    else:
        scale = single(before) / single(after)
    shift = single(0.5 if options.half_pixel_centers else 0.0)
    places = (np.arange(after).astype(single) + shift) * scale
    # Halves away from zero, where it rounds; none is negative.
    rounded = np.floor(places.astype(np.float64) + (0.5 if options.align_corners else 0.0))
    found: list[int] = np.minimum(rounded.astype(np.int64), before - 1).tolist()
    return found


def bilinear_steps(before: int, after: int, options: Resize) -> tuple[int, int]:
    """(step, start): element i of `after` lies at i * step + start in 1024ths of an element."""
    if options.align_corners and after > 1:
        before, after = before - 1, after - 1
    step = (1024 * before + after // 2) // after
    return step, step // 2 - 512 if options.half_pixel_centers else 0


CHECKS: dict[str, Check] = {
    "RESIZE_BILINEAR": _resize_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
}
