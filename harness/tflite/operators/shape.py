"""Which operators compute what is known already? Converters leave the arithmetic of shapes in the
graph: SHAPE, then slices, products and PACK, then the RESHAPE that wants the result. Shapes are
fixed here, so that integers computed from them are constants; no kernel ever sees them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from harness.tflite.graph import Activation, Array
from harness.tflite.operators.node import Node

_INTEGERS = ("int32", "int64")
_MOST_ELEMENTS = 4096  # shapes have a few, and untrusted files may chain a thousand
_HINT = "export the model with fixed shapes, so that arithmetic on them is constant"


def fold(node: Node) -> Array | None:
    """The result of an integer operator whose operands are known; None where it must run."""
    evaluate = FOLDS.get(node.op)
    if evaluate is None or len(node.outputs) != 1:
        return None
    known = node.op == "SHAPE" or all(
        tensor is not None and tensor.data is not None and tensor.dtype in _INTEGERS
        for tensor in node.inputs
    )
    output = node.output
    if not known or output.dtype not in _INTEGERS:
        return None
    operands = (tensor for tensor in node.inputs if tensor is not None and node.op != "SHAPE")
    largest = max(tensor.elements for tensor in (*operands, output))
    if largest > _MOST_ELEMENTS:
        raise node.unsupported(
            "computes with constants larger than any shape",
            "keep tables of integers out of the network",
            f"<= {_MOST_ELEMENTS} elements",
            largest,
        )
    result = np.asarray(evaluate(node))
    if result.shape != output.shape:
        raise node.malformed("output shape contradicts the inputs", result.shape, output.shape)
    limits = np.iinfo(output.dtype)
    if any(not limits.min <= value <= limits.max for value in result.ravel().tolist()):
        raise node.malformed("computes numbers that leave its type", output.dtype, "an overflow")
    return result.astype(output.dtype)


def must_be_known(node: Node) -> Exception:
    """For an operator that is only ever folded, where it cannot be."""
    return node.unsupported(
        f"{node.op} is supported only for integers that are known when the model is compiled",
        _HINT,
        "int32 or int64 constants",
        ", ".join(
            f"{tensor.dtype} of tensor {tensor.index}"
            + (" known only at run time" if tensor.data is None else "")
            for tensor in node.inputs
            if tensor is not None
        ),
    )


def _values(node: Node, position: int) -> Array:
    """Python integers, which do not overflow."""
    data = node.operand(position).data
    assert data is not None
    return data.astype(object)


def _scalar(node: Node, position: int) -> int:
    values = _values(node, position)
    if values.size != 1:
        raise node.malformed(f"input {position} is no scalar", 1, values.size)
    return int(values.ravel()[0])


def _shape(node: Node) -> Array:
    node.take(1, 1)
    return np.array(node.operand(0).shape, object)


def _pack(node: Node) -> Array:
    node.take(1, len(node.inputs))
    parts = [_values(node, position) for position in range(len(node.inputs))]
    _of_one_shape(node, [part.shape for part in parts])
    return np.stack(parts, node.axis(int(node.options()["axis"]), parts[0].ndim + 1))


def _concatenation(node: Node) -> Array:
    node.take(1, len(node.inputs))
    parts = [_values(node, position) for position in range(len(node.inputs))]
    axis = node.axis(int(node.options()["axis"]), parts[0].ndim)
    _of_one_shape(node, [part.shape[:axis] + part.shape[axis + 1 :] for part in parts])
    if len({part.ndim for part in parts}) > 1:
        raise node.malformed("operands differ in rank", "one rank", "several")
    return np.concatenate(parts, axis)


def _of_one_shape(node: Node, shapes: list[tuple[int, ...]]) -> None:
    for shape in shapes:
        if shape != shapes[0]:
            raise node.malformed("operands differ in shape", shapes[0], shape)


def _strided_slice(node: Node) -> Array:
    node.take(4, 4)
    source, options = _values(node, 0), node.options()
    begin, end, step = (_values(node, position).ravel().tolist() for position in (1, 2, 3))
    if not len(begin) == len(end) == len(step) <= source.ndim:
        raise node.malformed(
            "has impossible slices",
            f"begins, ends and steps of at most {source.ndim} axes",
            (len(begin), len(end), len(step)),
        )
    for name in ("ellipsis_mask", "new_axis_mask", "offset"):
        if options[name]:
            raise node.unsupported(f"slices with {name}", "slice every axis by itself", 0)
    if 0 in step:
        raise node.malformed("slices in steps of 0", "another step", 0)
    chosen: list[slice | int] = []
    for axis, (first, last, by) in enumerate(zip(begin, end, step, strict=True)):
        bit = 1 << axis
        if options["shrink_axis_mask"] & bit:
            first = 0 if options["begin_mask"] & bit else first
            if not -source.shape[axis] <= first < source.shape[axis]:
                raise node.malformed(
                    "takes what is not there", f"an index of {source.shape[axis]}", first
                )
            chosen.append(first)
            continue
        chosen.append(
            slice(
                None if options["begin_mask"] & bit else first,
                None if options["end_mask"] & bit else last,
                by,
            )
        )
    return np.asarray(source[tuple(chosen)])


def _gather(node: Node) -> Array:
    node.take(2, 2)
    source, indices, options = _values(node, 0), _values(node, 1), node.options()
    if options["batch_dims"]:
        raise node.unsupported("gathers in batches", "gather along one axis", 0)
    axis = node.axis(int(options["axis"]), source.ndim)
    if any(not 0 <= index < source.shape[axis] for index in indices.ravel().tolist()):
        raise node.malformed("gathers what is not there", f"0..{source.shape[axis] - 1}")
    shape = (*source.shape[:axis], *indices.shape, *source.shape[axis + 1 :])
    if shape != node.output.shape:  # 4096 times 4096 elements are not even made
        raise node.malformed("output shape contradicts the inputs", shape, node.output.shape)
    return source.take(indices.astype(np.int64), axis)


def _rearranged(node: Node) -> Array:
    source = _values(node, 0)
    if source.size != node.output.elements:
        raise node.malformed("changes size", source.shape, node.output.shape)
    return source.reshape(node.output.shape)


def _cast(node: Node) -> Array:
    node.take(1, 1)
    return _values(node, 0)


def _of_two(operation: Callable[[Any, Any], Any], *, fused: bool) -> Callable[[Node], Array]:
    def evaluate(node: Node) -> Array:
        node.take(2, 2)
        first, second = _values(node, 0), _values(node, 1)
        if fused and node.activation() is not Activation.NONE:
            raise node.unsupported("clamps integers", "remove the activation", "NONE")
        try:
            shape = np.broadcast_shapes(first.shape, second.shape)
        except ValueError:
            raise node.malformed("operands do not broadcast", first.shape, second.shape) from None
        if math.prod(shape) > _MOST_ELEMENTS:
            raise node.malformed("output shape contradicts the inputs", shape, node.output.shape)
        return np.asarray(operation(first, second))

    return evaluate


def _floor_div(node: Node) -> Array:
    node.take(2, 2)
    if not _values(node, 1).all():
        raise node.malformed("divides by 0", "another divisor", 0)
    return _of_two(np.floor_divide, fused=False)(node)


def _fill(node: Node) -> Array:
    node.take(2, 2)
    if tuple(_values(node, 0).ravel().tolist()) != node.output.shape:
        raise node.malformed(
            "output shape contradicts the inputs", _values(node, 0).tolist(), node.output.shape
        )
    return np.full(node.output.shape, _scalar(node, 1), object)


def _range(node: Node) -> Array:
    node.take(3, 3)
    start, limit, step = (_scalar(node, position) for position in range(3))
    if step == 0:
        raise node.malformed("counts in steps of 0", "another step", 0)
    count = max(0, -((start - limit) // step))
    if node.output.shape != (count,):
        raise node.malformed("output shape contradicts the inputs", (count,), node.output.shape)
    return np.array(range(start, limit, step), object)


def _reduce_prod(node: Node) -> Array:
    node.take(2, 2)
    source = _values(node, 0)
    axes = {node.axis(int(axis), source.ndim) for axis in _values(node, 1).ravel().tolist()}
    keep = bool(node.options()["keep_dims"])
    return np.asarray(np.prod(source, axis=tuple(sorted(axes)), keepdims=keep))


FOLDS: dict[str, Callable[[Node], Array]] = {
    "ADD": _of_two(np.add, fused=True),
    "CAST": _cast,
    "CONCATENATION": _concatenation,
    "EXPAND_DIMS": _rearranged,
    "FILL": _fill,
    "FLOOR_DIV": _floor_div,
    "GATHER": _gather,
    "MAXIMUM": _of_two(np.maximum, fused=False),
    "MINIMUM": _of_two(np.minimum, fused=False),
    "MUL": _of_two(np.multiply, fused=True),
    "PACK": _pack,
    "RANGE": _range,
    "REDUCE_PROD": _reduce_prod,
    "RESHAPE": _rearranged,
    "SHAPE": _shape,
    "SQUEEZE": _rearranged,
    "STRIDED_SLICE": _strided_slice,
    "SUB": _of_two(np.subtract, fused=True),
}
