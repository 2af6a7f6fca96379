from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.board import load_board
from harness.virtual import VirtualBoard
from tests.harness.virtual.firmware import compile_firmware, run_firmware


@pytest.fixture(scope="session")
def firmware_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("firmware")


@pytest.fixture(scope="session")
def virtual_board() -> Iterator[VirtualBoard]:
    """One board for all tests that leave it fit for another load."""
    with VirtualBoard(load_board("nucleo_f412zg")) as board:
        yield board


@pytest.fixture
def run(virtual_board: VirtualBoard, firmware_folder: Path) -> Callable[..., list[int]]:
    """run(source, words): compile, load, and the words that the firmware reports."""

    def run_source(source: str, words: int, *, send: bytes = b"") -> list[int]:
        return run_firmware(
            virtual_board, compile_firmware(source, firmware_folder), words, send=send
        )

    return run_source
