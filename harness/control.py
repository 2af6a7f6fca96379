"""Is a unit still the one it was? The same small model, measured on it again and again: its cycles
are compared with the unit's own earlier ones and with those of equal units. Opens no unit."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Sequence
from pathlib import Path

from harness.measurement import Measurement

# The same image on the same chip takes the same cycles: its caches are emptied before each
# inference. A wait state, a prefetch buffer or a cache that is set otherwise costs per cents.
# Not tuned on silicon.
DRIFT_BOUND_PPM = 1000.0

_MODEL = Path(__file__).with_name("control.tflite")


def control_model() -> bytes:
    """A classifier of 9 x 9 x 3: convolution, depthwise convolution, addition, pooling, reshape,
    fully-connected, softmax, with random weights. tests/harness/test_control.py makes it."""
    return _MODEL.read_bytes()


def key_of(control: Measurement) -> str:
    """Control runs of one key were made with one image at one clock: another version of hilnas
    may lay the same code out otherwise, which alone moves cycles by tenths of a per mille."""
    text = f"{control.image_sha256} {control.label}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def ppm_beside(cycles: float, others: Sequence[float]) -> float | None:
    """How far `cycles` are from the median of `others`, in millionths; None: there are none."""
    if not others:
        return None
    middle = statistics.median(others)
    return round(1e6 * (cycles - middle) / middle, 1)
