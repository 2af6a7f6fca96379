"""The process that plays a board: `python -m harness.virtual --board NAME`.

stdin and stdout are the control channel, one JSON object a line; the firmware's serial line is a
pty whose path the first line names.

    -> (start)                                {"port": "/dev/pts/4", "timing_model": "..."}
    {"command": "load", "path": "x.elf"}      {}
    {"command": "reset"}                      {}
    {"command": "count"}                      {"instructions": n, "cycles": n, "seconds": s,
                                               "state": "running", "pc": 0}
    {"command": "quit"}                       {}

A command that fails answers {"error": "..."}. The process ends with "quit", or when stdin closes.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import sys
import termios
import threading
import time
import tty
from pathlib import Path
from typing import Any

from harness.board import BOARDS_DIR, Board, load_board
from harness.chip import Chip, load_chip
from harness.errors import BoardError, HilnasError
from harness.virtual.board import TIMING_MODEL
from harness.virtual.core import Core
from harness.virtual.elf import flash_segments

JOIN_SECONDS = 5.0


class Unit:
    """One playing board: a core on a thread of its own, and its pty."""

    def __init__(self, board: Board, chip: Chip) -> None:
        self._board = board
        # The slave end stays open here, so that the line survives clients that come and go.
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        self._core = Core(board, chip, self._master, self._wake)
        self._thread: threading.Thread | None = None
        self._failure: str | None = None
        self._seconds = 0.0
        self._since = 0.0
        self.over = False

    @property
    def port(self) -> str:
        return os.ttyname(self._slave)

    def load(self, path: Path) -> None:
        segments = flash_segments(path, self._board.memory.flash)
        self.halt()
        self._core.erase()
        termios.tcflush(self._slave, termios.TCIOFLUSH)
        termios.tcflush(self._master, termios.TCIOFLUSH)
        for address, data in segments:
            self._core.write(address, data)
        self._start()

    def reset(self) -> None:
        self.halt()
        self._start()

    def counters(self) -> dict[str, Any]:
        if self._failure is not None:
            raise BoardError(self._failure, where=self._board.name, hint="load the image again")
        running = time.monotonic() - self._since if self._thread else 0.0
        return {
            "instructions": self._core.instructions,
            "cycles": self._core.cycles,
            "seconds": self._seconds + running,
            "state": self._core.state if self._thread else "stopped",
            "pc": self._core.pc,
        }

    def halt(self) -> None:
        """Stop the core where it is; nothing when it is not running."""
        if self._thread is None:
            return
        self._core.stop()
        os.eventfd_write(self._wake, 1)
        self._thread.join(JOIN_SECONDS)
        if self._thread.is_alive():
            raise BoardError(
                "the core did not stop", where=self._board.name, expected=f"{JOIN_SECONDS} s"
            )
        self._thread = None
        self._seconds += time.monotonic() - self._since
        os.eventfd_read(self._wake)
        self._core.allow()

    def close(self) -> None:
        """Give everything back; the unit is over."""
        self.halt()
        self._core.close()
        for descriptor in (self._master, self._slave, self._wake):
            os.close(descriptor)
        self.over = True

    def _start(self) -> None:
        self._core.reset()
        self._failure = None
        self._since = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="core", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._failure = self._core.run()


def answer(unit: Unit, line: str) -> dict[str, Any]:
    """Carry out one command line; the reply."""
    try:
        request = json.loads(line)
        command = request["command"]
        if command == "load":
            unit.load(Path(request["path"]))
        elif command == "reset":
            unit.reset()
        elif command == "count":
            return unit.counters()
        elif command == "quit":
            unit.close()
        else:
            return {"error": f"unknown command {command!r}"}
        return {}
    except (ValueError, KeyError, TypeError) as error:
        return {"error": f"not a command: {line.strip()[:80]!r} ({error!r})"}
    except HilnasError as error:
        return {"error": str(error)}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m harness.virtual", description="a virtual board"
    )
    parser.add_argument("--board", required=True, help="a name that `hilnas boards` lists")
    parser.add_argument("--boards", type=Path, default=BOARDS_DIR, help="folder of descriptions")
    arguments = parser.parse_args()
    try:
        board = load_board(arguments.board, arguments.boards)
        unit = Unit(board, load_chip(board.chip, arguments.boards))
    except HilnasError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps({"port": unit.port, "timing_model": TIMING_MODEL}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(unit, line)), flush=True)
        if unit.over:
            break
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # the core's thread may be anywhere; nothing of it is worth waiting for
