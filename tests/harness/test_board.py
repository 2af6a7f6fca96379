"""Board descriptions: read strictly, refused by name."""

import dataclasses
import shutil

import pytest

from harness.board import BOARDS_DIR, board_names, load_board
from harness.chip import MemoryPart, load_chip
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


def test_a_board_whose_chip_is_not_described_is_refused(tmp_path):
    shutil.copytree(BOARDS_DIR, tmp_path, dirs_exist_ok=True)
    (tmp_path / "chips" / "stm32f412.toml").unlink()
    with pytest.raises(
        UnknownBoardError, match=r"stm32f412.toml: unknown chip 'stm32f412' .*describe it there"
    ):
        load_board("nucleo_f412zg", tmp_path)


@pytest.mark.parametrize(
    ("spans", "kind", "base", "end", "covered"),
    [
        ([(0x100, 0x100, None)], "ram", 0x100, 0x200, True),
        ([(0x100, 0x100, None)], "ram", 0x100, 0x201, False),
        ([(0x100, 0x100, None)], "ram", 0xFF, 0x180, False),
        ([(0x100, 0x100, None)], "flash", 0x100, 0x200, False),
        ([(0x200, 0x100, None), (0x100, 0x100, None)], "ram", 0x180, 0x300, True),
        ([(0x100, 0x100, None), (0x201, 0x100, None)], "ram", 0x100, 0x300, False),
        ([(0x100, 0x100, None), (0x900, 0x100, 0x200)], "ram", 0x100, 0x300, True),
    ],
    ids=["whole", "too long", "too low", "another kind", "two pieces", "a gap", "an alias"],
)
def test_a_region_must_lie_in_memory_without_a_gap(spans, kind, base, end, covered):
    chip = load_chip("stm32f412", BOARDS_DIR)
    pieces = tuple(MemoryPart("piece", "ram", *span) for span in spans)
    chip = dataclasses.replace(chip, memory=(MemoryPart("flash", "flash", 0x1000, 0x100), *pieces))
    assert chip.covers(kind, base, end) is covered


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
        (
            "base = 0x0800_0000",
            "base = 0x0801_0000",
            "memory.flash does not lie in a memory of stm32f412 .expected flash 0x08000000 to "
            "0x08100000, .*, got 0x08010000 to 0x08110000.; correct base and size",
        ),
        (
            "size = 0x0004_0000",
            "size = 0x0004_0001",
            "memory.sram does not lie in a memory of stm32f412 .*got 0x20000000 to 0x20040001",
        ),
        ('uart = "USART3"', 'uart = "USART9"', "console.uart: stm32f412 has no USART9"),
        (
            "base = 0x4000_4800",
            "base = 0x4000_4400",
            "console.base is not where USART3 lies .expected 0x40004800, got 0x40004400",
        ),
    ],
)
def test_a_wrong_description_is_refused_by_file_and_key(tmp_path, old, new, message):
    shutil.copytree(BOARDS_DIR, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "nucleo_f412zg" / "board.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        load_board("nucleo_f412zg", tmp_path)
    assert "board.toml" in str(caught.value)
