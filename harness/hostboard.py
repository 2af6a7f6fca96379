"""What plays the board in fast tests? The firmware's host port: the same app as an ordinary
program on a pty. Its cycles are this machine's nanoseconds and never enter a Measurement."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.errors import BoardError
from harness.ptyboard import PtyBoard


class HostBoard(PtyBoard):
    """The program is a process of this machine."""

    _image = "a program"

    def explain_silence(self) -> str | None:
        """How the program ended; None while it runs."""
        status = self._exit_status
        return None if status is None else f"the program ended with exit status {status}"

    def _start(self, elf: Path, line: int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen([str(elf), "-"], stdin=line)
        except OSError as error:
            raise BoardError(
                f"the host program does not start: {error.strerror}", where=elf
            ) from None
