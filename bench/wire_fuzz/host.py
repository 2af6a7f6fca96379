"""What can the line do to the harness? atheris on harness.wire and harness.link: a script with
libFuzzer's options, to be run with a `harness` package on the path, not imported. Each input is a
line, twice: as bytes for the decoder, and as a request with what a unit answers.

The promises: no bytes raise anything that is not documented; how the line is cut does not matter;
what the decoder keeps is bounded; a frame that is read is one with a right CRC, and is written the
same; a request ends in its reply or a documented error, by its deadline.
"""

from __future__ import annotations

import random
import sys
import zlib
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace

import atheris
from cobs import cobs

with atheris.instrument_imports(include=["harness"]):
    from harness import link, wire
    from harness.errors import (
        BoardError,
        FirmwareFaultError,
        FrameError,
        LinkError,
        RequestRefusedError,
    )

_DEADLINE_S = 0.5
_READ_S = 0.05  # what a read that gets nothing waits
_REQUESTS = 3  # on one link, each with what the earlier ones left
_DOCUMENTED = (LinkError, RequestRefusedError, FirmwareFaultError, BoardError)
_BODY_MIN, _BODY_MAX = 7, 3 + wire.PAYLOAD_MAX + 4  # type, sequence, payload, CRC


class _Line:
    """Plays the serial port and the clock: bytes come at once, in pieces, then never again."""

    now = 0.0
    arriving: deque[bytes] = deque()

    def __init__(self, *_: object, **__: object) -> None:
        pass

    @property
    def in_waiting(self) -> int:
        return len(_Line.arriving[0]) if _Line.arriving else 0

    def read(self, size: int) -> bytes:
        if not _Line.arriving:
            _Line.now += _READ_S
            return b""
        piece = _Line.arriving.popleft()
        if len(piece) > size:
            _Line.arriving.appendleft(piece[size:])
        return piece[:size]

    def write(self, data: bytes) -> int:
        return len(data)

    def close(self) -> None:
        pass


link.Port = _Line
link.time = SimpleNamespace(monotonic=lambda: _Line.now)


def test_line(data: bytes) -> None:
    chance = random.Random(zlib.crc32(data))
    _check_decoder(data, chance)
    _check_link(data, chance)


def _check_decoder(data: bytes, chance: random.Random) -> None:
    whole = wire.Decoder()
    events = whole.feed(data)
    cut, found = wire.Decoder(), []
    for piece in _pieces(data, chance):
        found += cut.feed(piece)
        assert len(cut.pending) <= wire.STUFFED_MAX, "the decoder keeps more than a frame"
    assert [str(event) for event in found] == [str(event) for event in events], (
        "the frames depend on where the line is cut"
    )
    assert cut.pending == whole.pending
    pieces = [piece for piece in data.split(b"\0")[:-1] if piece]
    assert len(pieces) == len(events), "not every piece is a frame or an error"
    for piece, event in zip(pieces, events, strict=True):
        if not isinstance(event, FrameError):
            _check_frame(piece, event)


def _check_frame(stuffed: bytes, frame: wire.Frame) -> None:
    raw = cobs.decode(stuffed)
    assert _BODY_MIN <= len(raw) <= _BODY_MAX, "a frame of no allowed length was taken"
    assert zlib.crc32(raw[:-4]).to_bytes(4, "little") == raw[-4:], "a wrong CRC was taken"
    if isinstance(frame.message, wire.Log) and frame.message.text.encode() != raw[3:-4]:
        return  # bytes that are no UTF-8 are shown, and not sent on
    written = wire.encode(frame)
    assert cobs.decode(written[:-1]) == raw, "a frame is not written as it was read"
    assert wire.decode(written[:-1]) == frame, "a frame does not survive the trip"


def _check_link(data: bytes, chance: random.Random) -> None:
    asked, _, answers = data.partition(b"\0")
    try:
        request = wire.decode(asked).message
    except FrameError:
        return
    _Line.now = 0.0
    _Line.arriving = deque(_pieces(answers, chance))
    with link.Link("the fuzzer", 115200) as opened:
        if not isinstance(request, wire.Request):
            _ends(lambda: opened.await_boot(_DEADLINE_S))
            return
        for _ in range(_REQUESTS):
            reply = _ends(lambda: opened.request(request, deadline_s=_DEADLINE_S))
            assert reply is None or reply.type == request.type | 0x80, (
                f"{request} was answered with {reply}"
            )


def _ends(do: Callable[[], object]) -> object:
    """What `do` returns, or None after an error that it may raise; by its deadline."""
    began, reply = _Line.now, None
    try:
        reply = do()
    except _DOCUMENTED as error:
        str(error)
    # In each of at most three attempts a read may end behind its share, and a last look follows.
    late_s = _Line.now - began - _DEADLINE_S
    assert late_s <= 3 * 2 * _READ_S + 1e-6, "it went on behind its deadline"
    return reply


def _pieces(data: bytes, chance: random.Random) -> list[bytes]:
    pieces, at = [], 0
    while at < len(data):
        size = chance.choice((1, 2, 7, 64, 523, 4096))
        pieces.append(data[at : at + size])
        at += size
    return pieces


def change(data: bytes, longest: int, seed: int) -> bytes:
    """Mostly a change inside a frame, which is closed anew with the right CRC; see
    target/mutate.c."""
    chance = random.Random(seed)
    pieces = data.split(b"\0")
    at = chance.randrange(len(pieces))
    match chance.randrange(8):
        case 0 | 1:
            return atheris.Mutate(data, longest)
        case 2:
            pieces.insert(chance.randrange(len(pieces)), pieces[at])
        case 3:
            del pieces[at]
        case _:
            pieces[at] = _reframed(pieces[at], chance)
            if at == len(pieces) - 1:
                pieces.append(b"")  # a zero closes it
    changed = b"\0".join(pieces)
    return changed if len(changed) <= longest else data


def _reframed(stuffed: bytes, chance: random.Random) -> bytes:
    try:
        body = cobs.decode(stuffed)[:-4]
    except cobs.DecodeError:
        body = b""
    if len(body) < 3:
        body = bytes([chance.choice(list(wire._READERS)), 1, 0])
    head, payload = body[:3], body[3:]
    match chance.randrange(8):
        case 0:
            head = bytes([chance.choice(list(wire._READERS))]) + head[1:]
        case 1:  # around the longest that is allowed
            length = wire.PAYLOAD_MAX - 8 + chance.randrange(16)
            payload = (payload + chance.randbytes(length))[:length]
        case 2:  # the numbers that a link gives its first requests
            head = head[:1] + chance.randint(0, _REQUESTS).to_bytes(2, "little")
        case _:
            payload = atheris.Mutate(payload, 2 * wire.PAYLOAD_MAX)
    body = head + payload
    closed: bytes = cobs.encode(body + zlib.crc32(body).to_bytes(4, "little"))
    return closed


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_line, custom_mutator=change)
    atheris.Fuzz()
