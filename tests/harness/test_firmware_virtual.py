"""The firmware on the virtual board does what every board must, and its cycles are repeatable."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from harness.board import load_board
from harness.errors import FirmwareFaultError, NoReplyError
from harness.image import build_image
from harness.session import Session, open_session
from tests.board_case import BoardCase, Build, make_input, run
from tests.firmware import ENGINE_DIR

BOARD = load_board("nucleo_f412zg")


class TestVirtualBoard(BoardCase):
    FAULTS = {**BoardCase.FAULTS, 1: "port_provoke", 6: "port_provoke"}

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls) -> Iterator[Session]:
        with open_session(BOARD, "virtual") as session:
            yield session

    @pytest.fixture(scope="class")
    @classmethod
    def build(cls) -> Build:
        return functools.partial(build_image, board=BOARD, engine_dir=ENGINE_DIR)

    def test_cycles_are_labelled_as_modelled(self, session: Session) -> None:
        assert (session.via, session.timing) == ("virtual", "modelled")
        assert session.timing_model

    def test_the_same_run_takes_the_same_cycles(self, flashed: Session) -> None:
        data = make_input(stack_words=50)
        assert len({run(flashed, data).cycles for _ in range(4)}) == 1

    def test_cycles_are_right_across_ticks_and_the_counter_s_wrap(self, flashed: Session) -> None:
        """In an image built for tests the counter starts 2^23 cycles before it wraps."""
        data = make_input(spin=64)
        across_the_wrap, behind_it = run(flashed, data).cycles, run(flashed, data).cycles
        assert across_the_wrap > 2**24 + 2**23  # and SysTick has interrupted
        assert across_the_wrap == behind_it

    def test_reporting_a_layer_is_not_counted(self, flashed: Session) -> None:
        """Each report is 19 bytes on the line, some 20 000 cycles at 921 600 baud."""
        data = make_input()
        plain, profiled = run(flashed, data), run(flashed, data, profile=True)
        assert abs(profiled.cycles - plain.cycles) < 500

    def test_a_jump_to_where_no_code_can_be_names_the_caller(self, flashed: Session) -> None:
        with pytest.raises(FirmwareFaultError) as caught:
            flashed.provoke(2)
        assert "MemManage in 0x40000000, called from port_provoke+0x" in str(caught.value)

    def test_an_endless_run_ends_at_its_deadline_and_a_restart_helps(
        self, flashed: Session
    ) -> None:
        data = make_input(spin=255)
        flashed.prepare(0xA5)
        flashed.write_input(0, data)
        with pytest.raises(NoReplyError, match="the reply to Run did not come within 0.05 s"):
            flashed.run(deadline_s=0.05)
        flashed.restart()
        assert run(flashed, make_input()).cycles > 0

    def test_a_stack_overflow_leaves_sram_downwards(self, flashed: Session) -> None:
        with pytest.raises(FirmwareFaultError) as caught:
            flashed.provoke(5)
        assert caught.value.registers["sp"] < BOARD.memory.sram.base
