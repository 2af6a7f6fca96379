"""Sessions: who may be flashed, what is checked before bytes go out, how a unit is found again."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import wire
from harness.board import load_board
from harness.errors import (
    BoardError,
    FrameError,
    NoReplyError,
    UnknownBoardError,
    UsageError,
    WrongImageError,
)
from harness.hostboard import HostBoard
from harness.image import HostProgram, build_host_program, build_image
from harness.link import Link
from harness.session import Deadlines, Session, open_host_session, open_session, vias_of
from harness.virtual import VirtualBoard
from tests.board_case import make_input, output_for
from tests.firmware import ENGINE_DIR, model_sources
from tests.harness.virtual.firmware import compile_firmware

BOARD = load_board("nucleo_f412zg")


@pytest.fixture(scope="module")
def program() -> HostProgram:
    return build_host_program(model_sources(), BOARD, engine_dir=ENGINE_DIR)


@pytest.fixture
def session() -> Iterator[Session]:
    with open_host_session(BOARD) as session:
        yield session


@pytest.mark.parametrize("via", ["qemu", "telepathy"])
def test_a_way_that_is_not_there_is_refused_at_once(via: str) -> None:
    with pytest.raises(UnknownBoardError) as caught:
        open_session(BOARD, via)
    assert str(caught.value) == (
        f"nucleo_f412zg cannot be measured via '{via}' (expected {' or '.join(vias_of(BOARD))}); "
        "use --via virtual"
    )


def test_before_an_image_is_flashed_there_is_no_hello(session: Session) -> None:
    with pytest.raises(UsageError, match="the session has no image yet; call flash"):
        _ = session.hello


def test_an_image_for_another_board_is_not_flashed(session: Session, program: HostProgram) -> None:
    foreign = dataclasses.replace(program, board="other_board")
    with pytest.raises(WrongImageError, match="expected nucleo_f412zg, got other_board"):
        session.flash(foreign)


def test_firmware_that_names_another_board_is_noticed(program: HostProgram) -> None:
    other = dataclasses.replace(BOARD, name="other_board")
    mislabelled = dataclasses.replace(program, board="other_board")
    with (
        open_host_session(other) as session,
        pytest.raises(WrongImageError, match="its board differs.*got nucleo_f412zg"),
    ):
        session.flash(mislabelled)


def test_inputs_and_outputs_are_checked_before_anything_is_sent(
    session: Session, program: HostProgram
) -> None:
    session.flash(program)
    with pytest.raises(UsageError, match=r"input 0 has another size \(expected 1000, got 3\)"):
        session.write_input(0, b"abc")
    with pytest.raises(UsageError, match=r"no such input \(expected 0 to 0, got 1\)"):
        session.write_input(1, b"")
    with pytest.raises(UsageError, match=r"no such output \(expected 0 to 0, got -1\)"):
        session.read_output(-1)


def test_a_greeting_that_was_lost_is_asked_for(
    program: HostProgram,
) -> None:
    """The line may eat BOOT: the unit answers HELLO all the same."""

    class DeafBoard(HostBoard):
        def load(self, elf: Path) -> None:
            super().load(elf)
            link.receive(10)  # BOOT goes to somebody else

    with DeafBoard() as unit, Link(unit.port, BOARD.console.baud) as link:
        hasty = Deadlines(boot_s=2.0)
        session = Session(
            BOARD, "host", unit, link, timing="host", timing_model="", deadlines=hasty
        )
        session.flash(program)
        assert session.hello.nonce == program.nonce


def test_another_piece_of_output_than_asked_for_is_refused(
    session: Session, program: HostProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.flash(program)
    monkeypatch.setattr(
        session.link, "request", lambda *_, **__: wire.OutputChunk(0, 1, bytes(507))
    )
    with pytest.raises(FrameError) as caught:
        session.read_output(0)
    assert "expected output 0, 507 bytes from 0, got output 0, 507 bytes from 1" in str(
        caught.value
    )


def test_a_fault_is_looked_up_in_the_flashed_image(
    session: Session, program: HostProgram, tmp_path: Path
) -> None:
    session.flash(program)
    find = session.link.find_function
    assert find is not None
    assert find(0) is None
    copied = Path(shutil.copy(program.elf, tmp_path))
    session.flash(dataclasses.replace(program, elf=copied))
    copied.unlink()
    assert session.link.find_function is not None
    assert session.link.find_function(0) is None  # the fault is the news, not the missing file


def test_a_program_that_ended_is_told_from_a_silent_one(
    session: Session, program: HostProgram
) -> None:
    session.flash(program)
    assert isinstance(session.unit, HostBoard) and session.unit._process is not None
    session.unit._process.kill()
    session.unit._process.wait(10)
    with pytest.raises(BoardError) as caught:
        session.run(deadline_s=0.2)
    assert str(caught.value) == (
        "nucleo_f412zg: the reply to Run did not come within 0.2 s: the program ended with exit "
        "status -9; reset the unit or flash it again"
    )


def test_a_silence_that_nobody_can_explain_stays_one(
    session: Session, program: HostProgram
) -> None:
    session.flash(program)
    assert isinstance(session.unit, HostBoard) and session.unit._process is not None
    session.unit._process.send_signal(signal.SIGSTOP)
    with pytest.raises(NoReplyError, match="the reply to Run did not come within 0.2 s"):
        session.run(deadline_s=0.2)


def test_a_core_that_locks_up_is_told_from_a_silent_one(
    tmp_path: Path,
) -> None:
    source = "void hard_fault(void) { REG(0x60000000) = 1; } void main(void) { hard_fault(); }"
    locking = HostProgram(compile_firmware(source, tmp_path), BOARD.name, bytes(16))
    with (
        open_session(BOARD, "virtual") as session,
        pytest.raises(
            BoardError,
            match=r"nucleo_f412zg: Boot after a reset did not come within 0.5 s: the core "
            r"locked up at 0x080\w{5}, by a fault inside a fault handler; reset the unit",
        ),
    ):
        session.deadlines = Deadlines(boot_s=1.0)
        session.flash(locking)


def test_a_board_that_dies_in_a_run_is_named_with_its_end() -> None:
    image = build_image(model_sources(), BOARD, engine_dir=ENGINE_DIR)
    with open_session(BOARD, "virtual") as session:
        session.flash(image)
        session.prepare(0xA5)
        session.write_input(0, make_input(spin=255))
        assert isinstance(session.unit, VirtualBoard)
        threading.Timer(0.05, session.unit._process.kill).start()
        with pytest.raises(
            BoardError, match=r"the virtual board died .* exit status (-9|unknown)"
        ):
            session.run()


def test_one_session_flashes_one_image_after_the_other(session: Session) -> None:
    data = make_input()
    for bias in (1, 2):
        sources = model_sources(bias=bias)
        session.flash(build_host_program(sources, BOARD, engine_dir=ENGINE_DIR))
        session.prepare(0xA5)
        session.write_input(0, data)
        session.run()
        expected = bytes((byte + bias - 1) % 256 for byte in output_for(data))
        assert session.read_output(0) == expected
