"""Which graphs could a model be? Small networks with branches, drawn by hypothesis: tensors read
twice, results that are outputs and operands, reshapes of inputs and of outputs, and quantisation
from sane to extreme. Every one is accepted by the reader and by the reference interpreter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from tests.growing_network import Network, scales, zero_points
from tests.random_movement import STEPS as MOVEMENT
from tests.random_movement import reshape
from tests.tflite_factory import SAME, VALID, ModelFactory


def _conv_2d(net: Network) -> None:
    source = net.image()
    kernel = net.draw(st.sampled_from([(1, 1), (1, 1), (3, 3), (2, 3), (1, 4)]))
    dilation = net.draw(st.sampled_from([1, 1, 1, 2]))
    if (found := net.window(source, kernel, dilation)) is None:
        return
    count = net.draw(st.integers(1, 9))
    operands, scale = net.filters(source, (count, *kernel, net.shape(source)[3]), 0)
    spread = {"dilation_h": dilation, "dilation_w": dilation}
    shape = (1, *found["sizes"], count)
    net.finish(
        "CONV_2D", [source, *operands], shape, net.like(scale), **found["options"], **spread
    )


def _depthwise_conv_2d(net: Network) -> None:
    source = net.image()
    kernel = net.draw(st.sampled_from([(3, 3), (3, 3), (3, 3), (1, 1), (5, 5), (2, 3)]))
    dilation = net.draw(st.sampled_from([1, 1, 1, 2]))
    if (found := net.window(source, kernel, dilation)) is None:
        return
    multiplier = net.draw(st.sampled_from([1, 1, 1, 2]))
    count = net.shape(source)[3] * multiplier
    operands, scale = net.filters(source, (1, *kernel, count), 3)
    net.finish(
        "DEPTHWISE_CONV_2D",
        [source, *operands],
        (1, *found["sizes"], count),
        net.like(scale),
        multiplier=multiplier,
        dilation_h=dilation,
        dilation_w=dilation,
        **found["options"],
    )


def _transpose_conv(net: Network) -> None:
    source = net.image()
    kernel = net.draw(st.sampled_from([(2, 2), (3, 3), (4, 4), (1, 3)]))
    step = net.draw(st.sampled_from([1, 2, 2, 3]))
    padding = net.draw(st.sampled_from([SAME, VALID]))
    sizes = [
        size * step if padding == SAME else (size - 1) * step + span
        for size, span in zip(net.shape(source)[1:3], kernel, strict=True)
    ]
    count = net.draw(st.integers(1, 9))
    operands, scale = net.filters(source, (count, *kernel, net.shape(source)[3]), 0)
    shape = (1, *sizes, count)
    net.finish(
        "TRANSPOSE_CONV",
        [net.model.constant(np.array(shape, np.int32)), operands[0], source, *operands[1:]],
        shape,
        net.like(scale),
        padding=padding,
        stride_h=step,
        stride_w=step,
        activation=net.activation(),
    )


def _pool_2d(net: Network) -> None:
    source = net.image()
    window = net.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    if (found := net.window(source, window, 1)) is None:
        return
    op = net.draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
    shape = (1, *found["sizes"], net.shape(source)[3])
    options = {**found["options"], "filter_h": window[0], "filter_w": window[1]}
    net.finish(op, [source], shape, net.quantisation(source), **options)


def _fully_connected(net: Network) -> None:
    source = net.pick()
    depth = net.shape(source)[-1]
    rows = int(np.prod(net.shape(source))) // depth
    count = net.draw(st.integers(1, 9))
    operands, scale = net.filters(source, (count, depth), 0)
    details = net.like(scale)
    net.finish(
        "FULLY_CONNECTED", [source, *operands], (rows, count), details, activation=net.activation()
    )


def _partner(net: Network, first: int) -> tuple[int, tuple[int, ...]]:
    """(what may be paired with `first`, the result's shape)."""
    fitting = {}
    for index in net.known:
        try:
            fitting[index] = np.broadcast_shapes(net.shape(first), net.shape(index))
        except ValueError:
            continue
    second = net.draw(st.sampled_from(sorted(fitting)))
    if net.draw(st.integers(0, 3)) == 0:  # a constant, one value or one a channel
        size = net.draw(st.sampled_from([1, net.shape(first)[-1]]))
        values = net.rng.integers(-128, 128, size, dtype=np.int8)
        details = {"scale": net.scale(second), "zero_point": net.draw(zero_points)}
        return net.model.constant(values, **details), net.shape(first)
    return second, fitting[second]


def _batch_matmul(net: Network) -> None:
    """A tensor with itself transposed, or with another of the same depth, or with constants."""
    first = net.pick()
    if not 2 <= len(net.shape(first)) <= 5:
        return
    *batch, rows, depth = net.shape(first)
    second = net.draw(st.sampled_from([first, *net.known]))
    if net.draw(st.integers(0, 2)) == 0:
        shape = (net.draw(st.integers(1, 9)), depth)
        values = net.rng.integers(-128, 128, shape, dtype=np.int8)
        second = net.model.constant(values, scale=net.scale(first), zero_point=0)
    shape = net.shape(second)
    if len(shape) < 2 or shape[-1] != depth or shape[:-2] not in ((), tuple(batch)):
        return
    details = net.like(float(np.clip(net.scale(first) * net.scale(second) * 100, 1e-36, 1e36)))
    net.finish(
        "BATCH_MATMUL",
        [first, second],
        (*batch, rows, shape[-2]),
        details,
        adjoint_x=False,
        adjoint_y=True,
    )


def _add(net: Network) -> None:
    first = net.pick()
    second, shape = _partner(net, first)
    # The interpreter aborts on results that are finer than a millionth of the operands.
    gain = net.draw(st.sampled_from([1.0, 1.0, 0.5, 30.0, 1e-6]))
    scale = max(net.scale(first), net.scale(second)) / gain
    details = {"scale": scale, "zero_point": net.draw(zero_points)}
    op = net.draw(st.sampled_from(["ADD", "ADD", "SUB"]))
    net.finish(op, [first, second], shape, details, activation=net.activation())


def _mul(net: Network) -> None:
    first = net.pick()
    second, shape = _partner(net, first)
    op = net.draw(st.sampled_from(["MUL", "MUL", "PRELU"]))
    product = net.scale(first) * net.scale(second)
    if not 1e-30 < product < 1e30 or (op == "PRELU" and net.scale(second) > 1e6):
        return
    details = net.like(product * 200 if op == "MUL" else net.scale(first))
    options = {"activation": net.activation()} if op == "MUL" else {}
    net.finish(op, [first, second], shape, details, **options)


def _extremum(net: Network) -> None:
    first = net.pick()
    details = net.quantisation(first)
    same = [i for i in net.known if net.shape(i) == net.shape(first)]
    second = net.draw(st.sampled_from([i for i in same if net.quantisation(i) == details]))
    if net.draw(st.booleans()):
        values = net.rng.integers(-128, 128, 1, dtype=np.int8)
        second = net.model.constant(values, **details)
    op = net.draw(st.sampled_from(["MAXIMUM", "MINIMUM"]))
    net.finish(op, [first, second], net.shape(first), details)


def _softmax(net: Network) -> None:
    source = net.pick()
    if net.shape(source)[-1] < 512 and net.scale(source) > 1e-6:
        details = {"scale": 1 / 256, "zero_point": -128}
        net.finish("SOFTMAX", [source], net.shape(source), details, beta=1.0)


def _elementwise(net: Network) -> None:
    source = net.pick()
    op = net.draw(st.sampled_from(["ABS", "RELU", "RELU6", "LEAKY_RELU", "QUANTIZE"]))
    keep = op == "RELU6"
    if keep and net.scale(source) < 1e-8:  # six is no int32 there
        return
    details = net.quantisation(source) if keep else net.like(net.scale(source))
    options = {"alpha": net.draw(st.sampled_from([0.1, -2.0]))} if op == "LEAKY_RELU" else {}
    net.finish(op, [source], net.shape(source), details, **options)


def _sigmoid(net: Network) -> None:
    source = net.pick()
    op = net.draw(st.sampled_from(["HARD_SWISH", "LOGISTIC", "TANH"]))
    if not 1e-8 < net.scale(source) < 1e6:  # beyond, their fixed point is not defined
        return
    gain = net.draw(st.sampled_from([1.0, 1.0, 30.0, 1e-5]))
    details = {
        "HARD_SWISH": {"scale": net.scale(source) / gain, "zero_point": net.draw(zero_points)},
        "LOGISTIC": {"scale": 1 / 256, "zero_point": -128},
        "TANH": {"scale": 1 / 128, "zero_point": 0},
    }
    net.finish(op, [source], net.shape(source), details[op])


_STEPS: list[Callable[[Network], None]] = [
    _conv_2d,
    _conv_2d,
    _depthwise_conv_2d,
    _depthwise_conv_2d,
    _transpose_conv,
    _pool_2d,
    _fully_connected,
    _batch_matmul,
    _add,
    _add,
    _mul,
    _extremum,
    _softmax,
    _elementwise,
    _sigmoid,
    *MOVEMENT,
]


@st.composite
def networks(draw: st.DrawFn, *, most_operators: int = 24) -> ModelFactory:
    """A model of 1 to `most_operators` operators, mostly many. Every result that no operator reads
    is an output, and some that are read are, too."""
    net = Network(draw)
    for _ in range(draw(st.sampled_from([1, 1, 2]))):
        size = draw(st.one_of(st.integers(1, 8), st.integers(5, 8)))
        channels = draw(st.integers(1, 9))
        details = {"scale": draw(scales), "zero_point": draw(zero_points)}
        net.known.append(net.model.input((1, size, size, channels), **details))
    least = draw(st.sampled_from([1, most_operators // 2, most_operators // 2]))
    for _ in range(draw(st.integers(least, most_operators))):
        draw(st.sampled_from(_STEPS))(net)
    model = net.model
    if not model.operators:
        reshape(net)
    used = {index for operator in model.operators for index in operator.inputs}
    written = [index for operator in model.operators for index in operator.outputs]
    kept = set(draw(st.lists(st.sampled_from(written), max_size=2)))
    model.outputs = [index for index in written if index not in used or index in kept]
    return model
