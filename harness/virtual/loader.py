"""Which bytes of a firmware file go to which address, and can a chip start from them? Reads ELF,
Intel HEX and raw binaries from anywhere; what they say is checked before it is used. Knows nothing
of the core."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection
from intelhex import IntelHex, IntelHexError

from harness.board import Region
from harness.chip import Chip
from harness.errors import ImageError, UsageError, WrongImageError

MAX_FILE_BYTES = 1 << 26  # debug information included
HEX_CHARACTERS = 4  # of Intel HEX for a byte, where records hold as few as eight of them
NOTE_SECTION = ".note.hilnas"
ELF_MAGIC = b"\x7fELF"

Segment = tuple[int, bytes]

# What pyelftools raises on bytes that are no ELF file, besides its own error.
BROKEN_ELF = (
    *(ELFError, ValueError, KeyError, AssertionError, AttributeError, TypeError, IndexError),
    *(struct.error, OverflowError, MemoryError, RecursionError),
)


@dataclass(frozen=True)
class Program:
    """A checked firmware file. format: elf, hex or bin. board: the name of the board it was built
    for, where it says so."""

    path: Path
    format: str
    segments: tuple[Segment, ...]
    board: str | None

    @property
    def elf(self) -> Path | None:
        """Where symbols may be found."""
        return self.path if self.format == "elf" else None

    def word(self, address: int) -> int | None:
        """The word that the file puts at `address`, None where it puts none."""
        data = self._bytes(address, 4)
        return None if data is None else int.from_bytes(data, "little")

    def encoding(self, address: int) -> str | None:
        """The instruction at `address` as the manual writes it: `0xbf00`, `0xf7f0 0xa000`."""
        first = self._bytes(address, 2)
        if first is None:
            return None
        rest = self._bytes(address + 2, 2) if first[1] >= 0xE8 else None
        return " ".join(f"0x{data[1]:02x}{data[0]:02x}" for data in (first, rest) if data)

    def holds(self, address: int) -> bool:
        return self._bytes(address, 2) is not None

    def _bytes(self, address: int, size: int) -> bytes | None:
        for start, data in self.segments:
            if start <= address and address + size <= start + len(data):
                return data[address - start : address - start + size]
        return None


def memories_of(chip: Chip) -> list[Region]:
    return [Region(part.base, part.size) for part in chip.memory]


def read_program(path: Path, regions: Sequence[Region], *, base: int | None = None) -> Program:
    """The file's bytes, all of which lie in `regions`. A raw binary starts at `base`, or where the
    first region does.

    Raises:
        UsageError: it cannot be read, or `base` is given for a format that has addresses.
        ImageError: it is none of the formats, is broken, holds nothing, or leaves the regions.
    """
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_FILE_BYTES else b""
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=path, hint="check the path"
        ) from None
    if size > MAX_FILE_BYTES:
        raise ImageError(
            "is too large for firmware", where=path, expected=f"{MAX_FILE_BYTES} bytes", got=size
        )
    board = None
    form = _format_of(path, data)
    if base is not None and form != "bin":
        raise UsageError(
            f"--base is for raw binaries, and this is {form}", where=path, hint="leave it out"
        )
    if form == "elf":
        segments, board = _read_elf(path, data)
    elif form == "hex":
        segments = _read_hex(path, data, HEX_CHARACTERS * sum(r.size for r in regions))
    else:
        segments = [(regions[0].base if base is None else base, data)]
    segments = [(address, content) for address, content in segments if content]
    if not segments:
        raise ImageError("has nothing to load", where=path, hint="check the linker script")
    for address, content in segments:
        if not any(r.base <= address and address + len(content) <= r.end for r in regions):
            raise ImageError(
                "has bytes where the chip has no memory",
                where=path,
                expected=" or ".join(f"0x{r.base:08x} to 0x{r.end:08x}" for r in regions),
                got=f"0x{address:08x} to 0x{address + len(content):08x}",
                hint="link it for this board",
            )
    return Program(path, form, tuple(segments), board)


def check_board(program: Program, board: str) -> None:
    """Raises WrongImageError where the file says that it was built for another board."""
    if program.board is not None and program.board != board:
        raise WrongImageError(
            "the image was built for another board",
            where=program.path,
            expected=board,
            got=program.board,
            hint=f"use --board {program.board}, or build it for {board}",
        )


def check_vectors(program: Program, chip: Chip) -> None:
    """Can the core start? It takes its stack pointer from the first word of the flash that it
    boots from and its first instruction's address from the second.

    Raises:
        ImageError: there is nothing there, or it points where the chip has no memory.
    """
    boot = chip.memory[0]
    stack, entry = program.word(boot.base), program.word(boot.base + 4)
    if stack is None or entry is None:
        first = min(address for address, _ in program.segments)
        raise ImageError(
            "brings no vector table",
            where=program.path,
            expected=f"one at 0x{boot.base:08x}, where {chip.name} boots",
            got=f"bytes from 0x{first:08x} on",
            hint="load it with its boot loader, as one .hex file",
        )
    if not any(part.kind == "ram" and 0 < stack - part.base <= part.size for part in chip.memory):
        raise ImageError(
            "has a vector table without a stack",
            where=program.path,
            expected=" or ".join(
                f"a stack pointer in 0x{part.base:08x} to 0x{part.base + part.size:08x}"
                for part in chip.memory
                if part.kind == "ram"
            ),
            got=f"0x{stack:08x}",
            hint="is it firmware for this chip?",
        )
    if not entry & 1 or not any(_executes(part, entry & ~1) for part in chip.memory):
        raise ImageError(
            "has a vector table that points nowhere",
            where=program.path,
            expected="an odd address in flash as reset vector",
            got=f"0x{entry:08x}",
            hint="is it firmware for this chip?",
        )

    if not any(program.holds(address) for address in _places(chip, entry & ~1)):
        raise ImageError(
            "starts where it brings no instruction",
            where=program.path,
            expected="a reset vector into what the file holds",
            got=f"0x{entry:08x}",
            hint="is it linked for another address? --base places a raw binary",
        )


def _places(chip: Chip, address: int) -> list[int]:
    """Where the byte lies that the core sees at `address`, aliases followed."""
    return [
        address - part.alias + part.base
        for part in chip.memory
        if part.alias is not None and part.alias <= address < part.alias + part.size
    ] + [address]


def _executes(part: Any, address: int) -> bool:
    bases = (part.base,) if part.alias is None else (part.base, part.alias)
    return any(base <= address < base + part.size for base in bases)


def _format_of(path: Path, data: bytes) -> str:
    """The content decides where it can, the name where it cannot."""
    if data.startswith(ELF_MAGIC):
        return "elf"
    suffix = path.suffix.lower()
    if suffix in (".hex", ".ihex", ".ihx") or (data[:1] == b":" and suffix != ".bin"):
        return "hex"
    if suffix == ".bin":
        return "bin"
    if suffix in (".elf", ".axf", ".out"):
        raise ImageError("is no ELF file", where=path, hint="load what the linker wrote")
    raise ImageError(
        "is no firmware that can be told",
        where=path,
        expected="an ELF file, Intel HEX, or a raw binary called .bin",
        got=f"{data[:4].hex(' ') or 'nothing'} ...",
        hint="rename it if it is a raw binary",
    )


def _read_hex(path: Path, data: bytes, most: int) -> list[Segment]:
    """`most`: characters. intelhex keeps every byte as a dictionary's entry, a hundred bytes."""
    if len(data) > most:
        raise ImageError(
            "is an Intel HEX file of more than the chip's memory",
            where=path,
            expected=f"at most {most} characters",
            got=len(data),
            hint="link it for this board",
        )
    content = IntelHex()
    try:
        content.loadhex(io.StringIO(data.decode("ascii")))
        return [
            (start, content.tobinstr(start=start, end=end - 1))
            for start, end in content.segments()
        ]
    except (IntelHexError, ValueError, IndexError) as error:
        raise ImageError(
            f"is no Intel HEX file: {error}", where=path, hint="make it anew with objcopy -O ihex"
        ) from None


