"""How does a user sit at a firmware's console? Over this process's stdin and stdout, or over a pty
that another program opens. Knows nothing of firmware."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CHUNK = 4096
PREPARE_SECONDS = 0.05  # for what is piped in to come before the firmware starts
FINISH_SECONDS = 2.0


class StdioLine:
    """stdin to the port, the port to stdout; the end of stdin ends only the input.

    A terminal is made raw but for Ctrl-C, so that the firmware sees each key when it is pressed.
    """

    def __init__(self, port: int, stdin: int, stdout: int) -> None:
        self._port, self._stdin, self._stdout = port, stdin, stdout
        self.interactive = os.isatty(stdin)
        self._waiting = b""
        self._closed = False

    @property
    def input_over(self) -> bool:
        return self._closed and not self._waiting

    def prepare(self) -> None:
        """What is piped in already is on the line before the firmware runs: a run repeats."""
        deadline = time.monotonic() + PREPARE_SECONDS
        while not self.interactive and not self._closed and len(self._waiting) < CHUNK:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._stdin], [], [], left)[0]:
                break
            self._read_input()
        self._send()

    def pump(self, seconds: float) -> None:
        """Until `seconds` are over; at once where bytes came from the board and no more follow."""
        reads = [self._port] if self._closed or self._waiting else [self._port, self._stdin]
        writes = [self._port] if self._waiting else []
        ready, writable, _ = select.select(reads, writes, [], seconds)
        if self._stdin in ready:
            self._read_input()
        if writable or self._waiting:
            self._send()
        if self._port in ready:
            self._receive()

    def finish(self) -> None:
        deadline = time.monotonic() + FINISH_SECONDS
        while time.monotonic() < deadline and self._receive():
            pass

    def _read_input(self) -> None:
        data = os.read(self._stdin, CHUNK)
        self._closed = not data
        self._waiting += data

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._waiting:
                self._waiting = self._waiting[os.write(self._port, self._waiting) :]

    def _receive(self) -> bool:
        try:
            data = os.read(self._port, CHUNK)
        except BlockingIOError:
            return False
        while data:
            data = data[os.write(self._stdout, data) :]
        return True


class PtyLine:
    """Somebody else has opened the port, or will."""

    interactive = True
    input_over = False

    def prepare(self) -> None:
        pass

    def pump(self, seconds: float) -> None:
        time.sleep(seconds)

    def finish(self) -> None:
        pass


@contextmanager
def open_stdio(port: str) -> Iterator[StdioLine]:
    """The console `port` on this process's stdin and stdout, which are as before afterwards."""
    stdin = sys.stdin.fileno()
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    before = _make_raw(stdin) if os.isatty(stdin) else None
    try:
        yield StdioLine(descriptor, stdin, sys.stdout.fileno())
    finally:
        if before is not None:
            termios.tcsetattr(stdin, termios.TCSADRAIN, before)
        os.close(descriptor)


def _make_raw(terminal: int) -> list[Any]:
    before = termios.tcgetattr(terminal)
    raw = [*before]
    raw[0] &= ~(termios.ICRNL | termios.IXON)  # Enter is a carriage return, Ctrl-S is a key
    raw[3] &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
    raw[6] = [*before[6]]
    raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
    for special in (termios.VQUIT, termios.VSUSP):  # keys like any other
        raw[6][special] = b"\0"
    termios.tcsetattr(terminal, termios.TCSADRAIN, raw)
    return before
