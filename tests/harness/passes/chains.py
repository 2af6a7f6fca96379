"""How is a model for a pass written? One operator behind another."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.compiler import compile_sources
from harness.tflite import Graph
from tests.host_model import check
from tests.tflite_factory import NONE, SAME, VALID, ModelFactory

WINDOW = {"stride_h": 1, "stride_w": 1}


class Chain:
    """A model that grows by one operator after another, from `channels` channels of 5x5."""

    def __init__(self, channels: int, *, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.model = ModelFactory()
        self.last = self.model.input((1, 5, 5, channels), scale=0.5, zero_point=3)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.model.tensors[self.last].shape

    def weights(self, shape: tuple[int, ...], axis: int) -> np.ndarray:
        values = self.rng.integers(1, 128, shape, dtype=np.int8)
        return values * self.rng.choice(np.array([-1, 1], np.int8), shape)

    def output(self, shape: tuple[int, ...], zero_point: int) -> int:
        return self.model.tensor(shape, scale=4.0, zero_point=zero_point)

    def filtering(
        self,
        op: str,
        weights: np.ndarray,
        shape: tuple[int, ...],
        axis: int,
        *,
        constant: dict[int, int] | None = None,
        unread: tuple[int, ...] = (),
        zero_point: int = -20,
        per_channel: bool = True,
        **options: Any,
    ) -> Chain:
        """constant: what the filter of a channel makes, a multiple of the scale away from the zero
        point. unread: input channels with weights of zero."""
        count = weights.shape[axis]
        bias = self.rng.integers(-999, 999, count, dtype=np.int32)
        if unread:
            weights[..., list(unread)] = 0
        for channel, value in (constant or {}).items():
            weights[(slice(None),) * axis + (channel,)] = 0
            bias[channel] = value * 64  # 4 / (0.5 / 8)
        scale = 4.0 if self.model.operators else 0.5
        scales = np.full(count if per_channel else 1, 1 / (16 * scale)).tolist()
        operands = [
            self.last,
            self.model.constant(weights, scale=scales, axis=axis if per_channel else 0),
            self.model.constant(bias, scale=[s * scale for s in scales]),
        ]
        output = self.output(shape, zero_point)
        self.model.operator(op, operands, [output], **{"activation": NONE, **options})
        self.last = output
        return self

    def conv(self, count: int, *, kernel: int = 1, padding: int = VALID, **details: Any) -> Chain:
        _, height, width, channels = self.shape
        weights = self.weights((count, kernel, kernel, channels), 0)
        less = 0 if padding == SAME else kernel - 1
        shape = (1, height - less, width - less, count)
        return self.filtering("CONV_2D", weights, shape, 0, padding=padding, **WINDOW, **details)

    def depthwise(self, *, padding: int = SAME, multiplier: int = 1, **details: Any) -> Chain:
        _, height, width, channels = self.shape
        weights = self.weights((1, 3, 3, channels * multiplier), 3)
        less = 0 if padding == SAME else 2
        shape = (1, height - less, width - less, channels * multiplier)
        return self.filtering(
            "DEPTHWISE_CONV_2D", weights, shape, 3,
            padding=padding, multiplier=multiplier, **WINDOW, **details,
        )  # fmt: skip

    def dense(self, count: int, **details: Any) -> Chain:
        depth = self.shape[-1]
        rows = int(np.prod(self.shape)) // depth
        weights = self.weights((count, depth), 0)
        return self.filtering("FULLY_CONNECTED", weights, (rows, count), 0, **details)

    def add(self, other: int) -> Chain:
        output = self.output(self.shape, 9)
        self.model.operator("ADD", [other, self.last], [output], activation=NONE)
        self.last = output
        return self

    def plain(self, op: str, shape: tuple[int, ...], *operands: int, **options: Any) -> Chain:
        zero_point = self.model.tensors[self.last].zero_points[0]
        output = self.output(shape, zero_point)
        self.model.operator(op, [self.last, *operands], [output], **options)
        self.last = output
        return self

    def compiled(self, *more: int) -> Graph:
        """What is executed, checked to give what the model as it stands gives: the last result
        and `more`."""
        self.model.outputs = [*more, self.last]
        data = self.model.build()
        check(data, seed=1)
        return compile_sources(data, name="net").graph

    def channels(self, *more: int) -> list[int]:
        """Of each operator's output, once compiled."""
        graph = self.compiled(*more)
        return [graph.tensor(operator.outputs[0]).shape[-1] for operator in graph.operators]

    def operators(self, *more: int) -> list[tuple[int, str]]:
        """Those that are executed, with their indices in the model."""
        return [(operator.index, operator.op) for operator in self.compiled(*more).operators]

    def pad(self, *rows_and_columns: int, value: int | None = None, channels: int = 0) -> Chain:
        """Frames the map: above, below, left, right."""
        above, below, left, right = rows_and_columns
        _, height, width, depth = self.shape
        paddings = [[0, 0], [above, below], [left, right], [0, channels]]
        operands = [self.model.constant(np.array(paddings, np.int32))]
        last = self.model.tensors[self.last]
        q = {"scale": last.scales[0], "zero_point": last.zero_points[0]}
        if value is not None:
            operands.append(self.model.constant(np.array(value, np.int8), **q))
        shape = (1, above + height + below, left + width + right, depth + channels)
        output = self.model.tensor(shape, **q)
        op = "PAD" if value is None else "PADV2"
        self.model.operator(op, [self.last, *operands], [output])
        self.last = output
        return self

    def keeping(self, op: str, *operands: int, **options: Any) -> Chain:
        """An operator that keeps shape and quantisation."""
        last = self.model.tensors[self.last]
        output = self.model.tensor(
            last.shape, scale=last.scales[0], zero_point=last.zero_points[0]
        )
        self.model.operator(op, [self.last, *operands], [output], **options)
        self.last = output
        return self
