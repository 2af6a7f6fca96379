"""The firmware's ports: what each asks of its board's description, by itself and in an image."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness import image as image_module
from harness.board import BOARDS_DIR, Board, board_names, load_board
from harness.chip import load_chip
from harness.errors import ConfigError, DoesNotFitError
from harness.image import Image, build_image
from tests.firmware import ENGINE_DIR, FIRMWARE, model_sources


def check_port(board: Board, folder: Path) -> None:
    """Compile the port as an image for `board` would, without linking; raises what the build
    would. A tenth of the time that configuring a build tree takes."""
    values = dict(re.findall(r'set\((\w+) "(.*)"\)', image_module._board_values(board, 4096)))
    values["CHIP_MACRO"] = f"CHIP_{board.chip.upper()}"
    text = (FIRMWARE / "cmake" / "board.h.in").read_text()
    (folder / "board.h").write_text(re.sub(r"@(\w+)@", lambda name: values[name[1]], text))
    named = (FIRMWARE / "port" / board.port / "parts.cmake").read_text()
    (parts,) = re.findall(r"set\(PORT_PARTS ([\w ]+)\)", named)
    folders = [FIRMWARE / "port" / part for part in [*parts.split(), board.port]]
    compiler = subprocess.run(
        [
            *("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-std=gnu11", "-fsyntax-only"),
            *("-Wall", "-Wextra", "-Werror", f"-I{folder}"),
            *(f"-I{path}" for path in [FIRMWARE / "app", FIRMWARE / "port", *folders]),
            *(str(source) for path in folders for source in sorted(path.glob("*.c"))),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if compiler.returncode != 0:
        raise image_module._explain(compiler.stderr, where=board.name)


def changed(board: Board, changes: dict[str, Any]) -> Board:
    of_console = {field.name for field in dataclasses.fields(board.console)}
    console = {key: value for key, value in changes.items() if key in of_console}
    rest = {key: value for key, value in changes.items() if key not in of_console}
    return dataclasses.replace(
        board, console=dataclasses.replace(board.console, **console), **rest
    )


@pytest.mark.parametrize("name", board_names())
def test_every_described_board_is_served_by_its_port(name: str, tmp_path: Path) -> None:
    check_port(load_board(name), tmp_path)


@pytest.mark.parametrize(
    ("name", "changes", "complaint"),
    [
        (
            "nucleo_f412zg",
            {"sysclk_hz": 99_500_000, "clock_hz": 49_750_000},
            "this PLL set-up makes whole megahertz only",
        ),
        (
            "nucleo_f412zg",
            {"sysclk_hz": 20_000_000, "clock_hz": 20_000_000},
            "sysclk_hz is out of the range of the PLL",
        ),
        (
            "nucleo_f412zg",
            {"sysclk_hz": 110_000_000, "clock_hz": 27_500_000},
            "sysclk_hz is above what the chip can do",
        ),
        ("nucleo_f412zg", {"flash_wait_states": 16}, "flash_wait_states has four bits"),
        ("nucleo_f412zg", {"flash_wait_states": 2}, "flash_wait_states are too few for sysclk_hz"),
        ("nucleo_f446re", {"flash_wait_states": 4}, "flash_wait_states are too few for sysclk_hz"),
        ("nucleo_f412zg", {"baud": 4_000_000}, "the baud rate is too high for clock_hz"),
        ("nucleo_f412zg", {"baud": 2_700_000}, "the baud rate is not within 2 %"),
        (
            "nucleo_f412zg",
            {"clock_hz": 30_000_000},
            "clock_hz is not sysclk_hz divided by 1, 2, 4, 8 or 16",
        ),
        (
            "nucleo_f446re",
            {"clock_hz": 90_000_000},
            "clock_hz is above what the bus of the console may have",
        ),
        ("nucleo_f412zg", {"base": 0x4000_0000}, "console.base is no USART of this port"),
        ("nucleo_f412zg", {"chip": "stm32l475"}, "chip is not one of this port: stm32f412"),
        (
            "nucleo_f401re",
            {"sysclk_hz": 88_000_000, "clock_hz": 22_000_000},
            "sysclk_hz is above what the chip can do",
        ),
        (
            "nucleo_f401re",
            {"sysclk_hz": 47_000_000, "clock_hz": 23_500_000},
            "sysclk_hz is out of the range of the PLL",
        ),
        ("nucleo_f401re", {"flash_wait_states": 1}, "flash_wait_states are too few"),
        ("nucleo_f401re", {"base": 0x4000_4800}, "console.base is no USART of this port"),
        ("nucleo_f401re", {"chip": "stm32f412"}, "chip is not one of this port: stm32f401"),
        (
            "b_l475e_iot01a",
            {"sysclk_hz": 79_000_000, "clock_hz": 79_000_000},
            "this PLL set-up makes even megahertz only",
        ),
        (
            "b_l475e_iot01a",
            {"sysclk_hz": 30_000_000, "clock_hz": 30_000_000},
            "sysclk_hz is out of the range of the PLL",
        ),
        (
            "b_l475e_iot01a",
            {"sysclk_hz": 84_000_000, "clock_hz": 42_000_000},
            "sysclk_hz is above what the chip can do",
        ),
        ("b_l475e_iot01a", {"flash_wait_states": 3}, "flash_wait_states are too few"),
        ("b_l475e_iot01a", {"flash_wait_states": 5}, "flash_wait_states are more than the chip"),
        ("nucleo_l4r5zi", {"flash_wait_states": 4}, "flash_wait_states are too few"),
        ("nucleo_l4r5zi", {"baud": 50_000_000}, "the baud rate is too high for clock_hz"),
        ("nucleo_l4r5zi", {"base": 0x4000_4C00}, "console.base is no UART of this port"),
        ("nucleo_l4r5zi", {"chip": "stm32f412"}, "chip is not one of this port: stm32l475"),
        ("netduinoplus2", {"sysclk_hz": 168_000_000}, "sysclk_hz of this port is 16 MHz"),
        ("netduinoplus2", {"clock_hz": 32_000_000}, "clock_hz of this port is 16 MHz"),
        ("netduinoplus2", {"flash_wait_states": 1}, "flash_wait_states of this port are 0"),
        ("netduinoplus2", {"base": 0x4001_1000}, "console.base is no USART of this port: USART6"),
        ("netduinoplus2", {"chip": "stm32f412"}, "chip is not one of this port: stm32f405"),
    ],
)
def test_what_the_chip_cannot_do_is_refused(
    name: str, changes: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_port(changed(load_board(name), changes), tmp_path)
    assert f"{name}: the board cannot be built for: {complaint}" in str(caught.value)
    assert str(caught.value).endswith("; correct its board.toml")


# images of every board: one configured build tree each, kept in the cache from run to run


@pytest.fixture(scope="module", params=board_names())
def board(request: pytest.FixtureRequest) -> Board:
    return load_board(request.param)


@pytest.fixture(scope="module")
def image(board: Board) -> Image:
    return build_image(model_sources(), board, engine_dir=ENGINE_DIR)


def test_the_vector_table_has_every_interrupt_of_the_chip(board: Board, image: Image) -> None:
    chip = load_chip(board.chip, BOARDS_DIR)
    symbols = subprocess.run(
        ["arm-none-eabi-nm", "-S", image.elf], capture_output=True, text=True, check=True
    ).stdout
    (entry,) = [line.split() for line in symbols.splitlines() if line.endswith(" vectors")]
    assert int(entry[0], 16) == board.memory.flash.base
    assert int(entry[1], 16) == 4 * (16 + chip.interrupts)


def test_sram_ends_where_the_board_says(board: Board, image: Image) -> None:
    """The largest arena that fits leaves less than its alignment, and one step more is refused."""
    free = board.memory.sram.size - image.static_bytes - image.stack_reserve_bytes
    largest = (free - image_module.GUARD_BYTES) // 16 * 16 - 32
    fitting = build_image(model_sources(arena_bytes=largest), board, engine_dir=ENGINE_DIR)
    assert fitting.arena_bytes == largest
    with pytest.raises(DoesNotFitError) as caught:
        build_image(model_sources(arena_bytes=largest + 64), board, engine_dir=ENGINE_DIR)
    assert caught.value.region == "SRAM" and caught.value.missing_bytes <= 64


def test_flash_ends_where_the_board_says(board: Board, image: Image) -> None:
    words = board.memory.flash.size // 4
    sources = model_sources()
    sources["model.c"] = sources["model.c"].replace("bias[4]", f"bias[{words}]")
    with pytest.raises(DoesNotFitError) as caught:
        build_image(sources, board, engine_dir=ENGINE_DIR)
    assert caught.value.region == "FLASH"
    assert abs(caught.value.missing_bytes - (image.flash_bytes - 16)) <= 64
