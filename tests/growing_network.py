"""A random model while it grows: what the next operator may read, and how its result is quantised,
from sane to extreme."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.tflite_factory import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, ModelFactory

_LARGEST_TENSOR = 1500  # bytes, so that a virtual board answers at once

activations = st.sampled_from([NONE, NONE, NONE, RELU, RELU6, RELU_N1_TO_1])
zero_points = st.one_of(st.sampled_from([-128, 0, 127]), st.integers(-128, 127))
scales = st.one_of(
    st.floats(2.0**-8, 1.0, width=32), st.sampled_from([1e-30, 1e-9, 2.0**-13, 1e4, 1e9, 1e30])
)
# What the scale of a result is divided by: mostly none, or shifts left, or all the way out.
_gains = st.sampled_from([1.0, 1.0, 1.0, 0.3, 40.0, 1e-5, 1e5, 1e-12])


class Network:
    """A model while it grows. `known` are the tensors that the next operator may read."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw, self.model = draw, ModelFactory()
        self.known: list[int] = []
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def shape(self, index: int) -> tuple[int, ...]:
        return self.model.tensors[index].shape

    def scale(self, index: int) -> float:
        return self.model.tensors[index].scales[0]

    def quantisation(self, index: int) -> dict[str, Any]:
        tensor = self.model.tensors[index]
        return {"scale": tensor.scales[0], "zero_point": tensor.zero_points[0]}

    def pick(self) -> int:
        """Mostly the newest, often any."""
        return self.draw(st.one_of(st.just(self.known[-1]), st.sampled_from(self.known)))

    def image(self) -> int:
        """A feature map of a batch of one that is more than a pixel, where one is left."""
        maps = [i for i in self.known if len(self.shape(i)) == 4 and self.shape(i)[0] == 1]
        wide = [i for i in maps if self.shape(i)[2] > 1] or maps
        return self.draw(st.one_of(st.just(wide[-1]), st.sampled_from(wide)))

    def finish(
        self,
        op: str,
        inputs: list[int],
        shape: tuple[int, ...],
        details: dict[str, Any],
        **options: Any,
    ) -> None:
        if not 0 < np.prod(shape) <= _LARGEST_TENSOR:
            return
        details = {**details, "scale": float(np.clip(details["scale"], 1e-36, 1e36))}
        output = self.model.tensor(shape, **details)
        self.model.operator(op, inputs, [output], **options)
        self.known.append(output)

    def like(self, scale: float) -> dict[str, Any]:
        return {"scale": scale / self.draw(_gains), "zero_point": self.draw(zero_points)}

    def filters(self, source: int, shape: tuple[int, ...], axis: int) -> tuple[list[int], float]:
        """(weights and perhaps a bias, the usual scale of what they make of `source`)."""
        count, depth = shape[axis], int(np.prod(shape)) // shape[axis]
        scales = self.draw(st.sampled_from([2.0**-7, 0.3])) * (
            self.rng.uniform(0.1, 1.0, count) if self.draw(st.booleans()) else np.ones(1)
        )
        weights = self.rng.integers(-128, 128, shape, dtype=np.int8)
        if count > 1 and len(scales) > 1 and self.draw(st.booleans()):  # pruned channels
            pruned = self.rng.random(count) < self.draw(st.sampled_from([0.2, 0.8]))
            weights[(slice(None),) * axis + (pruned,)], scales[pruned] = 0, 1e-30
        if len(shape) != 4 or axis == 0:  # inputs that nothing reads
            weights[..., self.rng.random(shape[-1]) < self.draw(st.sampled_from([0, 0.3]))] = 0
        operands = [self.model.constant(weights, scale=scales.tolist(), axis=axis)]
        most = self.draw(st.sampled_from([0, 3000, 2**31 - 1]))
        if most:
            product = np.clip(self.scale(source) * scales, 1e-37, 1e37)
            values = self.rng.integers(-most, most, count, dtype=np.int32)
            operands.append(self.model.constant(values, scale=product.tolist()))
        return operands, self.scale(source) * float(scales.max()) * 100 * depth**0.5

    def window(self, source: int, kernel: tuple[int, int], dilation: int) -> dict[str, Any] | None:
        step = self.draw(st.sampled_from([1, 1, 1, 2, 3]))
        padding = self.draw(st.sampled_from([SAME, VALID]))
        sizes = []
        for size, span in zip(self.shape(source)[1:3], kernel, strict=True):
            reach = (span - 1) * dilation + 1
            sizes.append(-(-size // step) if padding == SAME else (size - reach) // step + 1)
        if min(sizes) < 1:
            return None
        options = {"padding": padding, "stride_h": step, "stride_w": step}
        return {"sizes": tuple(sizes), "options": {**options, "activation": self.activation()}}

    def activation(self) -> int:
        return self.draw(activations)
