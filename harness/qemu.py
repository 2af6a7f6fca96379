"""How does QEMU play a board? A qemu-system-arm process for each start of an image, its USART on a
pty, its time counted in instructions: docs/qemu.md. Knows nothing of what the image does."""

from __future__ import annotations

import functools
import os
import pty
import re
import shutil
import subprocess
import tempfile
import termios
from pathlib import Path
from types import TracebackType

from harness.board import Qemu
from harness.errors import BoardError, ToolchainError

QEMU = "qemu-system-arm"
INSTALL = "apt-get install qemu-system-arm"
_PACKAGES = {QEMU: "qemu-system-arm", "setpriv": "util-linux"}
_DEADLINE_S = 20.0


def qemu_version() -> str:
    """As "7.2.22".

    Raises:
        ToolchainError: it, or what it is started with, is not installed or does not run.
    """
    for tool, package in _PACKAGES.items():
        if shutil.which(tool) is None:
            raise ToolchainError(f"{tool} is not on the PATH", hint=f"apt-get install {package}")
    return _version_of(str(shutil.which(QEMU)))


@functools.cache
def _version_of(path: str) -> str:
    try:
        told = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=_DEADLINE_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolchainError(f"does not run: {error}", where=path, hint=INSTALL) from None
    found = re.search(r"version (\S+)", told)
    if found is None:
        raise ToolchainError("does not tell its version", where=path, hint=INSTALL)
    return found[1]


class QemuBoard:
    """A context manager; `port` is the pty's name and stays over resets, each of which is a new
    process. The system kills it when the thread that started it ends, by SIGKILL or otherwise.

    Raises:
        ToolchainError: QEMU is missing.
    """

    def __init__(self, qemu: Qemu) -> None:
        self.version = qemu_version()
        self._qemu = qemu
        self._elf: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> QemuBoard:
        # Both ends stay open here, so that the line outlives processes and clients.
        self._ours, self._theirs = pty.openpty()
        self._words = tempfile.TemporaryFile()  # noqa: SIM115, closed by __exit__
        _make_transparent(self._theirs)
        self.port = os.ttyname(self._theirs)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()
        self._words.close()
        os.close(self._ours)
        os.close(self._theirs)

    @property
    def pid(self) -> int | None:
        """Of the process; None before the first image."""
        return None if self._process is None else self._process.pid

    def load(self, elf: Path) -> None:
        """Start the image `elf` in place of the one that runs.

        Raises:
            BoardError: QEMU does not start.
        """
        self._elf = elf
        self.reset()

    def reset(self) -> None:
        """Start the loaded image anew, with memories as they are behind power-up.

        Raises:
            BoardError: nothing was loaded, or QEMU does not start.
        """
        self._stop()
        if self._elf is None:
            raise BoardError("reset without an image", where=self.port, hint="load one first")
        self._words.seek(0)
        self._words.truncate()
        termios.tcflush(self._theirs, termios.TCIOFLUSH)
        try:
            self._process = subprocess.Popen(
                self._command(self._elf),
                stdin=self._ours,
                stdout=self._ours,
                stderr=self._words,
                start_new_session=True,  # Ctrl-C belongs to the command, which ends QEMU itself
            )
        except OSError as error:
            raise BoardError(f"QEMU does not start: {error.strerror}", where=QEMU) from None

    def _command(self, elf: Path) -> list[str]:
        return [
            *("setpriv", "--pdeathsig", "KILL", "--", QEMU),
            *("-no-user-config", "-nodefaults", "-display", "none"),
            *("-machine", self._qemu.machine, "-kernel", str(elf)),
            *("-icount", "shift=0"),  # an instruction takes a nanosecond
            *(["-serial", "null"] * self._qemu.serial),
            *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
        ]

    def explain_silence(self) -> str | None:
        """How QEMU ended, with its first words; None while it runs."""
        status = self._process.poll() if self._process is not None else None
        if status is None:
            return None
        self._words.seek(0)
        words = self._words.read().decode(errors="replace").strip().splitlines()
        quoted = f", saying {words[0]!r}" if words else ""
        return f"QEMU ended with exit status {status}{quoted}"

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(_DEADLINE_S)
            self._process = None


def _make_transparent(terminal: int) -> None:
    """No byte is changed on the way. tty.setraw() clears no more than OPOST of the output modes,
    and QEMU sets that one again."""
    settings = termios.tcgetattr(terminal)
    settings[0] = settings[1] = settings[3] = 0  # input, output, local modes
    termios.tcsetattr(terminal, termios.TCSANOW, settings)
