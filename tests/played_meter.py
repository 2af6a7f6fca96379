"""A process-less X-NUCLEO-LPM01A for tests: a thread behind a pty that answers as ST's UM2269 says
(sections 4.2.3, 4.3.2, 4.4.1). Composed from the manual, and never compared with a real meter."""

from __future__ import annotations

import os
import pty
import select
import termios
import threading
import time
import tty
from collections.abc import Callable
from types import TracebackType
from typing import Self

RATE_HZ = 100
ACKNOWLEDGED = (
    "htc", "hrc", "format", "acqmode", "freq", "output", "acqtime", "trigsrc", "volt", "pwrend",
    "pwr",
)  # fmt: skip


class PlayedMeter:
    """A context manager; `port` is the pty's name. The unit it supplies draws watts() at any time.

    answers: to commands, instead of the manual's; None is silence. spoil: what is put on the line
    in place of the sample of that number. late_s: what it takes to answer a `stop`. `commands`
    keeps what was asked for.
    """

    def __init__(
        self,
        watts: Callable[[], float] = lambda: 0.05,
        *,
        answers: dict[str, bytes | None] | None = None,
        spoil: dict[int, bytes] | None = None,
        late_s: float = 0.0,
    ) -> None:
        self.commands: list[str] = []
        self._watts = watts
        self._answers = answers or {}
        self._spoil = spoil or {}
        self._late_s = late_s
        self._began: float | None = None
        self._sent = 0
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._theirs, termios.TCSANOW)
        self.port = os.ttyname(self._theirs)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.unplug()
        os.close(self._theirs)

    def unplug(self) -> None:
        if not self._over.is_set():
            self._over.set()
            self._thread.join()
            os.close(self._ours)

    def _serve(self) -> None:
        pending = b""
        while not self._over.is_set():
            if select.select([self._ours], [], [], 0.01)[0]:
                *commands, pending = (pending + os.read(self._ours, 4096)).split(b"\n")
                for command in commands:
                    self._obey(command.decode())
            if self._began is not None:
                self._send_due()

    def _obey(self, command: str) -> None:
        self.commands.append(command)
        if command == "stop":
            time.sleep(self._late_s)
        if command in self._answers:
            answer = self._answers[command]
            if answer is not None:
                self._put(answer)
        elif command == "start":
            self._put(b"PowerShield > ack start\r\n\r\nTimeStamp: 000s 000ms, buff 00%\r\n\0")
            self._began, self._sent = time.monotonic(), 0
        elif command == "stop" and self._began is None:
            self._put(b"PowerShield > err stop\r\n")
        elif command == "stop":
            self._send_due()
            self._began = None
            self._put(b"\r\nend\r\n\r\nsummary beg\r\n1742-09\r\n2041-09\r\nsummary end\r\n")
        elif command == "powershield":
            self._put(b"PowerShield > ack powershield 540619864-1110659081-4784204\r\n")
        elif command == "version":
            self._put(b"PowerShield > ack version: 1.0.6\r\n")
        elif command.split()[0] in ACKNOWLEDGED:
            self._put(f"PowerShield > ack {command}\r\n".encode())
        else:
            self._put(f"PowerShield > err {command}\r\n".encode())

    def _send_due(self) -> None:
        assert self._began is not None
        while self._sent < (time.monotonic() - self._began) * RATE_HZ:
            self._sent += 1
            self._put(self._spoil.get(self._sent, as_line(self._watts() / RATE_HZ)))
            if self._sent % 1000 == 0:
                stamp = f"{self._sent // RATE_HZ:03}s 000ms, buff 02%"
                self._put(f"\r\nTimeStamp: {stamp}\r\n".encode())

    def _put(self, data: bytes) -> None:
        os.write(self._ours, data)


def as_line(joules: float) -> bytes:
    """UM2269 table 30: four digits, sign and two digits of a power of ten."""
    if joules == 0:
        return b"0000-09\r\n"
    digits, exponent = f"{joules:.3e}".split("e")
    return f"{digits.replace('.', '')}{int(exponent) - 3:+03d}\r\n".encode()
