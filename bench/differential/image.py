"""How do cases become one firmware image, and what came out of it? Flash and SRAM as bytes, for
whatever executes them. Knows nothing of emulators.

    flash  0x08000000  vectors, runner.S       sram  0x20000000  header and stack
           0x08004000  the cases' code               0x20000400  a slot a case
"""

from __future__ import annotations

import functools
import struct
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from elftools.elf.elffile import ELFFile

from bench.differential.sequences import Case, encode

FLASH, SRAM = 0x08000000, 0x20000000
HEADER_BYTES, SLOT_BYTES, STATE_BYTES = 0x400, 0x400, 0x100
CODE = FLASH + 0x4000
SP_OFFSET = 384  # into the scratch area
MAX_CASES = 126  # of 128 KiB, what the smallest machine has
RUNNER = Path(__file__).with_name("runner.S")
SCRIPT = """
SECTIONS {
  .text 0x08000000 : { KEEP(*(.vectors)) *(.text*) *(.rodata*) }
  /DISCARD/ : { *(.ARM.attributes) }
}"""


@dataclass(frozen=True)
class Image:
    """flash from 0x08000000, sram from 0x20000000; how many bytes of the latter matter."""

    flash: bytes
    sram: bytes

    def for_host(self) -> bytes:
        """SRAM that makes the program hand itself over by semihosting instead of sleeping."""
        return self.sram[:16] + struct.pack("<II", 1, len(self.sram)) + self.sram[24:]

    def with_rounds(self, rounds: int) -> Image:
        """The same program, told to go round that many times."""
        return replace(self, sram=self.sram[:28] + struct.pack("<I", rounds) + self.sram[32:])


@dataclass(frozen=True)
class Runner:
    text: bytes
    finish_case: int


@functools.cache
def runner() -> Runner:
    """runner.S, assembled."""
    with tempfile.TemporaryDirectory() as folder:
        script, elf = Path(folder) / "script.ld", Path(folder) / "runner.elf"
        script.write_text(SCRIPT)
        subprocess.run(
            [
                "arm-none-eabi-gcc",
                "-nostdlib",
                "-Wl,--build-id=none",
                "-T",
                str(script),
                str(RUNNER),
            ]
            + ["-o", str(elf)],
            check=True,
            timeout=60,
        )
        with elf.open("rb") as file:
            image = ELFFile(file)
            text = image.get_section_by_name(".text").data()
            symbols = image.get_section_by_name(".symtab")
            finish = symbols.get_symbol_by_name("finish_case")[0]["st_value"]
    return Runner(text, finish & ~1)


def slot_of(index: int) -> int:
    return SRAM + HEADER_BYTES + index * SLOT_BYTES


def scratch_of(index: int) -> int:
    return slot_of(index) + STATE_BYTES


def build_image(cases: list[Case]) -> Image:
    """The cases in their order, each in the slot of its place."""
    assert 0 < len(cases) <= MAX_CASES
    flash = bytearray(runner().text.ljust(CODE - FLASH, b"\xff"))
    end = slot_of(len(cases))
    sram = bytearray(struct.pack("<II", slot_of(0), end).ljust(HEADER_BYTES, b"\0"))
    for index, case in enumerate(cases):
        entry = FLASH + len(flash)
        halfwords = encode(case.nodes, entry)
        flash += struct.pack(f"<{len(halfwords)}H", *halfwords)
        flash += _jump(FLASH + len(flash), runner().finish_case)
        flash += b"\0\0" * (1 + index % 2)  # both alignments
        if len(flash) % 4 and index % 2:
            flash += b"\0\0"
        state = struct.pack(
            "<13I5I",
            *case.registers[:13],
            case.registers[13],
            scratch_of(index) + SP_OFFSET,
            *(case.apsr, case.fpscr, entry | 1),
        ).ljust(80, b"\0")
        state += struct.pack("<32I", *case.singles)
        sram += state.ljust(STATE_BYTES, b"\0") + case.scratch
    return Image(bytes(flash) + bytes(8192), bytes(sram))  # literal loads reach behind the end


def _jump(here: int, target: int) -> bytes:
    """B.W"""
    offset = target - here - 4 >> 1
    s = int(offset < 0)
    j1, j2 = (~(offset >> 22) ^ s) & 1, (~(offset >> 21) ^ s) & 1
    high = 0xF000 | s << 10 | offset >> 11 & 0x3FF
    return struct.pack("<HH", high, 0x9000 | j1 << 13 | j2 << 11 | offset & 0x7FF)


@dataclass(frozen=True)
class Outcome:
    """What memory holds after a run, and whether the run came to its end."""

    memory: bytes
    failure: str | None = None

    @property
    def results(self) -> bytes:
        """What the program wrote: memory behind the header."""
        return self.memory[HEADER_BYTES:]

    @property
    def fault(self) -> tuple[int, int] | None:
        """(exception number, stacked pc) of a fault that ended the run."""
        number, pc = struct.unpack_from("<II", self.memory, 8)
        return (number, pc) if number else None

    def slot(self, index: int) -> bytes:
        at = HEADER_BYTES + index * SLOT_BYTES
        return self.memory[at : at + SLOT_BYTES]


NAMES = (
    *(f"r{i}" for i in range(13)),
    *("lr", "sp", "apsr", "fpscr", "primask", "basepri", "faultmask"),
    *(f"s{i}" for i in range(31)),
)


def differences(expected: bytes, got: bytes) -> list[str]:
    """What differs between two slots, named."""
    words = struct.unpack("<51I", expected[:204]), struct.unpack("<51I", got[:204])
    found = [
        f"{name}: 0x{a:08x}, not 0x{b:08x}"
        for name, a, b in zip(NAMES, *words, strict=True)
        if a != b
    ]
    found += [
        f"scratch+{i - STATE_BYTES}: 0x{expected[i]:02x}, not 0x{got[i]:02x}"
        for i in range(STATE_BYTES, SLOT_BYTES)
        if expected[i] != got[i]
    ]
    return found
