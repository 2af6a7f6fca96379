"""What does a .tflite say? Untrusted bytes in, a checked operator graph out; the only reader of
the flatbuffer. Knows nothing of arenas, C or boards.

    flatbuffer.py   bytes -> plain values, table by table, every offset and count checked
    schema.py       which tables and fields of the TFLite schema are read
    graph.py        the immutable graph
    operators/      what each supported operator must look like, one module a family
    reader.py       plain values -> graph
    reordering.py   the same file with its operators in another order
"""

from harness.tflite.graph import (
    Activation,
    Arithmetic,
    Axis,
    BatchMatmul,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Graph,
    LeakyRelu,
    Lstm,
    MirrorPad,
    Operator,
    Options,
    Pool2D,
    Quantisation,
    Reduction,
    Resize,
    Slice,
    Softmax,
    Svdf,
    Tensor,
    Transpose,
    TransposeConv,
    Window,
)
from harness.tflite.reader import read_graph, read_model
from harness.tflite.reordering import reordered

__all__ = [
    "Activation",
    "Arithmetic",
    "Axis",
    "BatchMatmul",
    "Conv2D",
    "DepthwiseConv2D",
    "FullyConnected",
    "Graph",
    "LeakyRelu",
    "Lstm",
    "MirrorPad",
    "Operator",
    "Options",
    "Pool2D",
    "Quantisation",
    "Reduction",
    "Resize",
    "Slice",
    "Softmax",
    "Svdf",
    "Tensor",
    "Transpose",
    "TransposeConv",
    "Window",
    "read_graph",
    "read_model",
    "reordered",
]
