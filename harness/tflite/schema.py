"""Which tables and fields of the TFLite schema (version 3, schema.fbs) are read? Data only: field
name -> (position in the vtable, kind)."""

from __future__ import annotations

from harness.tflite.flatbuffer import Scalar, Spec, String, Table, Tables, Union, Vector

IDENTIFIER = b"TFL3"
VERSION = 3

_CONV_2D: Spec = {
    "padding": (0, Scalar("b")),
    "stride_w": (1, Scalar("i")),
    "stride_h": (2, Scalar("i")),
    "activation": (3, Scalar("b")),
    "dilation_w": (4, Scalar("i", 1)),
    "dilation_h": (5, Scalar("i", 1)),
    "bias_type": (6, Scalar("b")),
}
_DEPTHWISE_CONV_2D: Spec = {
    "padding": (0, Scalar("b")),
    "stride_w": (1, Scalar("i")),
    "stride_h": (2, Scalar("i")),
    "multiplier": (3, Scalar("i")),
    "activation": (4, Scalar("b")),
    "dilation_w": (5, Scalar("i", 1)),
    "dilation_h": (6, Scalar("i", 1)),
}
_POOL_2D: Spec = {
    "padding": (0, Scalar("b")),
    "stride_w": (1, Scalar("i")),
    "stride_h": (2, Scalar("i")),
    "filter_w": (3, Scalar("i")),
    "filter_h": (4, Scalar("i")),
    "activation": (5, Scalar("b")),
}
_FULLY_CONNECTED: Spec = {
    "activation": (0, Scalar("b")),
    "weights_format": (1, Scalar("b")),
    "bias_type": (4, Scalar("b")),
}
_STRIDED_SLICE: Spec = {
    "begin_mask": (0, Scalar("i")),
    "end_mask": (1, Scalar("i")),
    "ellipsis_mask": (2, Scalar("i")),
    "new_axis_mask": (3, Scalar("i")),
    "shrink_axis_mask": (4, Scalar("i")),
    "offset": (5, Scalar("?")),
}
_TRANSPOSE_CONV: Spec = {
    "padding": (0, Scalar("b")),
    "stride_w": (1, Scalar("i")),
    "stride_h": (2, Scalar("i")),
    "activation": (3, Scalar("b")),
}

_LSTM: Spec = {
    "activation": (0, Scalar("b")),
    "cell_clip": (1, Scalar("f")),
    "time_major": (3, Scalar("?")),
}

# Union member numbers of BuiltinOptions.
_OPTIONS: dict[int, Spec] = {
    1: _CONV_2D,
    2: _DEPTHWISE_CONV_2D,
    5: _POOL_2D,
    6: {"rank": (0, Scalar("i")), "activation": (1, Scalar("b"))},
    8: _FULLY_CONNECTED,
    9: {"beta": (0, Scalar("f"))},
    10: {"axis": (0, Scalar("i")), "activation": (1, Scalar("b"))},
    11: {"activation": (0, Scalar("b"))},
    15: {"align_corners": (2, Scalar("?")), "half_pixel_centers": (3, Scalar("?"))},
    21: {"activation": (0, Scalar("b"))},
    23: {"axis": (0, Scalar("i")), "batch_dims": (1, Scalar("i"))},
    27: {"keep_dims": (0, Scalar("?"))},
    28: {"activation": (0, Scalar("b"))},
    30: {"axes": (0, Vector("i4"))},
    32: _STRIDED_SLICE,
    35: {"count": (0, Scalar("i"))},
    49: _TRANSPOSE_CONV,
    59: {"count": (0, Scalar("i")), "axis": (1, Scalar("i"))},
    64: {"count": (0, Scalar("i")), "axis": (1, Scalar("i"))},
    74: {"align_corners": (0, Scalar("?")), "half_pixel_centers": (1, Scalar("?"))},
    71: _LSTM,
    75: {"alpha": (0, Scalar("f"))},
    77: {"mode": (0, Scalar("b"))},
    79: {"count": (0, Scalar("i"))},
    101: {"adjoint_x": (0, Scalar("?")), "adjoint_y": (1, Scalar("?"))},
}

