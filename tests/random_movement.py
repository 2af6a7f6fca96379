"""Which operators that move, frame, resize or reduce may a random network get?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from tests.growing_network import Network
from tests.tflite_factory import NONE


def _pad(net: Network) -> None:
    source = net.pick()
    shape = net.shape(source)
    paddings = np.array(
        [[0, 0] if i == 0 else net.rng.integers(0, 3, 2) for i in range(len(shape))]
    )
    padded = tuple(int(n) for n in np.array(shape) + paddings.sum(axis=1))
    operands = [source, net.model.constant(paddings.astype(np.int32))]
    net.finish("PAD", operands, padded, net.quantisation(source))


def _mirror_pad(net: Network) -> None:
    source = net.image()
    shape, mode = net.shape(source), net.draw(st.sampled_from([0, 1]))
    most = [min(2, size - 1 + mode) if axis in (1, 2) else 0 for axis, size in enumerate(shape)]
    paddings = np.array([net.rng.integers(0, count + 1, 2) for count in most], np.int32)
    padded = tuple(int(n) for n in np.array(shape) + paddings.sum(axis=1))
    operands = [source, net.model.constant(paddings)]
    net.finish("MIRROR_PAD", operands, padded, net.quantisation(source), mode=mode)


def reshape(net: Network) -> None:
    source = net.pick()
    count = int(np.prod(net.shape(source)))
    shapes = [(1, count), (count,), (1, 1, 1, count)]
    if count % 2 == 0:
        shapes.append((1, 2, count // 2, 1))
    shape = net.draw(st.sampled_from(shapes))
    net.finish("RESHAPE", [source], shape, net.quantisation(source))


def _concatenation(net: Network) -> None:
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


def _split(net: Network) -> None:
    source = net.pick()
    shape, details = net.shape(source), net.quantisation(source)
    axis = net.draw(st.integers(0, len(shape) - 1))
    count = net.draw(st.sampled_from([n for n in (1, 2, 3, 4) if shape[axis] % n == 0]))
    part = (*shape[:axis], shape[axis] // count, *shape[axis + 1 :])
    outputs = [net.model.tensor(part, **details) for _ in range(count)]
    at = net.model.constant(np.array(axis, np.int32))
    net.model.operator("SPLIT", [at, source], outputs, count=count)
    net.known.extend(outputs)


def _slice(net: Network) -> None:
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


def _transpose(net: Network) -> None:
    source = net.pick()
    shape = net.shape(source)
    order = net.rng.permutation(len(shape))
    operands = [source, net.model.constant(order.astype(np.int32))]
    moved = tuple(shape[axis] for axis in order)
    net.finish("TRANSPOSE", operands, moved, net.quantisation(source))


def _resize(net: Network) -> None:
    source = net.image()
    size = net.rng.integers(1, 12, 2).astype(np.int32)
    op = net.draw(st.sampled_from(["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"]))
    chosen = net.draw(st.sampled_from(["none", "align_corners", "half_pixel_centers"]))
    shape = (1, int(size[0]), int(size[1]), net.shape(source)[3])
    operands = [source, net.model.constant(size)]
    options = {name: name == chosen for name in ("align_corners", "half_pixel_centers")}
    net.finish(op, operands, shape, net.quantisation(source), **options)


def _mean(net: Network) -> None:
    source = net.image()
    keep = net.draw(st.booleans())
    depth = net.shape(source)[3]
    details = net.draw(st.sampled_from([net.quantisation(source), net.like(net.scale(source))]))
    axes = net.model.constant(np.array([1, 2], np.int32))
    net.finish(
        "MEAN", [source, axes], (1, 1, 1, depth) if keep else (1, depth), details, keep_dims=keep
    )


def _reduction(net: Network) -> None:
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


STEPS: list[Callable[[Network], None]] = [
    _pad,
    _mirror_pad,
    reshape,
    _concatenation,
    _split,
    _slice,
    _transpose,
    _resize,
    _mean,
    _reduction,
]
