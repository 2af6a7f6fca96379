"""How does Renode play a board? A process for each start of an image, the board's UART on a pty of
its own, which is relayed to ours: docs/renode.md. Knows nothing of what the image does."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import termios
import time
import tty
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.board import Board
from harness.chip import Chip
from harness.errors import BoardError, ToolchainError
from harness.ptyboard import PtyBoard, make_transparent
from harness.relay import Relay
from harness.renode_platform import platform, script

VARIABLE = "HILNAS_RENODE"
PROGRAMS = ("renode", "renode-run")
OLDEST = (1, 16)  # whose DWT tells the instructions of the block that reads it, not of a quantum
INSTALL = f"put renode or renode-run on the PATH, or name one in {VARIABLE}: docs/renode.md"
_DEADLINE_S = 60.0  # renode-run fetches a Renode where it has none
_START_DEADLINE_S = 60.0  # .NET, then a platform that is compiled
_POLL_S = 0.02
_WORDS_MAX = 1 << 16  # of what it says: a core that runs away may say a lot
_REFUSED, _ERROR = "There was an error executing command", "[ERROR]"  # of Monitor and log

# Renode is a script that starts dotnet or mono: a group of processes. Its leader ends the group
# when the thread that started it is gone, by SIGKILL even: setpriv then sends it a SIGTERM.
_LEADER = """trap 'kill -KILL 0' TERM
exec 3<&0
"$@" <&3 3<&- &
wait $!"""


def find_renode() -> tuple[str, ...]:
    """What a command line of Renode starts with.

    Raises:
        ToolchainError: there is none.
    """
    named = os.environ.get(VARIABLE)
    found = [path for name in ([named] if named else PROGRAMS) if (path := shutil.which(name))]
    if not found:
        what = f"is no program, says {VARIABLE}" if named else "neither is on the PATH"
        where = named or " or ".join(PROGRAMS)
        raise ToolchainError(what, where=where, hint=INSTALL)
    # renode-run hands on what follows two dashes.
    return (found[0], "--") if downloads(found[0]) else (found[0],)


def downloads(program: str) -> bool:
    """Whether asking it for anything may bring a Renode from the net."""
    return Path(program).name == "renode-run"


def renode_version() -> str:
    """As "1.16.1.26112".

    Raises:
        ToolchainError: Renode, or what it is started with, is missing, broken or too old.
    """
    if shutil.which("setpriv") is None:
        raise ToolchainError("setpriv is not on the PATH", hint="apt-get install util-linux")
    return _version_of(find_renode())


@functools.cache
def _version_of(command: tuple[str, ...]) -> str:
    where = command[0]
    try:
        told = subprocess.run(
            [*command, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolchainError(f"does not run: {error}", where=where, hint=INSTALL) from None
    found = re.search(r"\bv(\d+)\.(\d+)(\.\d+)*", told)
    if found is None:
        raise ToolchainError("does not tell its version", where=where, hint=INSTALL)
    if (int(found[1]), int(found[2])) < OLDEST:
        raise ToolchainError(
            "Renode is too old: its cycle counter would not count instructions",
            where=where,
            expected=f"{OLDEST[0]}.{OLDEST[1]} or newer",
            got=found[0].removeprefix("v"),
            hint=INSTALL,
        )
    return found[0].removeprefix("v")


class RenodeBoard(PtyBoard):
    """Each image and each reset is a Renode of its own, with every process that it starts in a
    group which ends with it, with close, and with the thread that started it.

    Raises:
        ToolchainError: Renode is missing or too old.
    """

    def __init__(self, board: Board, chip: Chip) -> None:
        super().__init__()
        self.version = renode_version()
        self._renode = find_renode()
        self._board, self._chip = board, chip
        self._group: int | None = None
        self._relay: Relay | None = None
        self._line: int | None = None

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="hilnas-renode-")
        folder = Path(self._folder.name)
        self._link, self._words = folder / "console", folder / "words"
        self._platform, self._script = folder / "board.repl", folder / "run.resc"
        self._platform.write_text(platform(self._board, self._chip))
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._folder.cleanup()

    @property
    def _exit_status(self) -> int | None:
        status = super()._exit_status
        if status is not None:
            self._end_group()
        return status

    def explain_silence(self) -> str | None:
        """How Renode ended, or what it complains of; None while it just runs."""
        status = self._exit_status  # first: what it said then is all there will be
        said = self._complaint()
        if status is not None:
            return f"Renode ended with exit status {status}" + (
                f", saying {said!r}" if said else ""
            )
        return f"Renode says {said!r}" if _REFUSED in said or _ERROR in said else None

    def _start(self, elf: Path, line: int) -> subprocess.Popen[bytes]:
        self._link.unlink(missing_ok=True)
        termios.tcflush(self._theirs, termios.TCIOFLUSH)
        self._script.write_text(script(self._board, self._platform, elf.absolute(), self._link))
        with self._words.open("wb") as words:
            try:
                process = subprocess.Popen(
                    self._command(),
                    stdin=subprocess.PIPE,  # held open: the Monitor reads an end of file for ever
                    stdout=words,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise BoardError(f"Renode does not start: {error.strerror}") from None
        self._process = process  # so that _stop() ends it, whatever comes
        self._group = process.pid
        try:
            self._await_link(process)
            self._open_line(line)
        except BaseException:
            self._stop()
            raise
        return process

    def _command(self) -> list[str]:
        return [
            *("setpriv", "--pdeathsig", "TERM", "--", "sh", "-c", _LEADER, "renode"),
            *self._renode,
            # Without --console a Monitor that anybody may use would listen on a TCP port.
            *("--disable-xwt", "--console", "--plain"),
            *("--config", str(self._platform.with_name("config"))),
            str(self._script),
        ]

    def _await_link(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_DEADLINE_S
        while not self._link.exists():
            explained = None
            if process.poll() is not None or _REFUSED in self._complaint():
                explained = self.explain_silence()
            elif time.monotonic() >= deadline:
                said = self._complaint()
                last = f"; its last words: {said!r}" if said else ""
                explained = f"no console within {_START_DEADLINE_S:g} s{last}"
            if explained is not None:
                raise BoardError(
                    f"Renode does not play the board: {explained}",
                    where=self._board.name,
                    hint="docs/renode.md says how it is started",
                )
            time.sleep(_POLL_S)

    def _open_line(self, ours: int) -> None:
        self._line = os.open(self._link, os.O_RDWR | os.O_NOCTTY)
        # A single byte can be read then: Renode's terminal may ask for any number. Not the default
        # TCSAFLUSH, which would throw the greeting away.
        tty.setraw(self._line, termios.TCSANOW)
        make_transparent(self._line)
        self._relay = Relay(ours, self._line)

    def _complaint(self) -> str:
        """The command that Renode refuses, with the reason in the next line; or the first error
        that it tells of, or the last it said; "" if nothing."""
        if not self._words.exists():
            return ""
        with self._words.open("rb") as file:
            words = file.read(_WORDS_MAX).decode(errors="replace")
        lines = [line.strip() for line in words.splitlines() if line.strip()]
        for number, line in enumerate(lines):
            if _REFUSED in line:
                return " ".join(lines[number : number + 2])
        errors = [line for line in lines if _ERROR in line]
        return (errors or lines[-1:] or [""])[0]

    def _stop(self) -> None:
        if self._process is not None:
            self._end_group()
            assert self._process.stdin is not None
            self._process.stdin.close()
        super()._stop()
        if self._relay is not None:
            self._relay.close()
            self._relay = None
        if self._line is not None:
            os.close(self._line)
            self._line = None

    def _end_group(self) -> None:
        """Once only: when its leader is gone, its number may become another's."""
        if self._group is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)
            self._group = None
