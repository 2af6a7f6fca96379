"""The process that plays a board: `python -m harness.virtual --board NAME`.

stdin and stdout are the control channel, one JSON object a line; the firmware's serial line is a
pty whose path the first line names.

    -> (start)                                {"port": "/dev/pts/4", "timing_model": "..."}
    {"command": "load", "path": "x.elf"}      {}; "base" places a raw binary, "start": false leaves
                                              the core stopped in reset
    {"command": "reset"}                      {}
    {"command": "halt"}, {"command": "go"}    {}
    {"command": "limit", "limits": {...}}     {}; see harness/virtual/report.py, for "report" too
    {"command": "end input"}                  {}; the host sends no more
    {"command": "report"}                     {"ended": ..., "registers": {...}, ...}
    {"command": "observe", "modes": {...}, "functions": [...]}
                                              {}; see harness/virtual/observed.py
    {"command": "observed"}                   {"observed": {...} or null}
    {"command": "snapshot"}                   {"snapshot": n}; the board as it is, stopped
    {"command": "restore", "snapshot": n}     {}; as it was then, stopped
    {"command": "fork", "socket": "00..."}    {"pid": n}; a process that plays the board as it is,
                                              its control channel on that abstract socket
    {"command": "count"}                      {"instructions": n, "cycles": n, "seconds": s,
                                               "state": "running", "pc": 0,
                                               "virtual_seconds": s, "faults": n}
    {"command": "debug", "port": 0}           {"debug_port": 41234}    (0: any free one)
    {"command": "quit"}                       {}

`--console NAME` puts the line at another of the chip's UARTs than the board's.
`--debug-port PORT` serves the debug port from the start; the first line then names it as well.
A command that fails answers {"error": "..."}. The process ends with "quit", or when stdin closes.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import signal
import socket
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness.board import BOARDS_DIR, Board, load_board, with_console
from harness.chip import Chip, load_chip
from harness.errors import BoardError, HilnasError
from harness.virtual.board import TIMING_MODEL
from harness.virtual.bus import DebugBus
from harness.virtual.core import Core
from harness.virtual.dap import AccessPort, AhbAp, DebugPort, NordicControlAp
from harness.virtual.debugport import DebugServer
from harness.virtual.loader import memories_of, read_program
from harness.virtual.observed import Modes
from harness.virtual.report import Limits

JOIN_SECONDS = 5.0


class Unit:
    """One playing board: a core on a thread of its own, and its pty."""

    def __init__(self, board: Board, chip: Chip) -> None:
        self._board = board
        self._chip = chip
        self._open_line()
        self._core = Core(board, chip, self._master, self._wake)
        self._thread: threading.Thread | None = None
        self._snapshots: list[int] = []
        self._failure: str | None = None
        self._seconds = 0.0
        self._since = 0.0
        self.turn = threading.RLock()  # whose it is: the control channel's or the debug port's
        self._debug: DebugServer | None = None
        self._held = False
        self.memory = DebugBus(self._core, self.turn)
        made: dict[str, Callable[[], AccessPort]] = {
            "ahb": lambda: AhbAp(self.memory),
            "nordic-control": lambda: NordicControlAp(self.memory, self.hold_reset),
        }
        self.dap = DebugPort([made[name]() for name in chip.access_ports])
        self.over = False

    def _open_line(self) -> None:
        # The slave end stays open here, so that the line survives clients that come and go.
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)

    @property
    def port(self) -> str:
        return os.ttyname(self._slave)

    def load(self, path: Path, base: int | None = None, start: bool = True) -> None:
        program = read_program(path, memories_of(self._chip), base=base)
        self.halt()
        self._core.erase()
        termios.tcflush(self._slave, termios.TCIOFLUSH)
        termios.tcflush(self._master, termios.TCIOFLUSH)
        for address, data in program.segments:
            self._core.write(address, data)
        self._core.reset()
        if start:
            self.go()

    def reset(self) -> None:
        self.halt()
        self._core.reset()
        self.go()

    def go(self) -> None:
        """Let the core run on from where it is; nothing when it runs."""
        if self._thread is not None or self._held:
            return
        self._failure = None
        self._since = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="core", daemon=True)
        self._thread.start()

    def debug(self, port: int) -> int:
        """Serve the debug port on loopback; the TCP port, which stays once chosen. From now on the
        board has power: erased, it runs into lock-up, where it can be halted.

        Raises:
            BoardError: another program has that one.
        """
        if self._debug is None:
            try:
                self._debug = DebugServer(self._board.name, self, port)
            except (OSError, OverflowError) as error:
                raise BoardError(
                    f"port {port} cannot be served: {error}",
                    where=self._board.name,
                    hint="use port 0, which takes any free one",
                ) from None
            self.go()
        return self._debug.port

    def hold_reset(self, asserted: bool) -> None:
        """Pull the reset pin, or let go of it; for the debug port."""
        with self.turn:
            self._held = asserted
            self.halt()
            if not asserted:
                self._core.reset()
                self.go()

    def limit(self, limits: Limits) -> None:
        self.halt()
        self._core.limit(limits)

    def end_input(self) -> None:
        self._core.end_input()
        if self._thread is not None:
            os.eventfd_write(self._wake, 1)

    def report(self) -> dict[str, Any]:
        self.halt()
        return self._core.report().to_json()

    def snapshot(self) -> int:
        """The board stopped as it is; its number is what restore() takes."""
        self.halt()
        self._snapshots.append(self._core.snapshot())
        return len(self._snapshots) - 1

    def restore(self, number: int) -> None:
        """The board as it was, stopped; what is on the line is dropped."""
        if not isinstance(number, int) or not 0 <= number < len(self._snapshots):
            raise BoardError(
                "there is no such snapshot",
                where=self._board.name,
                expected=f"0 to {len(self._snapshots) - 1}" if self._snapshots else "one taken",
                got=number,
            )
        self.halt()
        termios.tcflush(self._slave, termios.TCIOFLUSH)
        termios.tcflush(self._master, termios.TCIOFLUSH)
        self._core.restore(self._snapshots[number])

    def fork(self, address: bytes) -> int:
        """The pid of a new process that has this board as it is, stopped, on a line of its own,
        and takes commands from the socket at `address`.

        Raises:
            BoardError: a debugger may be at work.
        """
        if self._debug is not None:
            raise BoardError("a board whose debug port is served cannot fork", where=self.port)
        self.halt()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # its client watches it, nobody waits for it
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            status = self._live_on(address)
        finally:
            os._exit(status)

    def _live_on(self, address: bytes) -> int:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(address)
            for descriptor in (0, 1):
                os.dup2(channel.fileno(), descriptor)
        for descriptor in (self._master, self._slave, self._wake):
            os.close(descriptor)
        self._open_line()
        self._core.adopt(self._master, self._wake)
        with open(0, closefd=False) as commands:
            return serve(self, commands, {"port": self.port, "timing_model": TIMING_MODEL})

    def observe(self, modes: Modes, functions: list[int]) -> None:
        self.halt()
        self._core.observe(modes, functions)

    def observed(self) -> dict[str, Any]:
        self.halt()
        seen = self._core.observed()
        return {"observed": seen.to_json() if seen else None}

    def counters(self) -> dict[str, Any]:
        if self._failure is not None:
            raise BoardError(self._failure, where=self._board.name, hint="load the image again")
        running = time.monotonic() - self._since if self._thread else 0.0
        return {
            "instructions": self._core.instructions,
            "cycles": self._core.cycles,
            "seconds": self._seconds + running,
            "state": self._state(),
            "pc": self._core.pc,
            "virtual_seconds": self._core.virtual_seconds,
            "faults": self._core.faults,
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
        if self._debug is not None:
            self._debug.close()
        self.halt()
        self.memory.close()
        for snapshot in self._snapshots:
            self._core.forget(snapshot)
        self._core.close()
        for descriptor in (self._master, self._slave, self._wake):
            os.close(descriptor)
        self.over = True

    def _state(self) -> str:
        if self._thread is None:
            return "stopped"
        state = self._core.state
        # A thread that was just started has not told the core yet.
        return "running" if state == "stopped" and self._thread.is_alive() else state

    def _run(self) -> None:
        self._failure = self._core.run()


def answer(unit: Unit, line: str) -> dict[str, Any]:
    """Carry out one command line; the reply."""
    try:
        request = json.loads(line)
        with unit.turn:
            return _carry_out(unit, request)
    except (ValueError, KeyError, TypeError) as error:
        return {"error": f"not a command: {line.strip()[:80]!r} ({error!r})"}
    except HilnasError as error:
        return {"error": str(error)}


def _carry_out(unit: Unit, request: dict[str, Any]) -> dict[str, Any]:
    command = request["command"]
    if command == "load":
        unit.load(Path(request["path"]), request.get("base"), request.get("start", True))
    elif command == "limit":
        unit.limit(Limits.from_json(request["limits"]))
    elif command == "end input":
        unit.end_input()
    elif command == "go":
        unit.go()
    elif command == "halt":
        unit.halt()
    elif command == "observe":
        unit.observe(Modes(**request["modes"]), request["functions"])
    elif command == "observed":
        return unit.observed()
    elif command == "report":
        return unit.report()
    elif command == "fork":
        return {"pid": unit.fork(bytes.fromhex(request["socket"]))}
    elif command == "snapshot":
        return {"snapshot": unit.snapshot()}
    elif command == "restore":
        unit.restore(request["snapshot"])
    elif command == "reset":
        unit.reset()
    elif command == "count":
        return unit.counters()
    elif command == "debug":
        return {"debug_port": unit.debug(request["port"])}
    elif command == "quit":
        unit.close()
    else:
        return {"error": f"unknown command {command!r}"}
    return {}


def serve(unit: Unit, commands: Iterable[str], first: dict[str, Any]) -> int:
    """Answer each line on stdout, after `first`, until there is no more or the unit is over."""
    print(json.dumps(first), flush=True)
    for line in commands:
        print(json.dumps(answer(unit, line)), flush=True)
        if unit.over:
            break
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m harness.virtual", description="a virtual board"
    )
    parser.add_argument("--board", required=True, help="a name that `hilnas boards` lists")
    parser.add_argument("--boards", type=Path, default=BOARDS_DIR, help="folder of descriptions")
    parser.add_argument("--console", metavar="NAME", help="a UART of the chip [the board's]")
    parser.add_argument("--debug-port", type=int, metavar="PORT", help="0: any free one")
    arguments = parser.parse_args()
    try:
        board = load_board(arguments.board, arguments.boards)
        chip = load_chip(board.chip, arguments.boards)
        if arguments.console not in (None, board.console.uart):
            board = with_console(board, chip, arguments.console)
        unit = Unit(board, chip)
        first: dict[str, Any] = {"port": unit.port, "timing_model": TIMING_MODEL}
        if arguments.debug_port is not None:
            first["debug_port"] = unit.debug(arguments.debug_port)
    except HilnasError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return serve(unit, sys.stdin, first)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # the core's thread may be anywhere; nothing of it is worth waiting for
