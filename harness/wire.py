"""How do messages become bytes, and bytes messages? docs/architecture.md, "The wire". Pure: knows
no port and no time. firmware/app/wire.c and serve.c are the other side; tests/wire_vectors.json
binds the two.

A frame is COBS(type u8, sequence u16, payload, crc32 u32) and a zero byte, little-endian.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag
from typing import ClassVar

from cobs import cobs

from harness.errors import FrameError

PROTOCOL = 2
NONCE_BYTES = 16
PAYLOAD_MAX = 512
CHUNK_MAX = PAYLOAD_MAX - 5  # WRITE_INPUT and OutputChunk: tensor u8 and offset u32 come first
_HEADER = struct.Struct("<BH")
_CRC = struct.Struct("<I")
_FRAME_MAX = _HEADER.size + PAYLOAD_MAX + _CRC.size
STUFFED_MAX = _FRAME_MAX + _FRAME_MAX // 254 + 1  # bytes on the line, without the closing zero

FAULT_KINDS = {
    1: "HardFault",
    2: "MemManage",
    3: "BusFault",
    4: "UsageFault",
    5: "stack overflow",
    6: "unexpected exception",
}
REFUSALS = {
    1: "unknown request type",
    2: "bad length",
    3: "out of range",
    4: "the engine failed",
    5: "not prepared",
}


class FlashCaches(IntFlag):
    """What of a chip's flash accelerator is switched on."""

    PREFETCH = 1
    INSTRUCTION = 2
    DATA = 4


_ALL_CACHES = FlashCaches.PREFETCH | FlashCaches.INSTRUCTION | FlashCaches.DATA


@dataclass(frozen=True)
class Hello:
    """Asks who is there. session: NONCE_BYTES that the greeting is to echo."""

    type: ClassVar[int] = 0x01
    session: bytes


@dataclass(frozen=True)
class Greeting:
    """Board, engine, memory and tensors of the image; sizes in bytes. nonce: the build's. session:
    of the last Hello, zeros before the first. sysclk_hz (hertz), flash_wait_states and caches as
    the chip's registers have them; sysclk_hz is 0 where they do not tell."""

    type: ClassVar[int] = 0x81
    nonce: bytes
    session: bytes
    sysclk_hz: int
    flash_wait_states: int
    caches: FlashCaches
    arena_bytes: int
    input_bytes: tuple[int, ...]
    output_bytes: tuple[int, ...]
    layers: int
    board: str
    engine: str
    engine_version: str
    kernels: str
    protocol: int = PROTOCOL


@dataclass(frozen=True)
class Boot:
    """Sent once after reset; carries the greeting."""

    type: ClassVar[int] = 0xC0
    greeting: Greeting


@dataclass(frozen=True)
class Prepare:
    """Paint the free stack and the arena with `pattern`, 0 to 255."""

    type: ClassVar[int] = 0x02
    pattern: int


@dataclass(frozen=True)
class Prepared:
    type: ClassVar[int] = 0x82


@dataclass(frozen=True)
class WriteInput:
    """At most CHUNK_MAX bytes of input tensor `tensor`, from byte `offset`."""

    type: ClassVar[int] = 0x03
    tensor: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class InputWritten:
    type: ClassVar[int] = 0x83


@dataclass(frozen=True)
class Run:
    """One inference; with `profile` each operator reports with a LayerDone first."""

    type: ClassVar[int] = 0x04
    profile: bool


@dataclass(frozen=True)
class RunDone:
    type: ClassVar[int] = 0x84
    cycles: int
    arena_used_bytes: int
    stack_used_bytes: int
    guard_intact: bool


@dataclass(frozen=True)
class ReadOutput:
    """At most CHUNK_MAX bytes of output tensor `tensor`, from byte `offset`."""

    type: ClassVar[int] = 0x05
    tensor: int
    offset: int
    length: int


@dataclass(frozen=True)
class OutputChunk:
    type: ClassVar[int] = 0x85
    tensor: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Provoke:
    """Raise the fault `kind` (a key of FAULT_KINDS); only images built for tests know it."""

    type: ClassVar[int] = 0x06
    kind: int


@dataclass(frozen=True)
class Provoked:
    """The fault did not come."""

    type: ClassVar[int] = 0x86


@dataclass(frozen=True)
class ReadConditions:
    """What do the chip's own sensors say?"""

    type: ClassVar[int] = 0x07


@dataclass(frozen=True)
class ConditionsRead:
    """temperature: of the die, hundredths of a degree Celsius; vdd_mv: the supply, millivolts;
    None where the chip cannot tell."""

    type: ClassVar[int] = 0x87
    temperature: int | None
    vdd_mv: int | None


