"""An inference's profile: the cycles that were measured, and a stack as deep as its paint."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.board import BOARDS_DIR, load_board
from harness.chip import load_chip
from harness.compiler import compile_sources
from harness.errors import UsageError, WrongImageError
from harness.image import build_image
from harness.measure import measure
from harness.profiling import profile_inference
from harness.session import open_session
from harness.virtual.loader import check_board, check_vectors, memories_of, read_program
from tests.tflite_factory import small_network

BOARD = load_board("nucleo_f412zg")


@pytest.fixture(scope="module")
def model() -> bytes:
    return small_network()


def test_an_inference_is_profiled_to_the_cycle_and_its_stack_to_the_frame(model: bytes) -> None:
    with open_session(BOARD, "virtual") as session:
        measured = measure(model, session, repeats=1)
        seen = profile_inference(model, session, name="small", seed=0)
        again = measure(model, session, repeats=1)
    cycles = measured.cycles.median
    # The measured cycles hold the reading of the counter and the call as well.
    assert 0 <= cycles - seen.profile.cycles < 200
    assert again.cycles.median == cycles
    functions = {function.name: function for function in seen.profile.functions}
    assert functions["engine_invoke"].calls == functions["model_invoke"].calls == 1
    assert functions["engine_invoke"].total_cycles == seen.profile.cycles
    assert "conv_2d_s8" in functions
    # Paint finds what was written; the pointer goes on to the end of the frame.
    assert seen.painted_bytes == measured.sram.stack_bytes
    assert 0 <= seen.pointer_bytes - seen.painted_bytes <= 64


def test_a_board_that_cannot_watch_itself_is_not_profiled(model: bytes) -> None:
    session = SimpleNamespace(unit=object(), board=BOARD, via="hardware")
    with pytest.raises(UsageError, match=r"only a virtual board .*--via virtual, got hardware"):
        profile_inference(model, session, name="small", seed=0)  # type: ignore[arg-type]


def test_an_image_of_ours_carries_its_board_s_name(model: bytes, tmp_path: Path) -> None:
    chip = load_chip(BOARD.chip, BOARDS_DIR)
    image = build_image(compile_sources(model, name="small").sources, BOARD)
    program = read_program(image.elf, memories_of(chip))
    assert program.board == BOARD.name
    check_vectors(program, chip)
    with pytest.raises(WrongImageError, match="use --board nucleo_f412zg"):
        check_board(program, "nucleo_l4r5zi")
