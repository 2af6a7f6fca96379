"""The second board of a process is a fork, and nobody can tell."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.board import load_board
from harness.virtual.board import ForkedProcess
from harness.virtual.nursery import Nursery
from tests.harness.virtual.firmware import compile_firmware, run_firmware

BOARD = load_board("nucleo_f412zg")
# The byte comes when the host sends it, so what is timed begins behind it.
WORK = """
void main(void) {
    report(CYCCNT);
    report(get());
    uint32_t began = CYCCNT;
    for (volatile int i = 0; i < 1000; i++) {}
    report(CYCCNT - began);
}
"""


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


def test_boards_from_the_nursery_run_as_the_first_does(
    nursery: Nursery, firmware_folder: Path
) -> None:
    elf, results, forked = compile_firmware(WORK, firmware_folder), [], []
    for _ in range(3):
        with nursery.open(BOARD) as board:
            results.append(run_firmware(board, elf, 3, send=b"x"))
            forked.append(isinstance(board._process, ForkedProcess))
    assert results[0] == results[1] == results[2]
    assert forked == [False, True, True]


def test_a_parent_that_died_is_replaced(nursery: Nursery) -> None:
    nursery.open(BOARD).close()
    nursery.open(BOARD).close()
    os.kill(nursery._parents[BOARD.name]._process.pid, signal.SIGKILL)
    for _ in range(3):
        with nursery.open(BOARD) as board:
            assert board.counters().state == "stopped"
    assert list(nursery._parents) == [BOARD.name]


def test_another_process_has_boards_of_its_own(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    nursery.open(BOARD).close()
    nursery.open(BOARD).close()
    parents = dict(nursery._parents)
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        with nursery.open(BOARD) as board:
            assert not isinstance(board._process, ForkedProcess)
        assert nursery._parents == {}
    for parent in parents.values():
        parent.counters()
        parent.close()
