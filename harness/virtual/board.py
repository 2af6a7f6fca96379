"""How is a virtual board started, loaded and watched? The client of `python -m harness.virtual`.
Knows nothing of Unicorn and imports quickly."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from harness.board import BOARDS_DIR, ROOT, Board
from harness.errors import BoardError
from harness.virtual.observed import Modes, Observed
from harness.virtual.report import Limits, Report

# What the cycles mean; docs/timing.md describes it. A change of the model changes the name.
TIMING_MODEL = "pipeline-1"

START_SECONDS = 30.0
REPLY_SECONDS = 15.0
OBSERVED_SECONDS = 60.0
QUIT_SECONDS = 5.0


@dataclass(frozen=True)
class Counters:
    """What the core has done since the board was started.

    state: running, waiting for serial, asleep, locked up or stopped. seconds: host time the core
    was on, sleeping included. pc: where it locked up, else 0. virtual_seconds: the board's own
    time. faults: how often one was raised.
    """

    instructions: int
    cycles: int
    seconds: float
    state: str
    pc: int
    virtual_seconds: float = 0.0
    faults: int = 0


class VirtualBoard:
    """A running process that plays `board`; leaving the context ends it.

    Every call raises BoardError when the process died, with its exit status and last words, when
    it does not answer before its deadline, or when it refuses the command. One that missed a
    deadline is ended: its late answer would be taken for the next one.

    reply_s, quit_s: how long most commands and its end may take, in seconds.
    """

    reply_s = REPLY_SECONDS
    quit_s = QUIT_SECONDS

    def __init__(self, board: Board, *, boards_dir: Path = BOARDS_DIR) -> None:
        words = tempfile.TemporaryFile()  # noqa: SIM115, closed by close()
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.virtual"]
            + ["--board", board.name, "--boards", str(boards_dir)]
            + ["--console", board.console.uart],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            env={**os.environ, "PYTHONPATH": _search_path()},
            start_new_session=True,  # Ctrl-C belongs to the command, which ends the board itself
        )
        self._take(board, process, words)

    def _take(
        self, board: Board, process: subprocess.Popen[bytes] | ForkedProcess, words: IO[bytes]
    ) -> None:
        self._board, self._process, self._words = board, process, words
        self._pending = b""
        try:
            self.port: str = self._reply("start", START_SECONDS)["port"]
        except BaseException:
            self.close()
            raise

    def fork(self) -> VirtualBoard:
        """Another board that is as this one is now, halted, in a process of its own: what was
        booted here need not be booted again. The two go on apart from each other.

        Raises:
            BoardError: this one's debug port is served.
        """
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("")  # the system chooses an abstract name
            listener.listen(1)
            listener.settimeout(START_SECONDS)
            address: bytes = listener.getsockname()
            pid = self._ask({"command": "fork", "socket": address.hex()})["pid"]
            process = ForkedProcess(pid, _accept(listener, pid))
        other = VirtualBoard.__new__(VirtualBoard)
        other._take(self._board, process, os.fdopen(os.dup(self._words.fileno()), "rb"))
        return other

    def __enter__(self) -> VirtualBoard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def load(self, image: Path, *, base: int | None = None, start: bool = True) -> None:
        """Erase flash, write the image, fill SRAM with a pattern, reset and run, or stay stopped.
        `base`: where a raw binary goes, if not to the start of flash."""
        path = str(image.resolve())
        self._ask({"command": "load", "path": path, "base": base, "start": start})

    def go(self) -> None:
        """Run on from where the core is."""
        self._ask({"command": "go"})

    def halt(self) -> None:
        """Stop between two blocks of instructions."""
        self._ask({"command": "halt"})

    def limit(self, limits: Limits) -> None:
        """What ends a run by itself; the core is halted."""
        self._ask({"command": "limit", "limits": limits.to_json()})

    def end_input(self) -> None:
        """All has been written to the port that ever will: a run that can only wait for more ends
        as "idle"."""
        self._ask({"command": "end input"})

    def report(self) -> Report:
        """Halts the core and says where it is and what happened."""
        return Report.from_json(self._ask({"command": "report"}))

    def snapshot(self) -> int:
        """Halts the core and keeps the board as it is: memories, peripherals, time."""
        return int(self._ask({"command": "snapshot"})["snapshot"])

    def restore(self, snapshot: int) -> None:
        """The board as it was when halted by snapshot(); go() continues from there. What is on the
        line is dropped, observing ends."""
        self._ask({"command": "restore", "snapshot": snapshot})

    def observe(self, modes: Modes, functions: Sequence[int] = ()) -> None:
        """Halts the core and begins to observe anew. `functions`: harness.symbols.Symbols'
        boundaries(); without them, what is called is a function."""
        self._ask({"command": "observe", "modes": asdict(modes), "functions": list(functions)})

    def observed(self) -> Observed | None:
        """Halts the core; what was seen since observe(), None when nothing is observed."""
        seen = self._ask({"command": "observed"}, OBSERVED_SECONDS)["observed"]
        return None if seen is None else Observed.from_json(seen)

    def reset(self) -> None:
        """Reset the core; flash and SRAM keep their contents."""
        self._ask({"command": "reset"})

    def debug_port(self, port: int = 0) -> str:
        """Serve the debug port on loopback from now on: the unique id of the probe, for pyOCD's
        -u. `port` 0 takes any free one; the one first chosen stays."""
        answer = self._ask({"command": "debug", "port": port})
        return f"remote:127.0.0.1:{answer['debug_port']}"

    def explain_silence(self) -> str | None:
        """Why no byte comes, where the core cannot send any; None when it could."""
        counters = self.counters()
        if counters.state == "locked up":
            return f"the core locked up at 0x{counters.pc:08x}, by a fault inside a fault handler"
        return None

    def counters(self) -> Counters:
        return Counters(**self._ask({"command": "count"}))

    def close(self) -> None:
        """End the process. Can be called again."""
        process = self._process
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(self.quit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._words.close()

    def _ask(self, request: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
        if self._words.closed:
            raise BoardError(
                f"cannot {request['command']}: the virtual board was closed",
                where=self._board.name,
                hint="start another one",
            )
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
        except OSError:
            raise self._death(request["command"]) from None
        reply = self._reply(request["command"], seconds or self.reply_s)
        if "error" in reply:
            raise BoardError(f"cannot {request['command']}: {reply['error']}")
        return reply

    def _reply(self, command: str, seconds: float) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._pending:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([stdout], [], [], left)[0]:
                self._process.kill()
                self.close()
                raise BoardError(
                    f"the virtual board does not answer to {command!r}",
                    where=self._board.name,
                    expected=f"a reply within {seconds:g} s",
                    got="nothing",
                    hint="start it again",
                )
            try:
                data = os.read(stdout.fileno(), 65536)
            except ConnectionResetError:  # a forked board that was killed
                data = b""
            if not data:
                raise self._death(command)
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _death(self, command: str) -> BoardError:
        try:
            status = self._process.wait(self.quit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._words.seek(0)
        words = self._words.read().decode(errors="replace").strip().splitlines()
        return BoardError(
            f"the virtual board died during {command!r}"
            + (f", its last words: {words[-1]}" if words else ""),
            where=self._board.name,
            got=f"exit status {status}",
            hint="start it again",
        )


class ForkedProcess:
    """What subprocess.Popen is to a child: a process that is nobody's child here.

    Raises:
        BoardError: there is no such process any more; the channel is closed.
    """

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        try:
            self._descriptor: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            channel.close()
            raise BoardError(
                "the forked board died at its start",
                expected=f"process {pid}",
                got="no such process",
                hint="fork again",
            ) from None
        self.stdin: IO[bytes] | None = channel.makefile("wb")
        self.stdout: IO[bytes] | None = channel.makefile("rb", buffering=0)  # type: ignore[assignment]
        self._channel = channel

    def wait(self, timeout: float | None = None) -> str:
        """Until it is gone; its status is its parent's to know.

        Raises:
            subprocess.TimeoutExpired: it is still there.
        """
        if self._descriptor is None:
            return "unknown"
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)  # the end of its commands
        if not select.select([self._descriptor], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(f"pid {self.pid}", timeout or 0)
        os.close(self._descriptor)
        self._descriptor = None
        self._channel.close()
        return "unknown"

    def kill(self) -> None:
        if self._descriptor is None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)


def _accept(listener: socket.socket, pid: int) -> socket.socket:
    """The connection of process `pid`: abstract names are open to anybody."""
    while True:
        try:
            channel, _ = listener.accept()
        except TimeoutError:
            raise BoardError(
                "the forked board does not answer", expected=f"within {START_SECONDS:g} s"
            ) from None
        credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        if int.from_bytes(credentials[:4], sys.byteorder) == pid:
            return channel
        channel.close()


def _search_path() -> str:
    rest = os.environ.get("PYTHONPATH")
    return f"{ROOT}{os.pathsep}{rest}" if rest else str(ROOT)
