"""How do bytes get from one terminal to another? A thread that copies both ways. Knows nothing of
what they mean."""

from __future__ import annotations

import contextlib
import os
import select
import threading

_CHUNK = 4096
_READ, _WRITE = select.POLLIN, select.POLLOUT
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class Relay:
    """Copies between the descriptors `one` and `other` until close(), or until one of them is hung
    up. Both become non-blocking, so that neither who does not read nor who died can hold it."""

    def __init__(self, one: int, other: int) -> None:
        self._partners = {one: other, other: one}
        self._closing, self._close = os.pipe()
        for end in self._partners:
            os.set_blocking(end, False)
        self._thread = threading.Thread(target=self._copy, name="relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Nothing is copied any more; the descriptors stay open."""
        os.close(self._close)
        self._thread.join()
        os.close(self._closing)

    def _copy(self) -> None:
        waiting = dict.fromkeys(self._partners, b"")  # by where it goes
        while True:
            poll = select.poll()
            poll.register(self._closing, _READ)
            for end, partner in self._partners.items():
                wants = (_WRITE if waiting[end] else 0) | (0 if waiting[partner] else _READ)
                poll.register(end, wants)
            ready = dict(poll.poll())
            if self._closing in ready:
                return
            for end, what in ready.items():
                partner = self._partners[end]
                with contextlib.suppress(BlockingIOError):
                    try:
                        if what & _WRITE:
                            waiting[end] = waiting[end][os.write(end, waiting[end]) :]
                        if what & _READ:
                            waiting[partner] += os.read(end, _CHUNK)
                        elif what & _GONE:
                            return
                    except OSError as error:
                        if isinstance(error, BlockingIOError):
                            raise
                        return  # hung up
