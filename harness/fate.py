"""How does a process end with the one that started it, however that ends?"""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # prctl(2); stays across exec


def die_with(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """The kernel sends this process the signal `number` when `parent`, which started it, ends; at
    once it ends by itself where that has happened already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)
