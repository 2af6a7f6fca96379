"""What `hilnas build` leaves as an application of its own on a virtual board."""

from __future__ import annotations

import subprocess
from pathlib import Path

import serial

from harness.board import load_board
from harness.virtual import VirtualBoard

ARM = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
_FIRMWARE = Path(__file__).parent / "firmware" / "deployment"


def code(folder: Path) -> list[str]:
    return ["main.c", *sorted(f"src/{path.name}" for path in (folder / "src").glob("*.c"))]


def run_on_a_cortex_m4(folder: Path, *flags: str) -> list[int]:
    """The values that the example in `folder`, compiled with `flags`, prints."""
    elf = folder / "example.elf"
    command = [*ARM, *STRICT, *flags, "-nostartfiles", "-T", str(_FIRMWARE / "link.ld")]
    command += ["-o", str(elf), str(_FIRMWARE / "board.c"), *code(folder)]
    command += ["--specs=nosys.specs", "-Wl,--no-warnings"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    with (
        VirtualBoard(load_board("nucleo_f412zg")) as board,
        serial.Serial(board.port, timeout=10) as line,
    ):
        board.load(elf)
        printed = line.read_until(b"\n").decode()
    return [int(value) for value in printed.split()]
