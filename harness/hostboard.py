"""What plays the board in fast tests? The firmware's host port: the same app as an ordinary
program on a pty. Its cycles are this machine's nanoseconds and never enter a Measurement."""

from __future__ import annotations

import os
import pty
import subprocess
import tty
from pathlib import Path
from types import TracebackType

from harness.errors import BoardError

_DEADLINE_S = 10.0


class HostBoard:
    """A context manager; `port` is the pty's name and stays over resets."""

    def __init__(self) -> None:
        self._elf: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> HostBoard:
        # Both ends stay open here, so that the line outlives programs and clients.
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._theirs)
        self.port = os.ttyname(self._theirs)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()
        os.close(self._ours)
        os.close(self._theirs)

    def load(self, elf: Path) -> None:
        """Start the program `elf` in place of the one that runs.

        Raises:
            BoardError: it does not start.
        """
        self._elf = elf
        self.reset()

    def reset(self) -> None:
        """Start the loaded program anew.

        Raises:
            BoardError: nothing was loaded, or it does not start.
        """
        self._stop()
        if self._elf is None:
            raise BoardError("reset without a program", where=self.port, hint="load one first")
        try:
            self._process = subprocess.Popen([str(self._elf), "-"], stdin=self._ours)
        except OSError as error:
            raise BoardError(
                f"the host program does not start: {error.strerror}", where=self._elf
            ) from None

    def explain_silence(self) -> str | None:
        """How the program ended; None while it runs."""
        status = self._process.poll() if self._process is not None else None
        return None if status is None else f"the program ended with exit status {status}"

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(_DEADLINE_S)
            self._process = None
