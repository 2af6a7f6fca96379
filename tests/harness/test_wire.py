"""Messages to bytes and back: golden vectors, round trips, hostile bytes."""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from harness import wire
from harness.errors import FrameError
from harness.wire import Decoder, Frame, decode, encode

VECTORS = json.loads((Path(__file__).parents[1] / "wire_vectors.json").read_text())
IDS = [vector["name"] for vector in VECTORS]


def make_message(kind: str, fields: dict[str, Any]) -> Any:
    """The message a vector describes: bytes are hexadecimal there, tuples are lists."""
    values: dict[str, Any] = {}
    for name, value in fields.items():
        if name in ("nonce", "session", "data"):
            value = bytes.fromhex(value)
        elif name == "greeting":
            value = make_message("Greeting", value)
        elif isinstance(value, list):
            value = tuple(value)
        values[name] = value
    return getattr(wire, kind)(**values)


def frame_of(body: bytes) -> bytes:
    """Any body with a right CRC, stuffed, without the closing zero."""
    stuffed: bytes = cobs.encode(body + struct.pack("<I", zlib.crc32(body)))
    return stuffed


u8, u16, u32, u64 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64))
names = st.text(max_size=20)
nonces = st.binary(min_size=16, max_size=16)
greetings = st.builds(
    wire.Greeting,
    nonce=nonces,
    session=nonces,
    sysclk_hz=u32,
    flash_wait_states=u8,
    caches=st.integers(0, 7).map(wire.FlashCaches),
    arena_bytes=u32,
    input_bytes=st.lists(u32, max_size=8).map(tuple),
    output_bytes=st.lists(u32, max_size=8).map(tuple),
    layers=u16,
    board=names,
    engine=names,
    engine_version=names,
    kernels=names,
)
chunks = st.binary(max_size=wire.CHUNK_MAX)
messages = st.one_of(
    st.builds(wire.Hello, nonces),
    greetings,
    st.builds(wire.Boot, greetings),
    st.builds(wire.Prepare, u8),
    st.builds(wire.Prepared),
    st.builds(wire.WriteInput, u8, u32, chunks),
    st.builds(wire.InputWritten),
    st.builds(wire.Run, st.booleans()),
    st.builds(wire.RunDone, u64, u32, u32, st.booleans()),
    st.builds(wire.ReadOutput, u8, u32, u16),
    st.builds(wire.OutputChunk, u8, u32, chunks),
    st.builds(wire.Provoke, u8),
    st.builds(wire.Provoked),
    st.builds(wire.ReadConditions),
    st.builds(
        wire.ConditionsRead,
        st.none() | st.integers(-(2**15) + 1, 2**15 - 1),
        st.none() | st.integers(1, 2**16 - 1),
    ),
    st.builds(wire.ReadCycles),
    st.builds(wire.CyclesRead, u32),
    st.builds(wire.LayerDone, u16, u64),
    st.builds(wire.Log, st.text(max_size=wire.PAYLOAD_MAX // 4)),
    st.builds(wire.Fault, u8, *[u32] * 8),
    st.builds(wire.Refused, u8, u8, u32),
)
frames = st.builds(Frame, u16, messages)


def test_there_is_a_vector_for_every_message() -> None:
    described = {vector["kind"] for vector in VECTORS}
    assert described == {kind.__name__ for kind in wire.Message.__args__}


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_golden_frames_are_reproduced_and_read(vector: dict[str, Any]) -> None:
    frame = Frame(vector["sequence"], make_message(vector["kind"], vector["fields"]))
    golden = bytes.fromhex(vector["frame"])
    assert encode(frame) == golden
    assert decode(golden[:-1]) == frame


@given(frames)
def test_every_frame_survives_the_trip(frame: Frame) -> None:
    stuffed = encode(frame)
    assert stuffed.index(0) == len(stuffed) - 1 <= wire.STUFFED_MAX
    assert decode(stuffed[:-1]) == frame


@given(st.lists(frames, max_size=5), st.lists(st.integers(0, 3000), max_size=12))
def test_chunks_may_be_cut_anywhere(sent: list[Frame], cuts: list[int]) -> None:
    line = b"".join(map(encode, sent))
    decoder, received, last = Decoder(), [], 0
    for cut in [*sorted(min(cut, len(line)) for cut in cuts), len(line)]:
        received += decoder.feed(line[last:cut])
        last = cut
    assert received == sent
    assert decoder.pending == b""


@given(st.binary(max_size=2000), frames)
def test_garbage_never_hides_the_frame_behind_the_next_zero(garbage: bytes, frame: Frame) -> None:
    events = Decoder().feed(garbage + b"\0" + encode(frame))
    assert events[-1] == frame


@given(st.binary(max_size=700))
def test_no_bytes_raise_anything_but_frame_error(stuffed: bytes) -> None:
    try:
        frame = decode(stuffed)
    except FrameError:
        return
    assert decode(encode(frame)[:-1]) == frame


@given(st.integers(0, 255), st.binary(max_size=80))
def test_no_payload_with_a_right_crc_raises_anything_but_frame_error(
    kind: int, payload: bytes
) -> None:
    try:
        frame = decode(frame_of(bytes([kind, 1, 0]) + payload))
    except FrameError:
        return
    assert frame.message.type == kind


@given(frames, st.data())
def test_a_flipped_bit_is_noticed(frame: Frame, data: st.DataObject) -> None:
    stuffed = bytearray(encode(frame)[:-1])
    at = data.draw(st.integers(0, len(stuffed) - 1))
    stuffed[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(FrameError):
        decode(bytes(stuffed))


def test_pending_is_what_came_since_the_last_zero() -> None:
    decoder = Decoder()
    assert list(decoder.feed(encode(Frame(1, wire.Prepared())) + b"\x05ab")) == [
        Frame(1, wire.Prepared())
    ]
    assert decoder.pending == b"\x05ab"


def test_an_endless_line_is_cut_off_and_reported_once() -> None:
    decoder = Decoder()
    assert list(decoder.feed(b"U" * 5000)) == []
    assert len(decoder.pending) == wire.STUFFED_MAX
    (error,) = decoder.feed(b"U\0")
    assert isinstance(error, FrameError)
    assert "is too long (expected at most 522 bytes before a zero)" in str(error)


HEAD = struct.pack("<B16s16sIBBI", 2, bytes(16), bytes(16), 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("stuffed", "complaint"),
    [
        (b"\x05ab", "is not COBS: not enough input bytes"),
        (cobs.encode(b"abcdef"), "is too short (expected at least 7 bytes, got 6)"),
        (cobs.encode(bytes(7)), "has a wrong CRC (expected ff41d912, got 00000000)"),
        (b"\x01" * 523, "is too long (expected at most 522 bytes)"),
        (
            frame_of(b"\x85\x01\x00" + bytes(513)),  # found by bench/wire_fuzz
            "is too long (expected at most 519 bytes unstuffed, got 520)",
        ),
        (frame_of(b"\x33\x01\x00"), "has the unknown type 0x33"),
        (frame_of(b"\x02\x01\x00"), "of type 0x02 has a bad payload: unpack requires"),
        (frame_of(b"\x82\x01\x00x"), "has a bad payload: 1 bytes where none belong"),
        (frame_of(b"\x01\x01\x00x"), "has a bad payload: a nonce has 16 bytes, not 1"),
        (frame_of(b"\x04\x01\x00\x82"), "has a bad payload: unknown flags 0x82"),
        (frame_of(b"\x84\x01\x00" + bytes(16) + b"\x02"), "bad payload: guard_intact is 2"),
        (frame_of(b"\x87\x01\x00" + bytes(3)), "bad payload: unpack requires a buffer of 4"),
        (frame_of(b"\x81\x01\x00\x09" + HEAD[1:]), "protocol 9, this harness speaks 2"),
        (frame_of(b"\x81\x01\x00" + HEAD), "index out of range"),
        (frame_of(b"\x81\x01\x00" + HEAD[:-5] + b"\x08" + bytes(12)), "unknown caches 0x08"),
        (frame_of(b"\x81\x01\x00" + HEAD + bytes(4) + b"\x05ab"), "a string runs over the end"),
        (frame_of(b"\x81\x01\x00" + HEAD + bytes(9)), "1 bytes too many"),
        (frame_of(b"\x81\x01\x00" + HEAD + bytes(4) + b"\x01\xff\0\0\0"), "can't decode byte"),
    ],
)
def test_a_bad_frame_is_named(stuffed: bytes, complaint: str) -> None:
    with pytest.raises(FrameError) as caught:
        decode(stuffed)
    assert complaint in str(caught.value)
    assert f"frame of {len(stuffed)} bytes [{stuffed[:3].hex(' ')}" in str(caught.value)


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (wire.WriteInput(0, 0, bytes(508)), "WriteInput is too long for a frame"),
        (wire.Prepare(256), "Prepare cannot be encoded"),
        (wire.ConditionsRead(-0x8000, 3300), "-32768 stands for what is not known"),
        (wire.ConditionsRead(2500, 0), "0 stands for what is not known"),
        (wire.Boot(make_message("Greeting", VECTORS[1]["fields"] | {"nonce": "00"})), "16 bytes"),
    ],
)
def test_a_message_that_fits_no_frame_is_refused(message: Any, complaint: str) -> None:
    with pytest.raises(FrameError, match=complaint):
        encode(Frame(1, message))


def test_messages_are_values() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        wire.Prepare(1).pattern = 2  # type: ignore[misc]
