"""What must operators that join tensors, or take one apart, look like?"""

from __future__ import annotations

from harness.tflite.graph import (
    Activation,
    Axis,
    Options,
    Tensor,
)
from harness.tflite.operators.node import (
    Check,
    Node,
    describe_quantisation,
)

_MOST_JOINED = 10  # tflite-micro's kernel refuses more
_MOST_PARTS = 256  # operands an operator may have, see reader.py


def _concatenation(node: Node) -> Options:
    node.take(1, _MOST_PARTS)
    if len(node.inputs) > _MOST_JOINED:
        raise node.unsupported(
            "joins too many tensors",
            "join in two steps",
            f"<= {_MOST_JOINED}",
            len(node.inputs),
        )
    output = node.output
    axis = node.axis(int(node.options()["axis"]), len(output.shape))
    if node.activation() is not Activation.NONE:
        raise node.unsupported(
            "has a fused activation",
            "apply it to each input before",
            "none",
            node.activation().name,
        )
    joined = 0
    for position in range(len(node.inputs)):
        source = node.operand(position)
        node.int8_or_int16(output, source)
        if (source.q.scale, source.q.zero_point) != (output.q.scale, output.q.zero_point):
            raise node.unsupported(
                f"input {position} has its own quantisation",
                "convert the model again, with one range for all inputs and the output",
                describe_quantisation(output),
                describe_quantisation(source),
            )
        _agree(node, source, output, axis)
        joined += source.shape[axis]
    if joined != output.shape[axis]:
        raise node.malformed(
            f"sizes along axis {axis} do not add up to the output's", output.shape[axis], joined
        )
    return Axis(axis)


def _split(node: Node) -> Options:
    count = int(node.options()["count"])
    axis = _parts(node, 1, node.scalar(0, "axes"), count, inputs=2)
    size, rest = divmod(node.operand(1).shape[axis], count)
    if rest or any(output.shape[axis] != size for output in node.outputs):
        raise node.malformed(
            "does not split into equal parts",
            f"{count} parts of an axis of {node.operand(1).shape[axis]}",
            [output.shape[axis] for output in node.outputs],
        )
    return Axis(axis)


def _split_v(node: Node) -> Options:
    count = int(node.options()["count"])
    axis = _parts(node, 0, node.scalar(2, "axes"), count, inputs=3)
    said = [int(size) for size in node.constant(node.operand(1), "sizes", "int32").ravel()]
    sizes = [output.shape[axis] for output in node.outputs]
    # One size may be -1: what the others leave.
    if len(said) != count or any(
        size != -1 and size != found for size, found in zip(said, sizes, strict=True)
    ):
        raise node.malformed("sizes contradict the outputs", sizes, said)
    if sum(sizes) != node.operand(0).shape[axis]:
        raise node.malformed(
            f"sizes along axis {axis} do not add up to the input's",
            node.operand(0).shape[axis],
            sum(sizes),
        )
    return Axis(axis)


def _parts(node: Node, source: int, axis: int, count: int, *, inputs: int) -> int:
    """Checks that the outputs are parts of the operand `source`; returns the axis."""
    if count < 1:
        raise node.malformed("splits into nothing", ">= 1 parts", count)
    node.take(inputs, inputs, outputs=count)
    tensor = node.operand(source)
    node.int8_or_int16(tensor, *node.outputs)
    axis = node.axis(axis, len(tensor.shape))
    for output in node.outputs:
        _agree(node, output, tensor, axis)
    return axis


def _agree(node: Node, part: Tensor, whole: Tensor, axis: int) -> None:
    """Equal in shape but for `axis`."""
    expected = list(whole.shape)
    expected[axis : axis + 1] = part.shape[axis : axis + 1]
    if len(part.shape) != len(whole.shape) or part.shape != tuple(expected):
        raise node.malformed(
            f"tensors {part.index} and {whole.index} differ in more than axis {axis}",
            whole.shape,
            part.shape,
        )


def _pack(node: Node) -> Options:
    options = node.options()
    node.take(int(options["count"]), int(options["count"]))
    node.int8_or_int16(node.output, *(node.operand(i) for i in range(len(node.inputs))))
    shape = node.operand(0).shape
    axis = node.axis(int(options["axis"]), len(shape) + 1)
    for position in range(len(node.inputs)):
        if node.operand(position).shape != shape:
            raise node.malformed("packs different shapes", shape, node.operand(position).shape)
    node.shaped(*shape[:axis], len(node.inputs), *shape[axis:])
    return Axis(axis)


def _unpack(node: Node) -> Options:
    options = node.options()
    node.take(1, 1, outputs=int(options["count"]))
    source = node.operand(0)
    node.int8_or_int16(source, *node.outputs)
    axis = node.axis(int(options["axis"]), len(source.shape))
    if source.shape[axis] != len(node.outputs):
        raise node.malformed(
            "has not an output for each slice", source.shape[axis], len(node.outputs)
        )
    for position in range(len(node.outputs)):
        node.shaped(*source.shape[:axis], *source.shape[axis + 1 :], output=position)
    return Axis(axis)


CHECKS: dict[str, Check] = {
    "CONCATENATION": _concatenation,
    "PACK": _pack,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "UNPACK": _unpack,
}