@dataclass(frozen=True)
class ReadCycles:
    """How far has the core's counter of cycles counted?"""

    type: ClassVar[int] = 0x08


@dataclass(frozen=True)
class CyclesRead:
    """cycles: of the core, modulo 2^32."""

    type: ClassVar[int] = 0x88
    cycles: int


@dataclass(frozen=True)
class LayerDone:
    """Operator `index` of a profiled run took `cycles`."""

    type: ClassVar[int] = 0xC1
    index: int
    cycles: int


@dataclass(frozen=True)
class Log:
    """What the engine says of a failure, at most PAYLOAD_MAX bytes, before the unit answers."""

    type: ClassVar[int] = 0xC2
    text: str


@dataclass(frozen=True)
class Fault:
    """The unit met fault `kind` and waits for a reset. pc, lr, psr are 0 when the core could not
    stack them."""

    type: ClassVar[int] = 0xE0
    kind: int
    pc: int
    lr: int
    psr: int
    cfsr: int
    hfsr: int
    mmfar: int
    bfar: int
    sp: int


@dataclass(frozen=True)
class Refused:
    """The request of type `request_type` was refused with `code` (a key of REFUSALS)."""

    type: ClassVar[int] = 0xE1
    code: int
    request_type: int
    detail: int


Request = Hello | Prepare | WriteInput | Run | ReadOutput | Provoke | ReadConditions | ReadCycles
Message = (
    Request
    | Greeting
    | Boot
    | Prepared
    | InputWritten
    | RunDone
    | OutputChunk
    | Provoked
    | ConditionsRead
    | CyclesRead
    | LayerDone
    | Log
    | Fault
    | Refused
)


@dataclass(frozen=True)
class Frame:
    """A message and the sequence number it travels with, 0 to 65535."""

    sequence: int
    message: Message


_GREETING_HEAD = struct.Struct("<B16s16sIBBI")
_PLACE = struct.Struct("<BI")
_READ = struct.Struct("<BIH")
_RUN_DONE = struct.Struct("<QIIB")
_CONDITIONS = struct.Struct("<hH")
_CYCLES = struct.Struct("<I")
_LAYER = struct.Struct("<HQ")
_FAULT = struct.Struct("<B8I")
_REFUSED = struct.Struct("<BBI")
_RUN_PROFILE = 1
_TEMPERATURE_UNKNOWN = -0x8000
_VDD_UNKNOWN = 0


def encode(frame: Frame) -> bytes:
    """The bytes of `frame`, closing zero included.

    Raises:
        FrameError: a field does not fit its place, or the payload exceeds PAYLOAD_MAX bytes.
    """
    message = frame.message
    try:
        payload = _payload_of(message)
        body = _HEADER.pack(message.type, frame.sequence) + payload
    except (struct.error, ValueError) as error:
        raise FrameError(
            f"{type(message).__name__} cannot be encoded: {error}", got=repr(message)[:120]
        ) from None
    if len(payload) > PAYLOAD_MAX:
        raise FrameError(
            f"{type(message).__name__} is too long for a frame",
            expected=f"at most {PAYLOAD_MAX} bytes of payload",
            got=len(payload),
            hint="send it in chunks",
        )
    stuffed: bytes = cobs.encode(body + _CRC.pack(zlib.crc32(body)))
    return stuffed + b"\0"


def decode(stuffed: bytes) -> Frame:
    """The frame in `stuffed`, the bytes between two zeros.

    Raises:
        FrameError: COBS, CRC, type, length or a field is wrong.
    """
    if len(stuffed) > STUFFED_MAX:
        raise _bad_frame("is too long", stuffed, expected=f"at most {STUFFED_MAX} bytes")
    try:
        raw = cobs.decode(stuffed)
    except cobs.DecodeError as error:
        raise _bad_frame(f"is not COBS: {error}", stuffed) from None
    if len(raw) < _HEADER.size + _CRC.size:
        raise _bad_frame("is too short", stuffed, expected="at least 7 bytes", got=len(raw))
    if len(raw) > _FRAME_MAX:  # STUFFED_MAX bytes can hold two more where zeros abound
        raise _bad_frame(
            "is too long", stuffed, expected=f"at most {_FRAME_MAX} bytes unstuffed", got=len(raw)
        )
    body, (crc,) = raw[: -_CRC.size], _CRC.unpack(raw[-_CRC.size :])
    if zlib.crc32(body) != crc:
        raise _bad_frame(
            "has a wrong CRC", stuffed, expected=f"{zlib.crc32(body):08x}", got=f"{crc:08x}"
        )
    kind, sequence = _HEADER.unpack_from(body)
    reader = _READERS.get(kind)
    if reader is None:
        raise _bad_frame(f"has the unknown type 0x{kind:02x}", stuffed)
    try:
        return Frame(sequence, reader(body[_HEADER.size :]))
    except (struct.error, ValueError, IndexError) as error:
        raise _bad_frame(f"of type 0x{kind:02x} has a bad payload: {error}", stuffed) from None


