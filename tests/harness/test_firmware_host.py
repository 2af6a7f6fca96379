"""The firmware as an ordinary program does what every board must."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.board import load_board
from harness.errors import BoardError
from harness.hostboard import HostBoard
from harness.image import HostProgram, build_host_program
from harness.link import Link
from harness.session import Session, open_host_session
from harness.wire import Hello
from tests.board_case import BoardCase, Build
from tests.firmware import ENGINE_DIR, model_sources

BOARD = load_board("nucleo_f412zg")


def build_program(selftest: bool = True) -> HostProgram:
    return build_host_program(model_sources(), BOARD, engine_dir=ENGINE_DIR, selftest=selftest)


class TestHostBoard(BoardCase):
    @pytest.fixture(scope="class")
    @classmethod
    def session(cls) -> Iterator[Session]:
        with open_host_session(BOARD) as session:
            yield session

    @pytest.fixture(scope="class")
    @classmethod
    def build(cls) -> Build:
        return functools.partial(build_host_program, board=BOARD, engine_dir=ENGINE_DIR)

    def test_its_timing_is_labelled_so_that_no_measurement_takes_it(
        self, session: Session
    ) -> None:
        assert (session.via, session.timing, session.timing_model) == ("host", "host", "")


def test_the_program_opens_a_pty_of_its_own_and_prints_its_name() -> None:
    program = build_program()
    with subprocess.Popen([program.elf], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            name = process.stdout.readline().strip()
            with Link(name, BOARD.console.baud) as link:
                greeting = link.request(Hello(bytes(16)), deadline_s=10)
        finally:
            process.kill()
    assert greeting.nonce == program.nonce  # type: ignore[union-attr]


def test_the_program_takes_a_terminal_by_name_or_says_why_not(tmp_path: Path) -> None:
    program = build_program()
    result = subprocess.run(
        [program.elf, tmp_path / "none"], capture_output=True, text=True, timeout=10
    )
    assert result.returncode == 1
    assert result.stderr == f"{tmp_path}/none: cannot be opened: No such file or directory\n"


def test_a_program_that_cannot_start_is_named(tmp_path: Path) -> None:
    with HostBoard() as board:
        with pytest.raises(BoardError, match="reset without a program; load one first"):
            board.reset()
        with pytest.raises(BoardError, match="none: the host program does not start: No such"):
            board.load(tmp_path / "none")