def _read_elf(path: Path, data: bytes) -> tuple[list[Segment], str | None]:
    try:
        elf = ELFFile(io.BytesIO(data))
        if elf.elfclass != 32 or not elf.little_endian or elf["e_machine"] != "EM_ARM":
            raise ImageError(
                "is an ELF for another machine",
                where=path,
                expected="32-bit little-endian ARM",
                got=f"{elf.elfclass}-bit {elf['e_machine']}",
                hint="link it with arm-none-eabi-gcc",
            )
        pieces = list(_pieces(elf))
        board = _board_note(elf)
    except BROKEN_ELF as error:
        raise ImageError(
            f"is no ELF file: {error}", where=path, hint="load what the linker wrote"
        ) from None
    for _, offset, size in pieces:
        if offset + size > len(data):
            raise ImageError(
                "is a truncated ELF file",
                where=path,
                expected=f"{offset + size} bytes",
                got=len(data),
                hint="link it again",
            )
    return [(address, data[offset : offset + size]) for address, offset, size in pieces], board


def _pieces(elf: Any) -> Iterator[tuple[int, int, int]]:
    """(load address, file offset, bytes) of what is loaded. A segment may hold more than sections,
    the file's own headers for example, which no flash programmer writes."""
    sections = [
        (int(section["sh_offset"]), int(section["sh_size"]))
        for section in elf.iter_sections()
        if section["sh_flags"] & 2 and section["sh_type"] != "SHT_NOBITS" and section["sh_size"]
    ]
    for segment in elf.iter_segments():
        if segment["p_type"] != "PT_LOAD" or not segment["p_filesz"]:
            continue
        start, size = int(segment["p_offset"]), int(segment["p_filesz"])
        inside = [(at, n) for at, n in sections if start <= at and at + n <= start + size]
        for at, n in inside or [(start, size)]:
            yield int(segment["p_paddr"]) + at - start, at, n


def _board_note(elf: Any) -> str | None:
    section = elf.get_section_by_name(NOTE_SECTION)
    if not isinstance(section, NoteSection):
        return None
    for note in section.iter_notes():
        if note["n_name"] == "hilnas":
            description = note["n_desc"]
            raw = description.encode() if isinstance(description, str) else bytes(description)
            return raw.rstrip(b"\0").decode("ascii", "replace")
    return None
