"""A file with its operators in another order is the same file but for their offsets, and nothing
that is more than that comes out."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from harness.errors import MalformedModelError, UnsupportedModelError
from harness.tflite import read_graph, reordered, reordering
from tests.tflite_factory import NONE, ModelFactory


def branches() -> ModelFactory:
    """Two operators that do not wait for each other, and one that waits for both."""
    model = ModelFactory()
    source = model.input((8,), scale=0.5, zero_point=1)
    first, second, both = (model.tensor((8,), scale=0.5, zero_point=1) for _ in range(3))
    model.operator("RELU", [source], [first])
    model.operator("ABS", [source], [second])
    model.operator("ADD", [first, second], [both], activation=NONE)
    model.outputs = [both]
    return model


def test_operators_change_places_and_nothing_else_changes() -> None:
    data = branches().build()
    result = reordered(data, (1, 0, 2), where="m")
    changed = [i for i, (a, b) in enumerate(zip(data, result, strict=True)) if a != b]
    assert [one.op for one in read_graph(result, where="m").operators] == ["ABS", "RELU", "ADD"]
    assert max(changed) - min(changed) < 8  # two offsets


def test_the_order_that_it_has_gives_the_same_bytes() -> None:
    data = branches().build()
    assert reordered(data, (0, 1, 2), where="m") == data


def test_going_back_gives_the_same_bytes() -> None:
    data = branches().build()
    assert reordered(reordered(data, (1, 0, 2), where="m"), (1, 0, 2), where="m") == data


def test_an_order_that_cannot_be_executed_is_refused() -> None:
    with pytest.raises(MalformedModelError, match=r"operator 0 \(ADD\) reads tensor . before"):
        reordered(branches().build(), (2, 0, 1), where="m")


@pytest.mark.parametrize("order", [(0, 0, 2), (0, 1)], ids=["one twice", "one left out"])
def test_what_is_no_order_is_refused(order: tuple[int, ...]) -> None:
    with pytest.raises(MalformedModelError):
        reordered(branches().build(), order, where="m")


def test_several_subgraphs_are_refused() -> None:
    model = branches()
    model.subgraphs = 2
    with pytest.raises(UnsupportedModelError, match="several subgraphs .*; remove control flow"):
        reordered(model.build(), (0, 1, 2), where="m")


@pytest.mark.parametrize("name", ["OfflineMemoryAllocation", "model_control_dependencies"])
def test_metadata_that_belongs_to_an_order_is_refused(name: str) -> None:
    model = branches()
    model.metadata = [name]
    with pytest.raises(UnsupportedModelError, match=f"metadata '{name}' belongs to the order"):
        reordered(model.build(), (1, 0, 2), where="m")


def test_other_metadata_stays() -> None:
    model = branches()
    model.metadata = ["min_runtime_version"]
    assert b"min_runtime_version" in reordered(model.build(), (1, 0, 2), where="m")


def operators_at(data: bytes) -> int:
    """Where the first offset of the subgraph's vector of operators stands."""

    subgraph = follow(data, follow(data, field_at(data, follow(data, 0), 2)) + 4)
    return follow(data, field_at(data, subgraph, 3)) + 4


def field_at(data: bytes, table: int, index: int) -> int:
    vtable = table - struct.unpack_from("<i", data, table)[0]
    return int(table + struct.unpack_from("<H", data, vtable + 4 + 2 * index)[0])


def follow(data: bytes, at: int) -> int:
    return int(at + struct.unpack_from("<I", data, at)[0])


def test_a_vector_that_is_a_constant_too_is_refused() -> None:
    """The constant's buffer is a table within a name, whose bytes are the vector's: its count, and
    the beginning of the first offset."""
    model = ModelFactory()
    source = model.input((3,), scale=0.5)
    first, second, both = (model.tensor((3,), scale=0.5) for _ in range(3))
    constant = model.constant(np.array([90, 91, 92], np.int8), scale=0.5)
    model.operator("RELU", [source], [first])
    model.operator("ABS", [source], [second])
    model.operator("ADD", [first, constant], [both], activation=NONE)
    model.outputs = [second, both]
    model.metadata = ["A" * 32]
    data = bytearray(model.build())
    room = data.index(b"A" * 32)
    vector, table = operators_at(data) - 4, room + 8
    struct.pack_into("<HHHHiI", data, room, 6, 8, 4, 0, 8, vector - (table + 4))
    buffers = follow(data, field_at(data, follow(data, 0), 4)) + 4
    struct.pack_into("<I", data, buffers + 4, table - (buffers + 4))  # the second buffer
    assert read_graph(bytes(data), where="m").tensor(constant).data is not None

    with pytest.raises(MalformedModelError, match="is part of something else .*; the file is dam"):
        reordered(bytes(data), (1, 0, 2), where="m")


def test_a_table_before_an_offset_that_should_point_to_it_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = branches().build()
    first = operators_at(data)
    # The first table lies within the vector: where the second offset stands, none points to it.
    places = (first, [first + 4, *(follow(data, first + 4 * i) for i in (1, 2))])
    model = {"subgraphs": [{"operators": places}], "metadata": None}
    monkeypatch.setattr(reordering.Decoder, "decode_root", lambda *_: model)
    monkeypatch.setattr(reordering, "read_graph", lambda *_, **__: None)

    with pytest.raises(MalformedModelError, match=f"operators at 0x{first + 4:x} is part of"):
        reordered(data, (1, 0, 2), where="m")
