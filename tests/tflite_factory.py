"""How is a small .tflite made without a converter? A flatbuffer written field by field, so that
property tests can afford hundreds, and so that a test can write what no converter would."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np

TYPES = {
    "float32": 0,
    "int32": 2,
    "uint8": 3,
    "int64": 4,
    "bool": 6,
    "int16": 7,
    "int8": 9,
    "uint32": 15,
}
OPERATORS = {
    "ADD": 0,
    "AVERAGE_POOL_2D": 1,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 4,
    "DEQUANTIZE": 6,
    "FLOOR": 8,
    "FULLY_CONNECTED": 9,
    "LOGISTIC": 14,
    "MAX_POOL_2D": 17,
    "MUL": 18,
    "RELU": 19,
    "RELU6": 21,
    "RESHAPE": 22,
    "RESIZE_BILINEAR": 23,
    "SOFTMAX": 25,
    "SVDF": 27,
    "TANH": 28,
    "CUSTOM": 32,
    "PAD": 34,
    "GATHER": 36,
    "TRANSPOSE": 39,
    "MEAN": 40,
    "SUB": 41,
    "SQUEEZE": 43,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 44,
    "STRIDED_SLICE": 45,
    "SPLIT": 49,
    "CAST": 53,
    "PRELU": 54,
    "MAXIMUM": 55,
    "ARG_MAX": 56,
    "MINIMUM": 57,
    "PADV2": 60,
    "SLICE": 65,
    "TRANSPOSE_CONV": 67,
    "EXPAND_DIMS": 70,
    "SUM": 74,
    "SHAPE": 77,
    "ARG_MIN": 79,
    "REDUCE_PROD": 81,
    "REDUCE_MAX": 82,
    "PACK": 83,
    "UNPACK": 88,
    "REDUCE_MIN": 89,
    "FLOOR_DIV": 90,
    "FILL": 94,
    "RANGE": 96,
    "RESIZE_NEAREST_NEIGHBOR": 97,
    "LEAKY_RELU": 98,
    "MIRROR_PAD": 100,
    "ABS": 101,
    "SPLIT_V": 102,
    "QUANTIZE": 114,
    "HARD_SWISH": 117,
    "BATCH_MATMUL": 126,
}
SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6, TANH = 0, 1, 2, 3, 4

# Options: union member number, then (slot, type) of each option by name.
_OPTIONS: dict[str, tuple[int, dict[str, tuple[int, str]]]] = {
    "CONV_2D": (
        1,
        {
            "padding": (0, "Int8"),
            "stride_w": (1, "Int32"),
            "stride_h": (2, "Int32"),
            "activation": (3, "Int8"),
            "dilation_w": (4, "Int32"),
            "dilation_h": (5, "Int32"),
            "bias_type": (6, "Int8"),
        },
    ),
    "DEPTHWISE_CONV_2D": (
        2,
        {
            "padding": (0, "Int8"),
            "stride_w": (1, "Int32"),
            "stride_h": (2, "Int32"),
            "multiplier": (3, "Int32"),
            "activation": (4, "Int8"),
            "dilation_w": (5, "Int32"),
            "dilation_h": (6, "Int32"),
        },
    ),
    "POOL_2D": (
        5,
        {
            "padding": (0, "Int8"),
            "stride_w": (1, "Int32"),
            "stride_h": (2, "Int32"),
            "filter_w": (3, "Int32"),
            "filter_h": (4, "Int32"),
            "activation": (5, "Int8"),
        },
    ),
    "SVDF": (6, {"rank": (0, "Int32"), "activation": (1, "Int8")}),
    "BATCH_MATMUL": (101, {"adjoint_x": (0, "Bool"), "adjoint_y": (1, "Bool")}),
    "FULLY_CONNECTED": (
        8,
        {"activation": (0, "Int8"), "weights_format": (1, "Int8"), "bias_type": (4, "Int8")},
    ),
    "SOFTMAX": (9, {"beta": (0, "Float32")}),
    "CONCATENATION": (10, {"axis": (0, "Int32"), "activation": (1, "Int8")}),
    "ADD": (11, {"activation": (0, "Int8")}),
    "RESIZE_BILINEAR": (
        15,
        {"align_corners": (2, "Bool"), "half_pixel_centers": (3, "Bool")},
    ),
    "MUL": (21, {"activation": (0, "Int8")}),
    "GATHER": (23, {"axis": (0, "Int32"), "batch_dims": (1, "Int32")}),
    "SUB": (28, {"activation": (0, "Int8")}),
    "SQUEEZE": (30, {"axes": (0, "Ints")}),
    "STRIDED_SLICE": (
        32,
        {
            "begin_mask": (0, "Int32"),
            "end_mask": (1, "Int32"),
            "ellipsis_mask": (2, "Int32"),
            "new_axis_mask": (3, "Int32"),
            "shrink_axis_mask": (4, "Int32"),
            "offset": (5, "Bool"),
        },
    ),
    "SPLIT": (35, {"count": (0, "Int32")}),
    "TRANSPOSE_CONV": (
        49,
        {
            "padding": (0, "Int8"),
            "stride_w": (1, "Int32"),
            "stride_h": (2, "Int32"),
            "activation": (3, "Int8"),
        },
    ),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (
        71,
        {"activation": (0, "Int8"), "cell_clip": (1, "Float32"), "time_major": (3, "Bool")},
    ),
    "PACK": (59, {"count": (0, "Int32"), "axis": (1, "Int32")}),
    "UNPACK": (64, {"count": (0, "Int32"), "axis": (1, "Int32")}),
    "RESIZE_NEAREST_NEIGHBOR": (
        74,
        {"align_corners": (0, "Bool"), "half_pixel_centers": (1, "Bool")},
    ),
    "LEAKY_RELU": (75, {"alpha": (0, "Float32")}),
    "MIRROR_PAD": (77, {"mode": (0, "Int8")}),
    "SPLIT_V": (79, {"count": (0, "Int32")}),
    "REDUCE": (27, {"keep_dims": (0, "Bool")}),
}
for _reduction in ("MEAN", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM"):
    _OPTIONS[_reduction] = _OPTIONS["REDUCE"]
_OPTIONS["AVERAGE_POOL_2D"] = _OPTIONS["MAX_POOL_2D"] = _OPTIONS["POOL_2D"]
# Members of the union with no fields that are read here.
_EMPTY_OPTIONS = {
    "RESHAPE": 17,
    "PAD": 22,
    "CAST": 37,
    "DEQUANTIZE": 38,
    "MAXIMUM": 39,
    "MINIMUM": 39,
    "ARG_MAX": 40,
    "ARG_MIN": 57,
    "PADV2": 43,
    "TRANSPOSE": 26,
    "SLICE": 48,
    "EXPAND_DIMS": 52,
    "ABS": 78,
    "QUANTIZE": 89,
    "HARD_SWISH": 91,
}


@dataclass
class _Tensor:
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    data: bytes | None
    extra: dict[str, Any]


@dataclass
class _Operator:
    op: str
    inputs: list[int]
    outputs: list[int]
    options: dict[str, Any] | None
    options_of: str = ""  # another operator's, where not its own


@dataclass
class ModelFactory:
    """Collects tensors and operators, then writes them.

    `extra` of a tensor may hold name, is_variable, sparsity, shape_signature, buffer (an index),
    details_type."""

    tensors: list[_Tensor] = field(default_factory=list)
    operators: list[_Operator] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    version: int = 3
    subgraphs: int = 1
    custom_code: str | None = None
    metadata: list[str] = field(default_factory=list)  # names of entries that hold nothing

    def tensor(
        self,
        shape: tuple[int, ...],
        *,
        dtype: str = "int8",
        scale: float | list[float] | None = None,
        zero_point: int | list[int] | None = None,
        axis: int = 0,
        data: Any = None,
        **extra: Any,
    ) -> int:
        scales = () if scale is None else tuple(np.atleast_1d(scale).tolist())
        zeros = (
            (0,) * len(scales) if zero_point is None else tuple(np.atleast_1d(zero_point).tolist())
        )
        raw = None if data is None else np.ascontiguousarray(data).tobytes()
        self.tensors.append(_Tensor(tuple(shape), dtype, scales, zeros, axis, raw, extra))
        return len(self.tensors) - 1

    def constant(self, values: Any, **details: Any) -> int:
        values = np.asarray(values)
        return self.tensor(values.shape, dtype=values.dtype.name, data=values, **details)

    def input(self, shape: tuple[int, ...], **details: Any) -> int:
        self.inputs.append(self.tensor(shape, **details))
        return self.inputs[-1]

    def operator(self, op: str, inputs: list[int], outputs: list[int], **options: Any) -> None:
        self.operators.append(_Operator(op, inputs, outputs, options))

    def build(self) -> bytes:
        builder = flatbuffers.Builder(1024)
        codes = sorted({operator.op for operator in self.operators})
        buffers: list[int] = [_table(builder, [])]
        tensors = []
        for tensor in self.tensors:
            buffer = 0
            if tensor.data is not None:
                buffer = len(buffers)
                data = builder.CreateByteVector(tensor.data)
                buffers.append(_table(builder, [(0, "Offset", data)]))
            tensors.append(self._tensor(builder, tensor, tensor.extra.get("buffer", buffer)))
        operators = [self._operator(builder, operator, codes) for operator in self.operators]
        fields = [
            (0, "Offset", _offsets(builder, tensors)),
            (1, "Offset", _ints(builder, self.inputs)),
            (2, "Offset", _ints(builder, self.outputs)),
            (3, "Offset", _offsets(builder, operators)),
        ]
        subgraph = _table(builder, fields)
        code_tables = [self._code(builder, op) for op in codes]
        metadata = [
            _table(builder, [(0, "Offset", builder.CreateString(name)), (1, "Uint32", 0)])
            for name in self.metadata
        ]
        root = _table(
            builder,
            [
                (0, "Uint32", self.version),
                (1, "Offset", _offsets(builder, code_tables)),
                (2, "Offset", _offsets(builder, [subgraph] * self.subgraphs)),
                (4, "Offset", _offsets(builder, buffers)),
                *([(6, "Offset", _offsets(builder, metadata))] if metadata else []),
            ],
        )
        builder.Finish(root, b"TFL3")
        return bytes(builder.Output())

    def _tensor(self, builder: flatbuffers.Builder, tensor: _Tensor, buffer: int) -> int:
        extra = tensor.extra
        name = builder.CreateString(extra.get("name", "tensor"))
        fields = [
            (0, "Offset", _ints(builder, list(tensor.shape))),
            (1, "Int8", TYPES[tensor.dtype]),
            (2, "Uint32", buffer),
            (3, "Offset", name),
        ]
        if tensor.scales:
            scales = builder.CreateNumpyVector(np.array(tensor.scales, np.float32))
            zeros = builder.CreateNumpyVector(np.array(tensor.zero_points, np.int64))
            quantisation = [(2, "Offset", scales), (3, "Offset", zeros), (6, "Int32", tensor.axis)]
            if "details_type" in extra:
                quantisation.append((4, "Uint8", extra["details_type"]))
            fields.append((4, "Offset", _table(builder, quantisation)))
        if extra.get("is_variable"):
            fields.append((5, "Bool", True))
        if extra.get("sparsity"):
            fields.append((6, "Offset", _table(builder, [])))
        if "shape_signature" in extra:
            fields.append((7, "Offset", _ints(builder, list(extra["shape_signature"]))))
        return _table(builder, fields)

    def _operator(
        self, builder: flatbuffers.Builder, operator: _Operator, codes: list[str]
    ) -> int:
        fields = [
            (0, "Uint32", codes.index(operator.op)),
            (1, "Offset", _ints(builder, operator.inputs)),
            (2, "Offset", _ints(builder, operator.outputs)),
        ]
        kind = operator.options_of or operator.op
        if kind in _OPTIONS and operator.options is not None:
            member, slots = _OPTIONS[kind]
            values = {
                name: _ints(builder, value) if slots[name][1] == "Ints" else value
                for name, value in operator.options.items()
            }
            options = _table(builder, [(*slots[name], value) for name, value in values.items()])
            fields += [(3, "Uint8", member), (4, "Offset", options)]
        elif operator.op in _EMPTY_OPTIONS:
            fields += [
                (3, "Uint8", _EMPTY_OPTIONS[operator.op]),
                (4, "Offset", _table(builder, [])),
            ]
        return _table(builder, fields)

    def _code(self, builder: flatbuffers.Builder, op: str) -> int:
        code = OPERATORS[op]
        fields = [(0, "Int8", min(code, 127)), (2, "Int32", 1), (3, "Int32", code)]
        if op == "CUSTOM" and self.custom_code is not None:
            fields.append((1, "Offset", builder.CreateString(self.custom_code)))
        return _table(builder, fields)


def _table(builder: flatbuffers.Builder, fields: list[tuple[int, str, Any]]) -> int:
    """Writes a table of (slot, type, value); defaults are written too."""
    builder.ForceDefaults(True)
    builder.StartObject(1 + max((slot for slot, _, _ in fields), default=0))
    for slot, kind, value in fields:
        if kind in ("Offset", "Ints"):
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        else:
            getattr(builder, f"Prepend{kind}Slot")(slot, value, 0)
    return int(builder.EndObject())


def _offsets(builder: flatbuffers.Builder, tables: list[int]) -> int:
    builder.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    return int(builder.EndVector())


def _ints(builder: flatbuffers.Builder, values: list[int]) -> int:
    return int(builder.CreateNumpyVector(np.array(values, np.int32)))


def fully_connected_model(*, seed: int = 0, depth: int = 12, channels: int = 5) -> bytes:
    """One fully-connected layer with ReLU: the smallest useful model."""
    rng = np.random.default_rng(seed)
    model = ModelFactory()
    source = model.input((1, depth), scale=0.5, zero_point=3)
    weights = model.constant(
        rng.integers(-127, 128, (channels, depth), dtype=np.int8), scale=0.25, zero_point=0
    )
    bias = model.constant(rng.integers(-999, 999, channels, dtype=np.int32), scale=0.125)
    output = model.tensor((1, channels), scale=4.0, zero_point=-7)
    model.operator("FULLY_CONNECTED", [source, weights, bias], [output], activation=RELU)
    model.outputs = [output]
    return model.build()


def svdf(
    model: ModelFactory,
    source: int,
    *,
    units: int = 5,
    rank: int = 1,
    memory: int = 3,
) -> int:
    """Adds a layer of SVDF filters with state of int16 behind `source`, and returns its output."""
    rng = np.random.default_rng(0)
    batch, depth = model.tensors[source].shape
    filters = units * rank
    operands = [
        model.constant(rng.integers(-128, 128, (filters, depth), dtype=np.int8), scale=2.0**-6),
        model.constant(
            rng.integers(-(1 << 15), 1 << 15, (filters, memory), dtype=np.int16), scale=2.0**-14
        ),
        model.constant(rng.integers(-9999, 9999, units, dtype=np.int32), scale=2.0**-24),
        model.tensor(
            (batch, filters * memory),
            dtype="int16",
            scale=2.0**-10,
            zero_point=0,
            is_variable=True,
        ),
    ]
    output = model.tensor((batch, units), scale=0.25, zero_point=3)
    model.operator("SVDF", [source, *operands], [output], rank=rank, activation=NONE)
    return output


def small_network(*, seed: int = 0, size: int = 9, channels: int = 6) -> bytes:
    """Convolution, depthwise convolution, residual addition, pooling, reshape, fully-connected,
    softmax: one of everything a classifier has."""
    rng = np.random.default_rng(seed)
    model = ModelFactory()

    def weights(*shape: int, axis: int) -> int:
        return model.constant(
            rng.integers(-127, 128, shape, dtype=np.int8),
            scale=rng.uniform(0.001, 0.01, shape[axis]).tolist(),
            axis=axis,
        )

    def bias(count: int, scale: float | None = None) -> int:
        return model.constant(rng.integers(-2000, 2000, count, dtype=np.int32), scale=scale)

    def activation(*shape: int, scale: float = 0.05) -> int:
        return model.tensor(shape, scale=scale, zero_point=int(rng.integers(-128, 128)))

    window = {"padding": SAME, "stride_h": 1, "stride_w": 1, "activation": RELU}
    image = model.input((1, size, size, 3), scale=0.02, zero_point=-5)
    first = activation(1, size, size, channels)
    model.operator(
        "CONV_2D", [image, weights(channels, 3, 3, 3, axis=0), bias(channels)], [first], **window
    )
    second = activation(1, size, size, channels)
    model.operator(
        "DEPTHWISE_CONV_2D",
        [first, weights(1, 3, 3, channels, axis=3), bias(channels)],
        [second],
        multiplier=1,
        **window,
    )
    total = activation(1, size, size, channels)
    model.operator("ADD", [first, second], [total], activation=NONE)
    half = size // 2
    pooled = model.tensor(
        (1, half, half, channels),
        scale=model.tensors[total].scales[0],
        zero_point=model.tensors[total].zero_points[0],
    )
    model.operator(
        "MAX_POOL_2D",
        [total],
        [pooled],
        padding=VALID,
        stride_h=2,
        stride_w=2,
        filter_h=2,
        filter_w=2,
        activation=NONE,
    )
    flat = model.tensor(
        (1, half * half * channels),
        scale=model.tensors[total].scales[0],
        zero_point=model.tensors[total].zero_points[0],
    )
    model.operator("RESHAPE", [pooled], [flat])
    logits = activation(1, 10, scale=0.1)
    model.operator(
        "FULLY_CONNECTED",
        [
            flat,
            model.constant(
                rng.integers(-127, 128, (10, half * half * channels), dtype=np.int8), scale=0.004
            ),
            bias(10, model.tensors[total].scales[0] * 0.004),
        ],
        [logits],
        activation=NONE,
    )
    answer = model.tensor((1, 10), scale=1 / 256, zero_point=-128)
    model.operator("SOFTMAX", [logits], [answer], beta=1.0)
    model.outputs = [answer]
    return model.build()
