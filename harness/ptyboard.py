"""How does a process play a board? Its line is a pty that outlives it: each image and each reset
is a new process. Knows nothing of what the processes are; whoever plays a board says that."""

from __future__ import annotations

import os
import pty
import subprocess
import termios
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from harness.errors import BoardError

_DEADLINE_S = 20.0  # of a killed process


class PtyBoard(ABC):
    """A context manager; `port` is the pty's name and stays over resets. See
    harness.session.Unit. `_image`: what people call what is loaded."""

    _image: ClassVar[str] = "an image"

    def __init__(self) -> None:
        self._elf: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _start(self, elf: Path, line: int) -> subprocess.Popen[bytes]:
        """A process that runs `elf` and talks on the descriptor `line`.

        Raises:
            BoardError: it does not start.
        """

    def __enter__(self) -> Self:
        # Both ends stay open here, so that the line outlives processes and clients.
        self._ours, self._theirs = pty.openpty()
        make_transparent(self._theirs)
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

    @property
    def pid(self) -> int | None:
        """Of the process; None before the first image."""
        return None if self._process is None else self._process.pid

    @property
    def _exit_status(self) -> int | None:
        """Of the process that ended by itself; None while it runs, and before the first image."""
        return None if self._process is None else self._process.poll()

    def load(self, elf: Path) -> None:
        """Start the image `elf` in place of the one that runs.

        Raises:
            BoardError: it does not start.
        """
        self._elf = elf
        self.reset()

    def reset(self) -> None:
        """Start the loaded image anew, with memories as they are behind power-up.

        Raises:
            BoardError: nothing was loaded, or it does not start.
        """
        self._stop()
        if self._elf is None:
            raise BoardError(
                f"reset without {self._image}", where=self.port, hint="load one first"
            )
        self._process = self._start(self._elf, self._ours)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(_DEADLINE_S)
            self._process = None


def make_transparent(terminal: int) -> None:
    """No byte is changed on the way. tty.setraw() clears no more than OPOST of the output modes,
    and QEMU sets that one again."""
    settings = termios.tcgetattr(terminal)
    settings[0] = settings[1] = settings[3] = 0  # input, output, local modes
    termios.tcsetattr(terminal, termios.TCSANOW, settings)
