"""What do the fuzzers start from? The golden frames, each alone, and sessions as a measurement has
them, all written by harness.wire itself."""

from __future__ import annotations

from harness import wire
from harness.wire import Frame, encode
from tests.harness.test_wire import VECTORS, make_message

_LONG_INPUT, _LONG_OUTPUT = 601, 700  # bytes of target/engine.c's second tensors


def lines() -> dict[str, bytes]:
    """For the firmware, and for the decoder of the host; by name."""
    golden = {vector["name"]: _encoded(vector["sequence"], _message(vector)) for vector in VECTORS}
    greeted = b"".join(golden[each["name"]] for each in VECTORS if each["kind"] == "Hello")
    return golden | {
        "a session": greeted + _session(profile=False),
        "a profiled session": greeted + _session(profile=True),
        "two sessions": _session(profile=False) + b"\0" + _session(profile=True),
        "an engine that fails": _failing_run(),
        "a reset that fails": _failing_reset(),
        "no frames": b"\0\xff\0" + bytes(range(1, 256)) * 3 + b"\0",
    }


def answers() -> dict[str, bytes]:
    """For a link: each request with each message as the reply to it and to the next; by name."""
    golden = {vector["kind"]: _message(vector) for vector in VECTORS}
    return {
        f"{asked}, then {answered}": _encoded(0, request) + _line(reply, reply)
        for asked, request in golden.items()
        if isinstance(request, wire.Request)
        for answered, reply in golden.items()
    }


def _message(vector: dict[str, object]) -> wire.Message:
    return make_message(vector["kind"], vector["fields"])


def _encoded(sequence: int, message: wire.Message) -> bytes:
    return encode(Frame(sequence, message))


def _line(*messages: wire.Message) -> bytes:
    return b"".join(_encoded(number, message) for number, message in enumerate(messages, 1))


def _session(*, profile: bool) -> bytes:
    rest = _LONG_INPUT - wire.CHUNK_MAX
    return _line(
        wire.Prepare(0xA5),
        wire.WriteInput(0, 0, bytes(37)),
        wire.WriteInput(1, 0, b"\x5a" * wire.CHUNK_MAX),
        wire.WriteInput(1, wire.CHUNK_MAX, b"\xff" * rest),
        wire.Run(profile),
        wire.ReadOutput(0, 0, 10),
        wire.ReadOutput(1, 0, wire.CHUNK_MAX),
        wire.ReadOutput(1, wire.CHUNK_MAX, _LONG_OUTPUT - wire.CHUNK_MAX),
        wire.ReadConditions(),
        wire.ReadCycles(),
    )


def _failing_run() -> bytes:
    return _line(wire.Prepare(0), wire.WriteInput(0, 0, b"\x07"), wire.Run(True))


def _failing_reset() -> bytes:
    fails = (wire.Prepare(0), wire.WriteInput(0, 1, b"\x07"), wire.Prepare(1), wire.Run(False))
    return _line(*fails, wire.WriteInput(0, 0, b"\x01"))
