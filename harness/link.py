"""How are requests answered over a serial port? Sequence numbers, deadlines, retries, and what
each silence or noise is called. Knows no images, no boards.
"""

from __future__ import annotations

import termios
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import serial

from harness import wire
from harness.errors import (
    BoardError,
    FirmwareFaultError,
    FrameError,
    LinkError,
    NoReplyError,
    RequestRefusedError,
)
from harness.port import POLL_S, Port

_NOISE_MAX = 8192  # bytes without one good frame; a board's boot loader may chatter a little
_ATTEMPTS = 3
_SHOWN_BYTES = 32
_TRANSCRIPT_MAX = 1 << 18
_SAID_MAX = 3  # of what the engine said of a failure: the last words tell most
# A second copy of these does no harm; a second Run is not answered.
_IDEMPOTENT = (
    *(wire.Hello, wire.Prepare, wire.WriteInput, wire.ReadOutput),
    *(wire.ReadConditions, wire.ReadCycles),
)


class Deadline:
    """A point in time that every wait of one operation shares."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def expired(self) -> bool:
        return time.monotonic() >= self._end


@dataclass(frozen=True)
class Crossing:
    """Bytes that crossed the line: `sent` to the unit or received from it."""

    at_s: float
    sent: bool
    data: bytes

    def __str__(self) -> str:
        return f"{self.at_s:10.4f} {'->' if self.sent else '<-'} {self.data.hex(' ')}"


class Transcript:
    """The last bytes in both directions, bounded in memory, whole in `file` when there is one."""

    def __init__(self, file: BinaryIO | None = None) -> None:
        self._crossings: deque[Crossing] = deque()
        self._bytes = 0
        self._file = file
        self._start = time.monotonic()

    def add(self, data: bytes, *, sent: bool) -> None:
        crossing = Crossing(time.monotonic() - self._start, sent, data)
        self._crossings.append(crossing)
        self._bytes += len(data)
        while self._bytes > _TRANSCRIPT_MAX and len(self._crossings) > 1:
            self._bytes -= len(self._crossings.popleft().data)
        if self._file is not None:
            self._file.write(f"{crossing}\n".encode())
            self._file.flush()

    def received(self, count: int) -> bytes:
        """The last `count` bytes the unit sent."""
        tail = b""
        for crossing in reversed(self._crossings):
            if not crossing.sent:
                tail = crossing.data + tail
            if len(tail) >= count:
                break
        return tail[-count:]

    def __str__(self) -> str:
        return "\n".join(map(str, self._crossings))


class Link:
    """An open serial port with a unit behind it; a context manager.

    `transcript` keeps what crossed the line; `find_function`, when set, turns a faulting pc into
    `function+0x12`. `write_s`: how long the line may take to accept a request, in seconds.

    Raises:
        LinkError: the port, or the file `log`, cannot be opened.
    """

    def __init__(
        self, port: str, baud: int, *, log: Path | None = None, write_s: float = 10.0
    ) -> None:
        self.port = port
        self.find_function: Callable[[int], str | None] | None = None
        self._sequence = 0
        self._decoder = wire.Decoder()
        self._noise = 0
        self._last_error: FrameError | None = None
        self._ready: deque[wire.Frame] = deque()
        self._said: deque[str] = deque(maxlen=_SAID_MAX)
        try:
            self._log_file = log.open("ab") if log is not None else None
        except OSError as error:
            raise LinkError(f"the log cannot be written: {error.strerror}", where=log) from None
        try:
            self._serial = Port(port, baud, timeout=POLL_S, write_timeout=write_s, exclusive=True)
        except (OSError, ValueError, termios.error) as error:  # SerialException is an OSError
            if self._log_file is not None:
                self._log_file.close()
            raise LinkError(
                f"serial port cannot be opened: {error}",
                where=port,
                hint="is the board plugged in, may you use the port (group dialout), "
                "does nobody else?",
            ) from None
        self.transcript = Transcript(self._log_file)

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._serial.close()
        if self._log_file is not None:
            self._log_file.close()

    def discard(self) -> None:
        """Forget what has arrived so far: before a reset."""
        try:
            self._serial.reset_input_buffer()
        except (OSError, termios.error) as error:
            raise self._broken(error) from None
        self._decoder = wire.Decoder()
        self._ready.clear()
        self._noise = 0

    def await_boot(self, deadline_s: float) -> wire.Greeting:
        """The greeting a unit sends after its reset.

        Raises:
            RequestRefusedError: the greeting fits no frame.
            NoReplyError, FrameError, FirmwareFaultError, LinkError: as request().
        """
        awaited, deadline = "Boot after a reset", Deadline(deadline_s)
        while True:
            frame = self._receive(deadline, awaited)
            if frame is None:
                raise self._no_reply(awaited, deadline_s)
            if isinstance(frame.message, wire.Fault):
                raise self._fault(frame.message, "starting")
            if isinstance(frame.message, wire.Boot):
                return frame.message.greeting
            if frame.sequence == 0 and isinstance(frame.message, wire.Refused):
                raise self._refusal(frame.message, "to introduce itself")

    def request(
        self,
        message: wire.Request,
        *,
        deadline_s: float,
        on_layer: Callable[[wire.LayerDone], None] | None = None,
    ) -> wire.Message:
        """Send `message` and return its reply. Requests that may safely arrive twice are sent up
        to three times within `deadline_s`, with one sequence number. `on_layer` gets the layers
        of a profiled Run as they come.

        Raises:
            NoReplyError: nothing, or half a frame, before the deadline.
            FrameError: noise beyond what a line may carry, or a reply of the wrong type.
            RequestRefusedError: the unit answered with a refusal.
            FirmwareFaultError: the unit met a fault.
            BoardError: the unit restarted instead of answering.
            LinkError: the port is gone.
        """
        self._sequence = self._sequence % 0xFFFF + 1
        # The zero ends whatever the line still holds, so that this frame is read for itself.
        data = b"\0" + wire.encode(wire.Frame(self._sequence, message))
        attempts = _ATTEMPTS if isinstance(message, _IDEMPOTENT) else 1
        awaited = f"the reply to {type(message).__name__}"
        self._said.clear()
        for _ in range(attempts):
            self.write(data)
            deadline = Deadline(deadline_s / attempts)
            while (frame := self._receive(deadline, awaited)) is not None:
                reply = self._judge(frame, message, on_layer)
                if reply is not None:
                    return reply
        raise self._no_reply(awaited, deadline_s, attempts)

    def _judge(
        self,
        frame: wire.Frame,
        request: wire.Request,
        on_layer: Callable[[wire.LayerDone], None] | None,
    ) -> wire.Message | None:
        """The reply, or None for a frame to pass over."""
        name, message = type(request).__name__, frame.message
        if isinstance(message, wire.Fault):
            raise self._fault(message, f"serving {name}")
        if isinstance(message, wire.Boot):
            if isinstance(request, wire.Hello):
                return None  # it restarted before it was asked
            raise BoardError(
                f"the unit restarted instead of answering {name}",
                where=self.port,
                hint="check its power supply and whether another program resets it",
            )
        if frame.sequence != self._sequence:
            return None  # late reply to an earlier attempt
        if isinstance(message, wire.LayerDone):
            if on_layer is not None:
                on_layer(message)
            return None
        if isinstance(message, wire.Log):
            if text := message.text.strip():  # upstream's errors end in a line of their own
                self._said.append(text)
            return None
        if isinstance(message, wire.Refused):
            raise self._refusal(message, name)
        if message.type != request.type | 0x80:
            raise FrameError(
                f"{name} was answered with another type",
                where=self.port,
                expected=f"0x{request.type | 0x80:02x}",
                got=f"{type(message).__name__} (0x{message.type:02x})",
                hint="was the image built by this version of hilnas?",
            )
        return message

    def receive(self, deadline_s: float) -> wire.Frame:
        """The next frame, whatever it says.

        Raises:
            NoReplyError, FrameError, LinkError: as request().
        """
        frame = self._receive(Deadline(deadline_s), "a frame")
        if frame is None:
            raise self._no_reply("a frame", deadline_s)
        return frame

    def write(self, data: bytes) -> None:
        """Put bytes on the line as they are.

        Raises:
            NoReplyError: the line does not take them.
            LinkError: the port is gone.
        """
        self.transcript.add(data, sent=True)
        try:
            self._serial.write(data)
        except serial.SerialTimeoutException:
            raise NoReplyError(
                f"the line did not take {len(data)} bytes within {self._serial.write_timeout:g} s",
                where=self.port,
                hint="is the board powered?",
            ) from None
        except OSError as error:
            raise self._broken(error) from None

    def _receive(self, deadline: Deadline, awaited: str) -> wire.Frame | None:
        """The next good frame, or None at the deadline, after a last look: on a busy host time may
        pass in which nobody looked."""
        is_late = False
        while not self._ready:
            if is_late:
                return None
            is_late = deadline.expired
            try:
                data = self._serial.read(max(1, self._serial.in_waiting))
            except (OSError, TypeError) as error:  # TypeError: closed under pyserial's feet
                raise self._broken(error) from None
            if not data:
                continue
            self.transcript.add(data, sent=False)
            self._noise += len(data)
            for event in self._decoder.feed(data):
                if isinstance(event, FrameError):
                    self._last_error = event
                else:
                    self._noise = 0
                    self._ready.append(event)
            if self._noise > _NOISE_MAX and not self._ready:
                raise FrameError(
                    f"{self._noise} bytes without a frame while waiting for {awaited}; "
                    f"the last {_SHOWN_BYTES} were "
                    f"[{self.transcript.received(_SHOWN_BYTES).hex(' ')}]",
                    where=self.port,
                    hint="check baud rate and wiring, and that the unit runs this firmware",
                )
        return self._ready.popleft()

    def _no_reply(self, awaited: str, deadline_s: float, attempts: int = 1) -> NoReplyError:
        pending = self._decoder.pending
        last = self.transcript.received(_SHOWN_BYTES)
        if pending:
            shown = pending[-_SHOWN_BYTES:].hex(" ")
            got = f"{len(pending)} bytes of an unfinished frame, [{shown}]"
        elif self._last_error is not None and self._noise:
            got = f"{self._noise} bytes that are no frame, ending in [{last.hex(' ')}]"
        elif last:
            got = f"nothing; the last bytes before were [{last.hex(' ')}]"
        else:
            got = "not one byte"
        times = f", asked {attempts} times" if attempts > 1 else ""
        return NoReplyError(
            f"{awaited} did not come within {deadline_s:g} s{times}",
            where=self.port,
            expected="one frame",
            got=got,
            hint="is the board powered and flashed?",
        )

    def _broken(self, error: Exception) -> LinkError:
        return LinkError(
            f"the serial line broke: {error}",
            where=self.port,
            hint="was the board unplugged, or did the process that plays it end?",
        )

    def _refusal(self, refused: wire.Refused, what: str) -> RequestRefusedError:
        reason = wire.REFUSALS.get(refused.code, f"code {refused.code}")
        return RequestRefusedError(
            f"the unit refused {what}: {reason}, detail {refused.detail}{self._quote()}",
            where=self.port,
            hint=None if self._said else "was the image built by this version of hilnas?",
        )

    def _quote(self) -> str:
        return "".join(f", {text!r}" for text in self._said)

    def _fault(self, fault: wire.Fault, doing: str) -> FirmwareFaultError:
        registers = {name: value for name, value in asdict(fault).items() if name != "kind"}
        kind = wire.FAULT_KINDS.get(fault.kind, f"fault {fault.kind}")
        shown = ", ".join(f"{name} {value:08x}" for name, value in registers.items())
        return FirmwareFaultError(
            f"{kind} in {self._place_of(fault)} while {doing}: {shown}{self._quote()}",
            kind=kind,
            registers=registers,
            where=self.port,
            hint="reset the unit; `arm-none-eabi-addr2line` or the map file tell more",
        )

    def _place_of(self, fault: wire.Fault) -> str:
        if fault.pc == 0:
            return "an unknown place (the core could not stack its registers)"
        find = self.find_function if self.find_function is not None else lambda _: None
        if place := find(fault.pc):
            return place
        caller = find(fault.lr & ~1)  # bit 0 of a return address says Thumb
        return f"0x{fault.pc:08x}" + (f", called from {caller}" if caller else "")
