"""Bytes that are no FlatBuffer, or a hostile one, are refused before anything is believed."""

from __future__ import annotations

import re
import struct

import pytest

from harness.errors import MalformedModelError
from tests.harness.tflite.models import read
from tests.tflite_factory import ModelFactory, fully_connected_model


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is truncated at 0x0 (expected at least 8 bytes, got 0)"),
        (b"\x10\0\0\0TFL", "is truncated at 0x0 (expected at least 8 bytes, got 7)"),
        (b"\x89PNG\r\n\x1a\n", "is not a TensorFlow Lite model at 0x4 (expected TFL3"),
        (b"\xff\xff\xff\xffTFL3", "root lies outside the file"),
        (b"\x08\0\0\0TFL3", "root lies outside the file"),
        (b"\x08\0\0\0TFL3\xff\xff\xff\x7f", "root: vtable lies outside the file"),
        (b"\x08\0\0\0TFL3\0\0\0\0", "root has an impossible vtable"),
    ],
)
def test_what_is_no_flatbuffer_is_malformed(data: bytes, message: str) -> None:
    with pytest.raises(MalformedModelError, match=re.escape(message)):
        read(data)


def test_a_truncated_file_is_malformed() -> None:
    data = fully_connected_model()
    with pytest.raises(MalformedModelError, match="lies outside the file.*export it again"):
        read(data[: len(data) // 2])


def test_a_count_beyond_the_file_is_malformed() -> None:
    data = fully_connected_model(depth=12, channels=5)
    at = data.index(read(data).tensor(1).data.tobytes()) - 4  # the weights' byte count
    hostile = data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]
    with pytest.raises(MalformedModelError, match="data lies outside the file"):
        read(hostile)


def test_tables_that_share_data_without_end_are_malformed() -> None:
    model = ModelFactory(subgraphs=40)
    last = model.input((1, 4), scale=0.5)
    for _ in range(40):
        following = model.tensor((1, 4), scale=0.5)
        model.operator("RELU", [last], [following])
        last = following
    model.outputs = [last]
    with pytest.raises(MalformedModelError, match="repeats shared data without end"):
        read(model)


def test_tables_without_bound_are_malformed() -> None:
    count = 1 << 16
    shared = 36 + 4 * count  # a vtable and a table without fields
    data = struct.pack("<I4s7H2x", 24, b"TFL3", 14, 8, 0, 0, 0, 0, 4)
    data += struct.pack("<iII", 24 - 8, 4, count)
    data += b"".join(struct.pack("<I", shared + 4 - (36 + 4 * i)) for i in range(count))
    data += struct.pack("<HHi", 4, 4, 4)
    with pytest.raises(MalformedModelError, match="has too many tables at 0x.*<= 65536, got more"):
        read(data + bytes(1 << 20))


def test_an_operator_code_that_is_not_there_is_malformed() -> None:
    model = ModelFactory()
    source = model.input((1, 4), scale=0.5)
    model.outputs = [model.tensor((1, 4), scale=0.5)]
    model.operator("RELU", [source], model.outputs)
    model.operator("RELU6", [source], [model.tensor((1, 4), scale=0.5)])
    data = bytearray(model.build())
    # Drop one from the vector of two.
    root = int.from_bytes(data[:4], "little")
    vtable = root - int.from_bytes(data[root : root + 4], "little", signed=True)
    slot = int.from_bytes(data[vtable + 6 : vtable + 8], "little")
    vector = root + slot + int.from_bytes(data[root + slot : root + slot + 4], "little")
    data[vector : vector + 4] = (1).to_bytes(4, "little")
    with pytest.raises(MalformedModelError, match="operator 1: no such operator code"):
        read(bytes(data))
