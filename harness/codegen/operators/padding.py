"""What C do operators that frame a tensor become?"""

from __future__ import annotations

from collections.abc import Sequence

from harness.axes import Padded, merge_mirrored, merge_padded, pad_axes
from harness.codegen.operators.code import Code, Writer
from harness.tflite import MirrorPad

_PADDED, _MIRRORED = 5, 4  # axes of pad_t and of mirror_pad_t


def _pad(code: Code) -> None:
    source, output = code.input(0), code.output
    value = output.q.zero_point
    if code.operator.op == "PADV2":
        chosen = code.input(2).data
        assert chosen is not None
        value = int(chosen.ravel()[0])
    *outer, run = merge_padded(_axes(code))
    width = source.width  # an int16 is padded with 0
    axes = (*outer, Padded(run.size * width, run.before * width, run.after * width))
    table = code.struct("pad_t", **_members(axes, _PADDED), value=value)
    code.call("pad_s8", table, code.address(source), code.address(output))


def _mirror_pad(code: Code) -> None:
    options = code.operator.options
    assert isinstance(options, MirrorPad)
    axes, run = merge_mirrored(_axes(code))
    table = code.struct(
        "mirror_pad_t", **_members(axes, _MIRRORED), run=run, skipped=options.skipped
    )
    code.call("mirror_pad_s8", table, code.address(code.input(0)), code.address(code.output))


def _axes(code: Code) -> list[Padded]:
    paddings = code.input(1).data
    assert paddings is not None
    return pad_axes(code.input(0).shape, paddings)


def _members(axes: Sequence[Padded], count: int) -> dict[str, object]:
    """Sizes of `count` axes, those in front of `axes` of one element."""
    padded = [Padded(1, 0, 0)] * (count - len(axes)) + list(axes)

    def braces(values: list[int]) -> str:
        return "{" + ", ".join(str(value) for value in values) + "}"

    return {
        "input": braces([axis.size for axis in padded]),
        "before": braces([axis.before for axis in padded]),
        "output": braces([axis.total for axis in padded]),
    }


WRITERS: dict[str, Writer] = {
    "MIRROR_PAD": _mirror_pad,
    "PAD": _pad,
    "PADV2": _pad,
}
