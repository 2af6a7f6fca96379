"""Which bytes of an ELF file go to which flash address? Knows nothing of the core."""

from __future__ import annotations

from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from harness.board import Region
from harness.errors import BoardError


def flash_segments(path: Path, flash: Region) -> list[tuple[int, bytes]]:
    """(load address, bytes) of every loadable segment, in file order.

    Raises:
        BoardError: not there, no 32-bit little-endian ARM ELF, nothing to load, or a segment that
            lies outside `flash`.
    """
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            if elf.elfclass != 32 or not elf.little_endian or elf["e_machine"] != "EM_ARM":
                raise BoardError(
                    "is an ELF for another machine",
                    where=path,
                    expected="32-bit little-endian ARM",
                    got=f"{elf.elfclass}-bit {elf['e_machine']}",
                    hint="link it with arm-none-eabi-gcc",
                )
            headers = [
                segment
                for segment in elf.iter_segments()
                if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]
            ]
            segments = [(int(header["p_paddr"]), header.data()) for header in headers]
            expected = sum(int(header["p_filesz"]) for header in headers)
    except OSError as error:
        raise BoardError(
            f"cannot be read: {error.strerror}", where=path, hint="check the path"
        ) from None
    except (ELFError, ValueError, KeyError, AssertionError, AttributeError) as error:
        raise BoardError(
            f"is no ELF file: {error}", where=path, hint="load what the linker wrote"
        ) from None
    got = sum(len(data) for _, data in segments)
    if got != expected:
        raise BoardError(
            "is a truncated ELF file",
            where=path,
            expected=f"{expected} bytes to load",
            got=got,
            hint="link it again",
        )
    if not segments:
        raise BoardError("has nothing to load", where=path, hint="check the linker script")
    for address, data in segments:
        if address < flash.base or address + len(data) > flash.end:
            raise BoardError(
                "has a segment outside flash",
                where=path,
                expected=f"0x{flash.base:08x} to 0x{flash.end:08x}",
                got=f"0x{address:08x} to 0x{address + len(data):08x}",
                hint="link it for this board",
            )
    return segments
