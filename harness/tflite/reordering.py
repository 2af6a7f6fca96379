"""How do a file's operators get into another order? The offsets in the subgraph's vector of
operators change places; nothing else in the file changes, nor does its size."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.errors import MalformedModelError, UnsupportedModelError
from harness.tflite.flatbuffer import Decoder, Places, Spec, String, Tables
from harness.tflite.graph import Graph
from harness.tflite.reader import read_graph
from harness.tflite.schema import IDENTIFIER

_MODEL: Spec = {
    "subgraphs": (2, Tables({"operators": (3, Places())})),
    "metadata": (6, Tables({"name": (0, String())})),
}
# What these say holds for one order: offsets that fit lifetimes, and operators by their place.
_ORDERED = ("OfflineMemoryAllocation", "model_control_dependencies")


def reordered(data: bytes, order: Sequence[int], *, where: str) -> bytes:
    """`data`, a model that read_graph accepts, with its operators in `order`: for each place, the
    place in which its operator stands in `data`.

    Raises:
        UnsupportedModelError: it has metadata that belongs to its present order.
        MalformedModelError: its vector of operators is part of something else, so that it cannot
            be changed alone; or the order is none in which operators could be executed.
    """
    before = read_graph(data, where=where)
    model = Decoder(data, where=where).decode_root(_MODEL, IDENTIFIER)
    for one in model["metadata"] or []:
        if one["name"] in _ORDERED:
            raise UnsupportedModelError(
                f"its metadata {one['name']!r} belongs to the order it has",
                where=where,
                hint="convert it without that metadata",
            )
    first, tables = model["subgraphs"][0]["operators"]
    changed = bytearray(data)
    for place, chosen in enumerate(order):
        at = first + 4 * place
        # An offset counts from where it stands, and only upwards (flatbuffers "internals" page).
        if tables[chosen] <= at:
            raise _entangled(where, at)
        struct.pack_into("<I", changed, at, tables[chosen] - at)
    result = bytes(changed)
    if not _is_reordered(before, read_graph(result, where=where), order):
        raise _entangled(where, first)
    return result


def _entangled(where: str, at: int) -> MalformedModelError:
    return MalformedModelError(
        f"the vector of operators at 0x{at:x} is part of something else",
        where=where,
        expected="a vector before its tables",
        hint="the file is damaged; export it again",
    )


def _is_reordered(before: Graph, after: Graph, order: Sequence[int]) -> bool:
    """The graphs differ in nothing but the places of their operators."""
    same = (
        (before.tensors, before.inputs, before.outputs)
        == (after.tensors, after.inputs, after.outputs)
    ) and all(
        np.array_equal(one.data, other.data)
        for one, other in zip(before.tensors, after.tensors, strict=True)
        if one.data is not None and other.data is not None
    )
    given, found = before.file_operators, after.file_operators
    moved = [replace(given[chosen], index=place) for place, chosen in enumerate(order)]
    return same and sorted(order) == list(range(len(given))) and list(found) == moved
