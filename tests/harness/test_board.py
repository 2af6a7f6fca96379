"""Board descriptions: read strictly, refused by name."""

import shutil

import pytest

from harness.board import BOARDS_DIR, board_names, load_board
from harness.errors import ConfigError, UnknownBoardError


@pytest.mark.parametrize("name", board_names())
def test_every_described_board_loads_and_its_regions_do_not_overlap(name):
    board = load_board(name)
    assert board.name == name
    flash, sram = board.memory.flash, board.memory.sram
    assert flash.end <= sram.base or sram.end <= flash.base


def test_the_demo_board_is_the_one_of_the_data_sheet():
    board = load_board("nucleo_f412zg")
    assert (board.memory.sram.size, board.memory.flash.size) == (256 * 1024, 1024 * 1024)
    assert (board.sysclk_hz, board.core) == (100_000_000, "cortex-m4f")


def test_an_unknown_board_is_refused_with_the_known_ones():
    with pytest.raises(UnknownBoardError, match=r"unknown board 'nucleo' .*nucleo_f412zg"):
        load_board("nucleo")


def test_a_board_name_cannot_leave_the_folder():
    with pytest.raises(UnknownBoardError):
        load_board("../boards/nucleo_f412zg")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "nucleo_f412zg"', 'name = "other"', "name differs from its folder"),
        ('core = "cortex-m4f"', 'core = "cortex-m7"', "is not cortex-m4 or cortex-m4f"),
        ("sysclk_hz = 100_000_000", "sysclk_hz = 0", "sysclk_hz must be at least 1, got 0"),
        (
            "flash_wait_states = 3",
            "flash_wait_states = -1",
            "flash_wait_states must be at least 0",
        ),
        ("baud = 921_600", "baud = 0", "console: baud must be at least 1, got 0"),
        ("size = 0x0004_0000", "size = 0", "sram: size must be at least 1, got 0"),
        ("base = 0x0800_0000", "base = -4", "flash: base must be at least 0, got -4"),
        ("base = 0x2000_0000", "base = 0xFFFF_FFF0", "sram: region ends at 0x10003fff0, behind"),
        ("prefetch = true", "prefetsch = true", "unknown key 'prefetsch'"),
    ],
)
def test_a_wrong_description_is_refused_by_file_and_key(tmp_path, old, new, message):
    shutil.copytree(BOARDS_DIR / "nucleo_f412zg", tmp_path / "nucleo_f412zg")
    path = tmp_path / "nucleo_f412zg" / "board.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        load_board("nucleo_f412zg", tmp_path)
    assert "board.toml" in str(caught.value)
