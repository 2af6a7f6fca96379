"""Which graphs could a model be? Small networks with branches, drawn by hypothesis: tensors read
twice, results that are outputs and operands, reshapes of inputs and of outputs, and quantisation
from sane to extreme. Every one is accepted by the reader and by the reference interpreter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.tflite_factory import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, ModelFactory

_LARGEST_TENSOR = 1500  # bytes, so that a virtual board answers at once

_activations = st.sampled_from([NONE, NONE, NONE, RELU, RELU6, RELU_N1_TO_1])
_zero_points = st.one_of(st.sampled_from([-128, 0, 127]), st.integers(-128, 127))
_scales = st.one_of(
    st.floats(2.0**-8, 1.0, width=32), st.sampled_from([1e-30, 1e-9, 2.0**-13, 1e4, 1e9, 1e30])
)
# What the scale of a result is divided by: mostly none, or shifts left, or all the way out.
_gains = st.sampled_from([1.0, 1.0, 1.0, 0.3, 40.0, 1e-5, 1e5, 1e-12])


class _Network:
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
        return {"scale": scale / self.draw(_gains), "zero_point": self.draw(_zero_points)}

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
        return self.draw(_activations)


def _conv_2d(net: _Network) -> None:
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


def _depthwise_conv_2d(net: _Network) -> None:
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


def _transpose_conv(net: _Network) -> None:
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


def _pool_2d(net: _Network) -> None:
    source = net.image()
    window = net.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    if (found := net.window(source, window, 1)) is None:
        return
    op = net.draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
    shape = (1, *found["sizes"], net.shape(source)[3])
    options = {**found["options"], "filter_h": window[0], "filter_w": window[1]}
    net.finish(op, [source], shape, net.quantisation(source), **options)


def _fully_connected(net: _Network) -> None:
    source = net.pick()
    depth = net.shape(source)[-1]
    rows = int(np.prod(net.shape(source))) // depth
    count = net.draw(st.integers(1, 9))
    operands, scale = net.filters(source, (count, depth), 0)
    details = net.like(scale)
    net.finish(
        "FULLY_CONNECTED", [source, *operands], (rows, count), details, activation=net.activation()
    )


def _partner(net: _Network, first: int) -> tuple[int, tuple[int, ...]]:
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
        details = {"scale": net.scale(second), "zero_point": net.draw(_zero_points)}
        return net.model.constant(values, **details), net.shape(first)
    return second, fitting[second]


def _add(net: _Network) -> None:
    first = net.pick()
    second, shape = _partner(net, first)
    # The interpreter aborts on results that are finer than a millionth of the operands.
    gain = net.draw(st.sampled_from([1.0, 1.0, 0.5, 30.0, 1e-6]))
    scale = max(net.scale(first), net.scale(second)) / gain
    details = {"scale": scale, "zero_point": net.draw(_zero_points)}
    op = net.draw(st.sampled_from(["ADD", "ADD", "SUB"]))
    net.finish(op, [first, second], shape, details, activation=net.activation())


def _mul(net: _Network) -> None:
    first = net.pick()
    second, shape = _partner(net, first)
    op = net.draw(st.sampled_from(["MUL", "MUL", "PRELU"]))
    product = net.scale(first) * net.scale(second)
    if not 1e-30 < product < 1e30 or (op == "PRELU" and net.scale(second) > 1e6):
        return
    details = net.like(product * 200 if op == "MUL" else net.scale(first))
    options = {"activation": net.activation()} if op == "MUL" else {}
    net.finish(op, [first, second], shape, details, **options)


def _extremum(net: _Network) -> None:
    first = net.pick()
    details = net.quantisation(first)
    same = [i for i in net.known if net.shape(i) == net.shape(first)]
    second = net.draw(st.sampled_from([i for i in same if net.quantisation(i) == details]))
    if net.draw(st.booleans()):
        values = net.rng.integers(-128, 128, 1, dtype=np.int8)
        second = net.model.constant(values, **details)
    op = net.draw(st.sampled_from(["MAXIMUM", "MINIMUM"]))
    net.finish(op, [first, second], net.shape(first), details)


def _pad(net: _Network) -> None:
    source = net.pick()
    shape = net.shape(source)
    paddings = np.array(
        [[0, 0] if i == 0 else net.rng.integers(0, 3, 2) for i in range(len(shape))]
    )
    padded = tuple(int(n) for n in np.array(shape) + paddings.sum(axis=1))
    operands = [source, net.model.constant(paddings.astype(np.int32))]
    net.finish("PAD", operands, padded, net.quantisation(source))


def _mirror_pad(net: _Network) -> None:
    source = net.image()
    shape, mode = net.shape(source), net.draw(st.sampled_from([0, 1]))
    most = [min(2, size - 1 + mode) if axis in (1, 2) else 0 for axis, size in enumerate(shape)]
    paddings = np.array([net.rng.integers(0, count + 1, 2) for count in most], np.int32)
    padded = tuple(int(n) for n in np.array(shape) + paddings.sum(axis=1))
    operands = [source, net.model.constant(paddings)]
    net.finish("MIRROR_PAD", operands, padded, net.quantisation(source), mode=mode)


def _mean(net: _Network) -> None:
    source = net.image()
    keep = net.draw(st.booleans())
    depth = net.shape(source)[3]
    details = net.draw(st.sampled_from([net.quantisation(source), net.like(net.scale(source))]))
    axes = net.model.constant(np.array([1, 2], np.int32))
    net.finish(
        "MEAN", [source, axes], (1, 1, 1, depth) if keep else (1, depth), details, keep_dims=keep
    )


def _reduction(net: _Network) -> None:
    source = net.pick()
    shape = net.shape(source)
    op = net.draw(st.sampled_from(["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"]))
    chosen = sorted(net.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    kept = tuple(1 if axis in chosen else size for axis, size in enumerate(shape))
    details = net.quantisation(source)
    if op in ("MEAN", "SUM"):
        details = net.like(net.scale(source))
    axes = net.model.constant(np.array(chosen, np.int32))
    net.finish(op, [source, axes], kept, details, keep_dims=True)


def _reshape(net: _Network) -> None:
    source = net.pick()
    count = int(np.prod(net.shape(source)))
    shapes = [(1, count), (count,), (1, 1, 1, count)]
    if count % 2 == 0:
        shapes.append((1, 2, count // 2, 1))
    shape = net.draw(st.sampled_from(shapes))
    net.finish("RESHAPE", [source], shape, net.quantisation(source))


def _concatenation(net: _Network) -> None:
    first = net.pick()
    shape, details = net.shape(first), net.quantisation(first)
    axis = net.draw(st.integers(0, len(shape) - 1))
    alike = [
        index
        for index in net.known
        if net.quantisation(index) == details
        and len(net.shape(index)) == len(shape)
        and all(
            a == b
            for at, (a, b) in enumerate(zip(net.shape(index), shape, strict=True))
            if at != axis
        )
    ]
    operands = [first, *net.draw(st.lists(st.sampled_from(alike), min_size=1, max_size=3))]
    joined = sum(net.shape(index)[axis] for index in operands)
    whole = (*shape[:axis], joined, *shape[axis + 1 :])
    net.finish("CONCATENATION", operands, whole, details, axis=axis, activation=NONE)


def _split(net: _Network) -> None:
    source = net.pick()
    shape, details = net.shape(source), net.quantisation(source)
    axis = net.draw(st.integers(0, len(shape) - 1))
    count = net.draw(st.sampled_from([n for n in (1, 2, 3, 4) if shape[axis] % n == 0]))
    part = (*shape[:axis], shape[axis] // count, *shape[axis + 1 :])
    outputs = [net.model.tensor(part, **details) for _ in range(count)]
    at = net.model.constant(np.array(axis, np.int32))
    net.model.operator("SPLIT", [at, source], outputs, count=count)
    net.known.extend(outputs)


def _slice(net: _Network) -> None:
    source = net.pick()
    shape = net.shape(source)
    if len(shape) > 4:
        return
    steps = [net.draw(st.sampled_from([1, 1, 1, 2, -1])) for _ in shape]
    masks = net.rng.integers(0, 1 << len(shape), 2).tolist()
    begins, ends = (net.rng.integers(-np.array(shape), np.array(shape) + 1) for _ in range(2))
    taken = tuple(
        slice(None if masks[0] >> at & 1 else begin, None if masks[1] >> at & 1 else end, step)
        for at, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True))
    )
    operands = [net.model.constant(np.array(v, np.int32)) for v in (begins, ends, steps)]
    kept = np.empty(shape, np.int8)[taken].shape
    options = {"begin_mask": masks[0], "end_mask": masks[1]}
    net.finish("STRIDED_SLICE", [source, *operands], kept, net.quantisation(source), **options)


def _transpose(net: _Network) -> None:
    source = net.pick()
    shape = net.shape(source)
    order = net.rng.permutation(len(shape))
    operands = [source, net.model.constant(order.astype(np.int32))]
    moved = tuple(shape[axis] for axis in order)
    net.finish("TRANSPOSE", operands, moved, net.quantisation(source))


def _resize(net: _Network) -> None:
    source = net.image()
    size = net.rng.integers(1, 12, 2).astype(np.int32)
    op = net.draw(st.sampled_from(["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"]))
    chosen = net.draw(st.sampled_from(["none", "align_corners", "half_pixel_centers"]))
    shape = (1, int(size[0]), int(size[1]), net.shape(source)[3])
    operands = [source, net.model.constant(size)]
    options = {name: name == chosen for name in ("align_corners", "half_pixel_centers")}
    net.finish(op, operands, shape, net.quantisation(source), **options)


def _softmax(net: _Network) -> None:
    source = net.pick()
    if net.shape(source)[-1] < 512 and net.scale(source) > 1e-6:
        details = {"scale": 1 / 256, "zero_point": -128}
        net.finish("SOFTMAX", [source], net.shape(source), details, beta=1.0)


def _elementwise(net: _Network) -> None:
    source = net.pick()
    op = net.draw(st.sampled_from(["ABS", "RELU", "RELU6", "LEAKY_RELU", "QUANTIZE"]))
    keep = op == "RELU6"
    if keep and net.scale(source) < 1e-8:  # six is no int32 there
        return
    details = net.quantisation(source) if keep else net.like(net.scale(source))
    options = {"alpha": net.draw(st.sampled_from([0.1, -2.0]))} if op == "LEAKY_RELU" else {}
    net.finish(op, [source], net.shape(source), details, **options)


def _sigmoid(net: _Network) -> None:
    source = net.pick()
    op = net.draw(st.sampled_from(["HARD_SWISH", "LOGISTIC", "TANH"]))
    if not 1e-8 < net.scale(source) < 1e6:  # beyond, their fixed point is not defined
        return
    gain = net.draw(st.sampled_from([1.0, 1.0, 30.0, 1e-5]))
    details = {
        "HARD_SWISH": {"scale": net.scale(source) / gain, "zero_point": net.draw(_zero_points)},
        "LOGISTIC": {"scale": 1 / 256, "zero_point": -128},
        "TANH": {"scale": 1 / 128, "zero_point": 0},
    }
    net.finish(op, [source], net.shape(source), details[op])


_STEPS: list[Callable[[_Network], None]] = [
    _conv_2d,
    _conv_2d,
    _depthwise_conv_2d,
    _depthwise_conv_2d,
    _transpose_conv,
    _pool_2d,
    _fully_connected,
    _add,
    _add,
    _mul,
    _extremum,
    _pad,
    _concatenation,
    _mirror_pad,
    _mean,
    _reduction,
    _reshape,
    _resize,
    _slice,
    _split,
    _transpose,
    _softmax,
    _elementwise,
    _sigmoid,
]


@st.composite
def networks(draw: st.DrawFn, *, most_operators: int = 24) -> ModelFactory:
    """A model of 1 to `most_operators` operators, mostly many. Every result that no operator reads
    is an output, and some that are read are, too."""
    net = _Network(draw)
    for _ in range(draw(st.sampled_from([1, 1, 2]))):
        size = draw(st.one_of(st.integers(1, 8), st.integers(5, 8)))
        channels = draw(st.integers(1, 9))
        details = {"scale": draw(_scales), "zero_point": draw(_zero_points)}
        net.known.append(net.model.input((1, size, size, channels), **details))
    least = draw(st.sampled_from([1, most_operators // 2, most_operators // 2]))
    for _ in range(draw(st.integers(least, most_operators))):
        draw(st.sampled_from(_STEPS))(net)
    model = net.model
    if not model.operators:
        _reshape(net)
    used = {index for operator in model.operators for index in operator.inputs}
    written = [index for operator in model.operators for index in operator.outputs]
    kept = set(draw(st.lists(st.sampled_from(written), max_size=2)))
    model.outputs = [index for index in written if index not in used or index in kept]
    return model
