"""How does QEMU play a board? A qemu-system-arm process for each start of an image, its USART on a
pty, its time counted in instructions: docs/qemu.md. Knows nothing of what the image does."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import tempfile
import termios
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.board import Qemu
from harness.errors import BoardError, ToolchainError
from harness.ptyboard import PtyBoard

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


class QemuBoard(PtyBoard):
    """Each image and each reset is a QEMU of its own. The system kills it when the thread that
    started it ends, by SIGKILL or otherwise.

    Raises:
        ToolchainError: QEMU is missing.
    """

    def __init__(self, qemu: Qemu) -> None:
        super().__init__()
        self.version = qemu_version()
        self._qemu = qemu

    def __enter__(self) -> Self:
        self._words = tempfile.TemporaryFile()  # noqa: SIM115, closed by __exit__
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._words.close()

    def explain_silence(self) -> str | None:
        """How QEMU ended, with its first words; None while it runs."""
        status = self._exit_status
        if status is None:
            return None
        self._words.seek(0)
        words = self._words.read().decode(errors="replace").strip().splitlines()
        quoted = f", saying {words[0]!r}" if words else ""
        return f"QEMU ended with exit status {status}{quoted}"

    def _start(self, elf: Path, line: int) -> subprocess.Popen[bytes]:
        self._words.seek(0)
        self._words.truncate()
        termios.tcflush(self._theirs, termios.TCIOFLUSH)
        try:
            return subprocess.Popen(
                self._command(elf),
                stdin=line,
                stdout=line,
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