# Which member an operator's options must be; the others' options are not read.
OPTIONS_OF = {
    "ADD": 11,
    "AVERAGE_POOL_2D": 5,
    "BATCH_MATMUL": 101,
    "CONCATENATION": 10,
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 2,
    "FULLY_CONNECTED": 8,
    "GATHER": 23,
    "LEAKY_RELU": 75,
    "MAX_POOL_2D": 5,
    "MIRROR_PAD": 77,
    "MUL": 21,
    "PACK": 59,
    "REDUCE_PROD": 27,
    "RESIZE_BILINEAR": 15,
    "RESIZE_NEAREST_NEIGHBOR": 74,
    "SOFTMAX": 9,
    "SPLIT": 35,
    "SPLIT_V": 79,
    "SQUEEZE": 30,
    "STRIDED_SLICE": 32,
    "SUB": 28,
    "SVDF": 6,
    "TRANSPOSE_CONV": 49,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 71,
    "UNPACK": 64,
}

_OPERATOR: Spec = {
    "opcode_index": (0, Scalar("I")),
    "inputs": (1, Vector("i4")),
    "outputs": (2, Vector("i4")),
    "options_type": (3, Scalar("B")),
    "options": (4, Union("options_type", _OPTIONS)),
}
_QUANTISATION: Spec = {
    "scale": (2, Vector("f4")),
    "zero_point": (3, Vector("i8")),
    "details_type": (4, Scalar("B")),
    "axis": (6, Scalar("i")),
}
_TENSOR: Spec = {
    "shape": (0, Vector("i4")),
    "type": (1, Scalar("b")),
    "buffer": (2, Scalar("I")),
    "name": (3, String()),
    "quantization": (4, Table(_QUANTISATION)),
    "is_variable": (5, Scalar("?")),
    "sparsity": (6, Table({})),
    "shape_signature": (7, Vector("i4")),
}
_SUBGRAPH: Spec = {
    "tensors": (0, Tables(_TENSOR)),
    "inputs": (1, Vector("i4")),
    "outputs": (2, Vector("i4")),
    "operators": (3, Tables(_OPERATOR)),
}
_OPERATOR_CODE: Spec = {
    "deprecated_builtin_code": (0, Scalar("b")),
    "custom_code": (1, String()),
    "builtin_code": (3, Scalar("i")),
}
_BUFFER: Spec = {
    "data": (0, Vector("u1")),
    "offset": (1, Scalar("Q")),
    "size": (2, Scalar("Q")),
}
MODEL: Spec = {
    "version": (0, Scalar("I")),
    "operator_codes": (1, Tables(_OPERATOR_CODE)),
    "subgraphs": (2, Tables(_SUBGRAPH)),
    "buffers": (4, Tables(_BUFFER)),
}

# TensorType
TYPE_NAMES = (
    "float32",
    "float16",
    "int32",
    "uint8",
    "int64",
    "string",
    "bool",
    "int16",
    "complex64",
    "int8",
    "float64",
    "complex128",
    "uint64",
    "resource",
    "variant",
    "uint32",
    "uint16",
    "int4",
    "bfloat16",
    "int2",
    "uint4",
)

# BuiltinOperator, those this project runs.
OPERATORS = {
    0: "ADD",
    1: "AVERAGE_POOL_2D",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE",
    9: "FULLY_CONNECTED",
    14: "LOGISTIC",
    17: "MAX_POOL_2D",
    18: "MUL",
    19: "RELU",
    21: "RELU6",
    22: "RESHAPE",
    23: "RESIZE_BILINEAR",
    25: "SOFTMAX",
    27: "SVDF",
    28: "TANH",
    34: "PAD",
    36: "GATHER",
    39: "TRANSPOSE",
    40: "MEAN",
    41: "SUB",
    43: "SQUEEZE",
    44: "UNIDIRECTIONAL_SEQUENCE_LSTM",
    45: "STRIDED_SLICE",
    49: "SPLIT",
    53: "CAST",
    54: "PRELU",
    55: "MAXIMUM",
    57: "MINIMUM",
    56: "ARG_MAX",
    60: "PADV2",
    65: "SLICE",
    67: "TRANSPOSE_CONV",
    70: "EXPAND_DIMS",
    74: "SUM",
    77: "SHAPE",
    79: "ARG_MIN",
    81: "REDUCE_PROD",
    82: "REDUCE_MAX",
    83: "PACK",
    88: "UNPACK",
    89: "REDUCE_MIN",
    90: "FLOOR_DIV",
    94: "FILL",
    96: "RANGE",
    97: "RESIZE_NEAREST_NEIGHBOR",
    98: "LEAKY_RELU",
    100: "MIRROR_PAD",
    101: "ABS",
    102: "SPLIT_V",
    114: "QUANTIZE",
    117: "HARD_SWISH",
    126: "BATCH_MATMUL",
}
