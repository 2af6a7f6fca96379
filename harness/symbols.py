"""What is at an address of an ELF file: which function, which source line, which variable? Reads
symbols and DWARF once, and only what is asked for; a file without them knows nothing."""

from __future__ import annotations

import bisect
import functools
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from elftools.common.exceptions import DWARFError, ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

DEMANGLE_SECONDS = 10.0
ALLOCATED = 2  # SHF_ALLOC

_BROKEN = (
    *(ELFError, DWARFError, ConstructError, OSError, ValueError, KeyError, AssertionError),
    *(AttributeError, TypeError, IndexError, struct.error, OverflowError, MemoryError),
)


@dataclass(frozen=True)
class Span:
    """A named piece of the address space."""

    start: int
    end: int
    name: str


@dataclass(frozen=True)
class SourceLine:
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Symbols:
    """Of the ELF file `path`; None knows no name at all. Addresses may carry the Thumb bit."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @functools.cached_property
    def functions(self) -> Sequence[Span]:
        """In order of address; of several names for one place, the first global one."""
        return self._spans("STT_FUNC")

    @functools.cached_property
    def variables(self) -> Sequence[Span]:
        """Objects with a size, in order of address."""
        return self._spans("STT_OBJECT")

    @functools.cached_property
    def sections(self) -> Sequence[Span]:
        """What lies in memory, in order of address."""
        return sorted(
            (
                Span(section["sh_addr"], section["sh_addr"] + section["sh_size"], section.name)
                for section in self._read(lambda elf: list(elf.iter_sections()))
                if section["sh_flags"] & ALLOCATED and section["sh_size"]
            ),
            key=lambda span: span.start,
        )

    def boundaries(self) -> list[int]:
        """Where functions start, and where what is behind them belongs to none; ascending."""
        starts = {function.start for function in self.functions}
        ends = {function.end for function in self.functions}
        return sorted(starts | ends)

    def function_at(self, address: int) -> Span | None:
        return _span_at(self.functions, self._plain(address))

    def name_at(self, address: int) -> str | None:
        """`function+0x12`, `function` at its start."""
        function = self.function_at(address)
        if function is None:
            return None
        offset = self._plain(address) - function.start
        return f"{function.name}+0x{offset:x}" if offset else function.name

    def variable_at(self, address: int) -> str | None:
        """`variable+0x12`, `variable` at its start."""
        variable = _span_at(self.variables, address)
        if variable is None:
            return None
        offset = address - variable.start
        return f"{variable.name}+0x{offset:x}" if offset else variable.name

    def line_at(self, address: int) -> SourceLine | None:
        starts, lines = self._lines
        k = bisect.bisect_right(starts, self._plain(address)) - 1
        return lines[k] if k >= 0 else None

    def describe(self, address: int) -> str:
        """`0x08000124, function+0x12 (file.c:3)`, as far as it is known."""
        text = f"0x{self._plain(address):08x}"
        name, line = self.name_at(address), self.line_at(address)
        if name is not None:
            text += f", {name}"
        return f"{text} ({line})" if line is not None else text

    @functools.cached_property
    def _thumb(self) -> bool:
        """An address of code may have its lowest bit set to say so."""
        return bool(self._read(lambda elf: elf["e_machine"] == "EM_ARM"))

    def _plain(self, address: int) -> int:
        return address & ~1 if self._thumb else address

    def _spans(self, kind: str) -> Sequence[Span]:
        is_code = kind == "STT_FUNC"
        found: dict[int, tuple[bool, Span]] = {}
        for symbol in self._read(_symbols):
            if symbol["st_info"]["type"] != kind or symbol["st_shndx"] == "SHN_UNDEF":
                continue
            start = self._plain(symbol["st_value"]) if is_code else symbol["st_value"]
            size, is_local = symbol["st_size"], symbol["st_info"]["bind"] == "STB_LOCAL"
            # ".isra.0" and the like are the compiler's, not the programmer's.
            name = symbol.name.partition(".")[0] if is_code else symbol.name
            if not name or (not size and not is_code):
                continue
            known = found.get(start)
            if known is None or (known[0] and not is_local):
                found[start] = (is_local, Span(start, start + size, name))
        spans = sorted((span for _, span in found.values()), key=lambda span: span.start)
        # Assembly without .size reaches up to the next one.
        following = [span.start for span in spans[1:]] + [0]
        whole = [
            span if span.end > span.start else Span(span.start, end, span.name)
            for span, end in zip(spans, following, strict=False)
        ]
        names = _demangled([span.name for span in whole])
        return [Span(span.start, span.end, name) for span, name in zip(whole, names, strict=True)]

    @functools.cached_property
    def _lines(self) -> tuple[list[int], list[SourceLine | None]]:
        rows: dict[int, SourceLine | None] = {}
        for address, line in self._read(lambda elf: list(_line_rows(elf))):
            if line is not None or address not in rows:  # an end yields to what starts there
                rows[address] = line
        starts = sorted(rows)
        return starts, [rows[start] for start in starts]

    def _read(self, question: Any) -> Any:
        """The answer to `question` of the open file; nothing where the file is broken."""
        if self._path is None:
            return []
        try:
            with self._path.open("rb") as file:
                return question(ELFFile(file))
        except _BROKEN:
            return []


def _span_at(spans: Sequence[Span], address: int) -> Span | None:
    k = bisect.bisect_right(spans, address, key=lambda span: span.start) - 1
    return spans[k] if k >= 0 and address < spans[k].end else None


def _symbols(elf: Any) -> list[Any]:
    return [
        symbol
        for section in elf.iter_sections()
        if isinstance(section, SymbolTableSection)
        for symbol in section.iter_symbols()
    ]


def _demangled(names: list[str]) -> list[str]:
    """C++ names as they were written, where the toolchain's filter is there."""
    tool = shutil.which("arm-none-eabi-c++filt") or shutil.which("c++filt")
    if tool is None or not any(name.startswith("_Z") for name in names):
        return names
    try:
        done = subprocess.run(
            [tool, "--no-params"],
            input="\n".join(names),
            capture_output=True,
            text=True,
            timeout=DEMANGLE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return names
    lines = done.stdout.splitlines()
    return lines if len(lines) == len(names) else names


def _line_rows(elf: Any) -> Iterator[tuple[int, SourceLine | None]]:
    """(address, the line from there on), None behind the end of a sequence."""
    if not elf.has_dwarf_info():
        return
    dwarf = elf.get_dwarf_info()
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        files = _files_of(program)
        sequence: list[tuple[int, SourceLine | None]] = []
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if not state.end_sequence:
                sequence.append(
                    (state.address, SourceLine(files.get(state.file, "?"), state.line))
                )
                continue
            # The linker moves what it dropped to address 0, where a vector table is.
            if sequence and sequence[0][0]:
                yield from sequence
                yield state.address, None
            sequence = []


def _files_of(program: Any) -> dict[int, str]:
    """Names by number: from 1 up to DWARF 4, from 0 since. The directory's last part is kept."""
    header = program.header
    first = 0 if header["version"] >= 5 else 1
    directories = [_text(name) for name in header["include_directory"]]
    names = {}
    for number, entry in enumerate(header["file_entry"], first):
        k = entry["dir_index"] - first
        folder = PurePosixPath(directories[k]).name if 0 <= k < len(directories) else ""
        name = PurePosixPath(_text(entry["name"]))
        names[number] = str(PurePosixPath(folder) / name.name) if folder else name.name
    return names


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