class Decoder:
    """Turns chunks of bytes, cut anywhere, into frames; after garbage it goes on behind the next
    zero byte. `pending` is what arrived since then."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._overlong = False

    @property
    def pending(self) -> bytes:
        return bytes(self._buffer)

    def feed(self, chunk: bytes) -> list[Frame | FrameError]:
        """Frames in order of arrival; a FrameError (not raised) for each piece that is none."""
        events: list[Frame | FrameError] = []
        *ended, rest = chunk.split(b"\0")
        for part in ended:
            self._keep(part)
            if (event := self._take()) is not None:
                events.append(event)
        self._keep(rest)
        return events

    def _take(self) -> Frame | FrameError | None:
        stuffed, overlong = bytes(self._buffer), self._overlong
        self._buffer.clear()
        self._overlong = False
        if overlong:
            limit = f"at most {STUFFED_MAX} bytes before a zero"
            return _bad_frame("is too long", stuffed, expected=limit)
        if not stuffed:  # two zeros in a row are a break, not a frame
            return None
        try:
            return decode(stuffed)
        except FrameError as error:
            return error

    def _keep(self, part: bytes) -> None:
        room = STUFFED_MAX - len(self._buffer)
        self._buffer += part[:room]
        self._overlong = self._overlong or len(part) > room


def _bad_frame(
    what: str, stuffed: bytes, *, expected: object = None, got: object = None
) -> FrameError:
    shown = stuffed[:16].hex(" ") + (" ..." if len(stuffed) > 16 else "")
    return FrameError(
        f"frame of {len(stuffed)} bytes [{shown}] {what}", expected=expected, got=got
    )


def _payload_of(message: Message) -> bytes:
    match message:
        case Greeting():
            return _write_greeting(message)
        case Boot(greeting):
            return _write_greeting(greeting)
        case Prepare(value) | Provoke(value):
            return struct.pack("<B", value)
        case WriteInput(tensor, offset, data) | OutputChunk(tensor, offset, data):
            return _PLACE.pack(tensor, offset) + data
        case Run(profile):
            return struct.pack("<B", _RUN_PROFILE if profile else 0)
        case RunDone():
            return _RUN_DONE.pack(
                message.cycles,
                message.arena_used_bytes,
                message.stack_used_bytes,
                message.guard_intact,
            )
        case ReadOutput(tensor, offset, length):
            return _READ.pack(tensor, offset, length)
        case ConditionsRead(temperature, vdd_mv):
            return _CONDITIONS.pack(
                _known(temperature, _TEMPERATURE_UNKNOWN), _known(vdd_mv, _VDD_UNKNOWN)
            )
        case CyclesRead(cycles):
            return _CYCLES.pack(cycles)
        case LayerDone(index, cycles):
            return _LAYER.pack(index, cycles)
        case Log(text):
            return text.encode()
        case Fault(kind, pc, lr, psr, cfsr, hfsr, mmfar, bfar, sp):
            return _FAULT.pack(kind, pc, lr, psr, cfsr, hfsr, mmfar, bfar, sp)
        case Refused(code, request_type, detail):
            return _REFUSED.pack(code, request_type, detail)
        case Hello(session):
            return _nonce(session)
        case Prepared() | InputWritten() | Provoked() | ReadConditions() | ReadCycles():
            return b""


def _write_greeting(greeting: Greeting) -> bytes:
    parts = [
        _GREETING_HEAD.pack(
            greeting.protocol,
            _nonce(greeting.nonce),
            _nonce(greeting.session),
            greeting.sysclk_hz,
            greeting.flash_wait_states,
            greeting.caches,
            greeting.arena_bytes,
        )
    ]
    for sizes in (greeting.input_bytes, greeting.output_bytes):
        parts.append(struct.pack(f"<B{len(sizes)}I", len(sizes), *sizes))
    parts.append(struct.pack("<H", greeting.layers))
    for text in (greeting.board, greeting.engine, greeting.engine_version, greeting.kernels):
        coded = text.encode()
        parts.append(struct.pack("<B", len(coded)) + coded)
    return b"".join(parts)


def _read_greeting(payload: bytes) -> Greeting:
    if payload[0] != PROTOCOL:
        raise ValueError(f"protocol {payload[0]}, this harness speaks {PROTOCOL}")
    _, nonce, session, sysclk_hz, wait_states, caches, arena_bytes = _GREETING_HEAD.unpack_from(
        payload
    )
    at = _GREETING_HEAD.size
    sizes: list[tuple[int, ...]] = []
    for _ in range(2):
        sizes.append(struct.unpack_from(f"<{payload[at]}I", payload, at + 1))
        at += 1 + 4 * payload[at]
    (layers,) = struct.unpack_from("<H", payload, at)
    at += 2
    texts: list[str] = []
    for _ in range(4):
        end = at + 1 + payload[at]
        if end > len(payload):
            raise ValueError("a string runs over the end")
        texts.append(payload[at + 1 : end].decode())
        at = end
    if at != len(payload):
        raise ValueError(f"{len(payload) - at} bytes too many")
    board, engine, engine_version, kernels = texts
    return Greeting(
        nonce=nonce,
        session=session,
        sysclk_hz=sysclk_hz,
        flash_wait_states=wait_states,
        caches=_read_caches(caches),
        arena_bytes=arena_bytes,
        input_bytes=sizes[0],
        output_bytes=sizes[1],
        layers=layers,
        board=board,
        engine=engine,
        engine_version=engine_version,
        kernels=kernels,
    )


def _nonce(value: bytes) -> bytes:
    if len(value) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes, not {len(value)}")
    return value


def _read_caches(bits: int) -> FlashCaches:
    if bits & ~int(_ALL_CACHES):  # ~ of a flag knows its own bits only
        raise ValueError(f"unknown caches 0x{bits:02x}")
    return FlashCaches(bits)


def _read_run(payload: bytes) -> Run:
    (flags,) = struct.unpack("<B", payload)
    if flags & ~_RUN_PROFILE:
        raise ValueError(f"unknown flags 0x{flags:02x}")
    return Run(bool(flags))


def _known(value: int | None, unknown: int) -> int:
    if value == unknown:
        raise ValueError(f"{unknown} stands for what is not known")
    return unknown if value is None else value


def _read_conditions(payload: bytes) -> ConditionsRead:
    temperature, vdd_mv = _CONDITIONS.unpack(payload)
    return ConditionsRead(
        None if temperature == _TEMPERATURE_UNKNOWN else temperature,
        None if vdd_mv == _VDD_UNKNOWN else vdd_mv,
    )


def _read_run_done(payload: bytes) -> RunDone:
    cycles, arena, stack, guard = _RUN_DONE.unpack(payload)
    if guard > 1:
        raise ValueError(f"guard_intact is {guard}")
    return RunDone(cycles, arena, stack, bool(guard))


def _read_empty(make: Callable[[], Message]) -> Callable[[bytes], Message]:
    def read(payload: bytes) -> Message:
        if payload:
            raise ValueError(f"{len(payload)} bytes where none belong")
        return make()

    return read


def _read_chunk(
    make: Callable[[int, int, bytes], Message],
) -> Callable[[bytes], Message]:
    def read(payload: bytes) -> Message:
        tensor, offset = _PLACE.unpack_from(payload)
        return make(tensor, offset, payload[_PLACE.size :])

    return read


_READERS: dict[int, Callable[[bytes], Message]] = {
    Hello.type: lambda payload: Hello(_nonce(payload)),
    Greeting.type: _read_greeting,
    Boot.type: lambda payload: Boot(_read_greeting(payload)),
    Prepare.type: lambda payload: Prepare(*struct.unpack("<B", payload)),
    Prepared.type: _read_empty(Prepared),
    WriteInput.type: _read_chunk(WriteInput),
    InputWritten.type: _read_empty(InputWritten),
    Run.type: _read_run,
    RunDone.type: _read_run_done,
    ReadOutput.type: lambda payload: ReadOutput(*_READ.unpack(payload)),
    OutputChunk.type: _read_chunk(OutputChunk),
    Provoke.type: lambda payload: Provoke(*struct.unpack("<B", payload)),
    Provoked.type: _read_empty(Provoked),
    ReadConditions.type: _read_empty(ReadConditions),
    ConditionsRead.type: _read_conditions,
    ReadCycles.type: _read_empty(ReadCycles),
    CyclesRead.type: lambda payload: CyclesRead(*_CYCLES.unpack(payload)),
    LayerDone.type: lambda payload: LayerDone(*_LAYER.unpack(payload)),
    Log.type: lambda payload: Log(payload.decode(errors="replace")),
    Fault.type: lambda payload: Fault(*_FAULT.unpack(payload)),
    Refused.type: lambda payload: Refused(*_REFUSED.unpack(payload)),
}
