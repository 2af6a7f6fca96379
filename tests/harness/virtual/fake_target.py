"""What a debug port can be tried on without a core: a little memory and a reset pin."""

from __future__ import annotations

from harness.virtual.dap import AccessFault, AhbAp, DebugPort

BASE = 0x20000000
SIZE = 0x3000


class FakeMemory:
    """SIZE bytes at BASE; `transfers` holds (address, bytes, write) of each bus transfer."""

    def __init__(self) -> None:
        self.bytes = bytearray(SIZE)
        self.transfers: list[tuple[int, int, bool]] = []

    def _at(self, address: int, size: int, access: int, *, write: bool) -> int:
        self.transfers += [(address + i, access, write) for i in range(0, size, access)]
        if not (address >= BASE and address + size <= BASE + SIZE) or address % access:
            raise AccessFault(address, size, write=write)
        return address - BASE

    def read(self, address: int, size: int, access: int) -> bytes:
        at = self._at(address, size, access, write=False)
        return bytes(self.bytes[at : at + size])

    def write(self, address: int, data: bytes, access: int) -> None:
        at = self._at(address, len(data), access, write=True)
        self.bytes[at : at + len(data)] = data


class FakeTarget:
    def __init__(self) -> None:
        self.memory = FakeMemory()
        self.dap = DebugPort([AhbAp(self.memory)])
        self.pin: list[bool] = []

    def hold_reset(self, asserted: bool) -> None:
        self.pin.append(asserted)
