"""How do faults get between harness and board? A second serial line: the Link opens this one's
port, and frames go on to the board's unless a fault befalls them."""

from __future__ import annotations

import os
import pty
import random
import select
import threading
import tty
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType

from harness import wire
from harness.errors import FrameError
from tests.campaign.faults import (
    BOARD,
    BOOT,
    FROM_UNIT,
    HELLO,
    PREPARE,
    REPORT,
    RUN,
    TO_UNIT,
    WRITE,
    Fault,
)

_FLOOD_BYTES = 9000  # more than harness.link allows
_PHASE_OF = {
    wire.Boot: BOOT,
    **dict.fromkeys((wire.Hello, wire.Greeting), HELLO),
    **dict.fromkeys((wire.Prepare, wire.Prepared), PREPARE),
    **dict.fromkeys((wire.WriteInput, wire.InputWritten), WRITE),
    **dict.fromkeys((wire.Run, wire.RunDone, wire.LayerDone), RUN),
    **dict.fromkeys((wire.ReadOutput, wire.OutputChunk), REPORT),
    **dict.fromkeys((wire.ReadConditions, wire.ConditionsRead), REPORT),
    **dict.fromkeys((wire.ReadCycles, wire.CyclesRead), REPORT),
}


class Proxy:
    """A context manager; `port` is for the Link. `befall` does to the board what BOARD names, and
    may be called by two threads. `old`: the greeting of an image flashed before.

    counts: how many frames of each direction and phase came. fired: the faults that happened.
    failure: what went wrong in the proxy itself, if anything did. `faults` may be replaced while
    it runs.
    """

    def __init__(
        self,
        unit_port: str,
        faults: tuple[Fault, ...] = (),
        befall: Callable[[Fault], None] = lambda fault: None,
        old: wire.Greeting | None = None,
    ) -> None:
        self.faults = faults
        self.counts: Counter[tuple[str, str]] = Counter()
        self.fired: list[Fault] = []
        self.failure = ""
        self._befall, self._old = befall, old
        self._stalled = False
        self._lock, self._serving = threading.Lock(), 2
        self._phase = BOOT
        self._before: dict[str, bytes] = {}
        self._over = threading.Event()
        self._end = os.eventfd(0)
        self._ours, theirs = pty.openpty()
        tty.setraw(theirs)
        self.port = os.ttyname(theirs)
        self._theirs = theirs  # kept open, so that the line is there before and after the Link
        self._unit = os.open(unit_port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        os.set_blocking(self._ours, False)
        self._threads = [
            threading.Thread(target=self._serve, args=way, daemon=True)
            for way in ((TO_UNIT, self._ours, self._unit), (FROM_UNIT, self._unit, self._ours))
        ]

    def __enter__(self) -> Proxy:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        os.eventfd_write(self._end, 1)
        for thread in self._threads:
            thread.join(10)
        for descriptor in (self._theirs, self._unit, self._end):
            os.close(descriptor)

    def _serve(self, direction: str, source: int, sink: int) -> None:
        """Where one direction ends, both do; the Link reads the end of file from then on."""
        try:
            self._pass_on(direction, source, sink)
        except Exception as error:
            self.failure = repr(error)
        finally:
            self._over.set()
            os.eventfd_write(self._end, 1)
            with self._lock:
                self._serving -= 1
                if self._serving == 0:
                    os.close(self._ours)

    def _pass_on(self, direction: str, source: int, sink: int) -> None:
        line = bytearray()
        while not self._over.is_set():
            try:
                ready = select.select([source, self._end], [], [])[0]
                data = b"" if self._end in ready else os.read(source, 4096)
            except OSError:  # the other side is gone
                data = b""
            if not data:
                break
            line += data
            while (length := _length_of_first(line)) > 0:
                piece = bytes(line[:length])
                del line[:length]
                for part in self._disturb(piece, direction):
                    self._write(sink, part)
        self._write(sink, bytes(line))

    def _write(self, sink: int, data: bytes) -> None:
        with suppress(OSError):
            while data and not self._over.is_set() and not self._stalled:
                select.select([self._end], [sink], [])
                with suppress(BlockingIOError):
                    data = data[os.write(sink, data) :]

    def _disturb(self, piece: bytes, direction: str) -> Iterator[bytes]:
        """What becomes of the frame in `piece`, which ends in a zero byte."""
        self._phase = phase = _phase_of(piece, self._phase)
        number = self.counts[direction, phase]
        self.counts[direction, phase] += 1
        before, self._before[direction] = self._before.get(direction, b""), piece
        parts = [piece]
        for fault in self.faults:
            if (fault.direction, fault.phase, fault.frame) != (direction, phase, number):
                continue
            whole = b"".join(parts)
            if not whole:  # an earlier fault lost it
                continue
            self.fired.append(fault)
            if fault.kind in BOARD or fault.kind in ("split", "delay", "stall", "close"):
                at = 0 if fault.kind == "delay" else round(fault.at * len(whole))
                yield whole[:at]
                self._interrupt(fault)
                parts = [whole[at:]]
            else:
                parts = [self._change(whole, fault, before)]
        yield from parts

    def _interrupt(self, fault: Fault) -> None:
        if fault.kind in BOARD:
            self._befall(fault)
        elif fault.kind == "stall":
            self._stalled = True
        elif fault.kind == "close":
            self._over.set()
        else:
            self._over.wait(fault.seconds)

    def _change(self, piece: bytes, fault: Fault, before: bytes) -> bytes:
        rng = random.Random(fault.seed)
        at = min(int(fault.at * len(piece)), len(piece) - 1)
        end = min(at + fault.size, len(piece))
        match fault.kind:
            case "drop":
                return piece[:at] + piece[end:]
            case "lose":
                return b""
            case "flip":
                changed = bytearray(piece)
                for _ in range(fault.size):
                    changed[min(at + rng.randrange(4), len(piece) - 1)] ^= 1 << rng.randrange(8)
                return bytes(changed)
            case "duplicate":
                return piece[:end] + piece[at:]
            case "repeat":
                return piece * 2
            case "truncate":
                return piece[:at]
            case "noise":
                return piece[:at] + rng.randbytes(fault.size) + piece[at:]
            case "flood":
                return piece[:at] + rng.randbytes(_FLOOD_BYTES) + piece[at:]
            case "old greeting" if self._old is not None:
                return wire.encode(wire.Frame(0, wire.Boot(self._old))) + piece
            case "old frame":
                return before + piece
        raise ValueError(f"no such fault: {fault.kind}")


def _length_of_first(line: bytearray) -> int:
    """Bytes of the first frame, zeros before and the one behind it included; 0: it has no end."""
    start = next((at for at, byte in enumerate(line) if byte), len(line))
    return line.find(0, start) + 1


def _phase_of(piece: bytes, unknown: str) -> str:
    try:
        message = wire.decode(piece.strip(b"\0")).message
    except FrameError:
        return unknown
    return _PHASE_OF.get(type(message), unknown)
