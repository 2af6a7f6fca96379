"""What of a core does its debug port reach? Memories, devices and core registers, a transfer at a
time, in turn with the control channel."""

from __future__ import annotations

import threading

from harness.errors import BoardError
from harness.virtual.core import Core
from harness.virtual.dap import AccessFault


class DebugBus:
    """The bus behind the AHB-AP. `turn` is held while the core is asked, so that nobody frees,
    loads or resets it meanwhile; after close() every access raises BoardError."""

    def __init__(self, core: Core, turn: threading.RLock) -> None:
        self._core: Core | None = core
        self._turn = turn

    def read(self, address: int, size: int, access: int) -> bytes:
        with self._turn:
            data = self._there().debug_read(address, size, access)
        if data is None:
            raise AccessFault(address, size, write=False)
        return data

    def write(self, address: int, data: bytes, access: int) -> None:
        with self._turn:
            done = self._there().debug_write(address, data, access)
        if not done:
            raise AccessFault(address, len(data), write=True)

    def close(self) -> None:
        self._core = None

    def _there(self) -> Core:
        if self._core is None:
            raise BoardError("the board was switched off", hint="start another one")
        return self._core
