"""The firmware on every virtual board does what a board must, and its cycles are repeatable."""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.board import BOARDS_DIR, Board, board_names, load_board
from harness.errors import FirmwareFaultError, NoReplyError
from harness.image import build_image
from harness.link import Link
from harness.measure import measure
from harness.measurement import Conditions
from harness.planner import plan
from harness.session import Session, open_session
from harness.tflite import read_graph
from harness.virtual import VirtualBoard
from tests.board_case import BoardCase, Build, make_input, run
from tests.firmware import ENGINE_DIR, model_sources
from tests.tflite_factory import small_network


class TestVirtualBoard(BoardCase):
    FAULTS = {**BoardCase.FAULTS, 1: "port_provoke", 6: "port_provoke"}

    @pytest.fixture(scope="class", params=board_names())
    @classmethod
    def board(cls, request: pytest.FixtureRequest) -> Board:
        return load_board(request.param)

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls, board: Board) -> Iterator[Session]:
        with open_session(board, "virtual") as session:
            yield session

    @pytest.fixture(scope="class")
    @classmethod
    def build(cls, board: Board) -> Build:
        return functools.partial(build_image, board=board, engine_dir=ENGINE_DIR)

    def check_conditions(self, told: Conditions) -> None:
        """25 degrees and 3.3 V; a step of the models' ADCs is 0.3 degrees and 2 mV."""
        assert told.temperature_c == pytest.approx(25, abs=0.4)
        assert told.vdd_v == pytest.approx(3.3, abs=0.003)

    def test_cycles_are_labelled_as_modelled(self, session: Session) -> None:
        assert (session.via, session.timing) == ("virtual", "modelled")
        assert session.timing_model

    def test_the_core_runs_at_the_clock_that_the_firmware_reports(self, flashed: Session) -> None:
        assert isinstance(flashed.unit, VirtualBoard)
        assert flashed.unit.report().core_hz == flashed.hello.sysclk_hz

    def test_the_same_run_takes_the_same_cycles(self, flashed: Session) -> None:
        data = make_input(stack_words=50)
        assert len({run(flashed, data).cycles for _ in range(4)}) == 1

    def test_sensors_that_were_read_change_no_cycle(self, flashed: Session) -> None:
        data = make_input(stack_words=50)
        before = run(flashed, data)
        flashed.conditions()
        assert run(flashed, data) == before

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
        assert caught.value.registers["sp"] < flashed.board.memory.sram.base

    def test_a_network_is_bit_exact_in_the_arena_that_was_planned(self, session: Session) -> None:
        model = small_network()
        result = measure(model, session, name="small", repeats=2)
        assert result.board == session.board.name and result.output.bit_exact
        assert result.sram.arena_bytes == plan(read_graph(model, where="small")).arena_bytes
        assert (result.sysclk_hz, result.flash_wait_states) == (
            session.board.sysclk_hz,
            session.board.flash_wait_states,
        )


@pytest.mark.parametrize("name", ["nrf52840dk", "nucleo_f412zg", "nucleo_l4r5zi"])
def test_a_chip_whose_sensors_never_answer_tells_nothing_and_runs_on(
    name: str, tmp_path: Path
) -> None:
    """As silicon whose ADC is broken: its registers remember, and nothing else happens."""
    board, boards = load_board(name), tmp_path / "boards"
    shutil.copytree(BOARDS_DIR, boards)
    chip = boards / "chips" / f"{board.chip}.toml"
    dead = re.sub(r'"nrf-(saadc|temp)"', '"nrf-storage"', chip.read_text())
    chip.write_text(re.sub(r'"stm32(f4|l4)-adc"', '"storage"', dead))
    image = build_image(model_sources(), board, engine_dir=ENGINE_DIR, selftest=True)
    with (
        VirtualBoard(board, boards_dir=boards) as unit,
        Link(unit.port, board.console.baud) as link,
    ):
        session = Session(board, "virtual", unit, link, timing="modelled", timing_model="")
        session.flash(image)
        before = run(session, make_input())
        assert session.conditions() == Conditions(None, None)
        assert run(session, make_input()) == before
