"""Where does a process that opens boards again and again get the next one from? From one that was
started and never loaded: its fork is there in a fiftieth of the time. The first board of a process
is started as ever, because most processes need no second one."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass, field

from harness.board import Board
from harness.errors import BoardError
from harness.virtual.board import VirtualBoard


@dataclass
class Nursery:
    """Of one process: a fork of it begins with none, for the boards' pipes are not shared."""

    _pid: int = field(default_factory=os.getpid)
    _opened: set[str] = field(default_factory=set)
    _parents: dict[str, VirtualBoard] = field(default_factory=dict)

    def open(self, board: Board) -> VirtualBoard:
        """A board as it comes, to be closed by the caller.

        Raises:
            BoardError: it does not start.
        """
        if self._pid != os.getpid():
            self._pid, self._opened, self._parents = os.getpid(), set(), {}
        if board.name not in self._opened:
            self._opened.add(board.name)
            return VirtualBoard(board)
        if board.name not in self._parents:
            self._parents[board.name] = VirtualBoard(board)
        try:
            return self._parents[board.name].fork()
        except BoardError:  # it died; whatever the reason, a new one tells
            self._parents.pop(board.name).close()
            return VirtualBoard(board)

    def close(self) -> None:
        if self._pid == os.getpid():
            for parent in self._parents.values():
                parent.close()
        self._parents = {}


NURSERY = Nursery()
atexit.register(NURSERY.close)
