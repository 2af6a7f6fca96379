"""What does an object file say of how it was compiled? Machine, ABI, compiler.

The ABI stands in .ARM.attributes ("Addenda to, and Errata in, the ABI for the Arm Architecture",
section 3), the compilers in .comment. The file may come from anybody: what is read is limited.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import ARMAttributesSection

from harness.engines.tflm.archive import Member
from harness.errors import ToolchainError
from harness.virtual.loader import BROKEN_ELF

_MOST_SECTIONS = 1 << 15  # one a function and a datum, each with its relocations
_MOST_ATTRIBUTES = 256
_LARGEST_NOTE = 4096  # bytes of .ARM.attributes and of .comment: they have less than a hundred
# libc++ and the C++ library of Arm's compiler have an inline namespace, libstdc++ has none.
_LIBCXX = re.compile(rb"_Z\w{0,64}St3__\d")


@dataclass(frozen=True)
class Abi:
    """What must be alike in objects that are linked. machine as ELF calls it, big_endian and bits
    as in the header; the rest as Arm's attributes number it, 0 where they say nothing.

    cpu_arch: Tag_CPU_arch. fp_arch: Tag_FP_arch, with single_precision where instructions for
    double precision are not used. float_args: Tag_ABI_VFP_args, 1 in the floating-point registers.
    enum_size: Tag_ABI_enum_size, 1 as small as possible, 2 an int. wchar_size: bytes.
    libcxx: does it need a C++ library other than libstdc++? lto: is it the compiler's own
    intermediate language, of -flto, instead of instructions?"""

    machine: str
    bits: int
    big_endian: bool
    cpu_arch: int = 0
    fp_arch: int = 0
    single_precision: bool = False
    float_args: int = 0
    enum_size: int = 0
    wchar_size: int = 0
    libcxx: bool = False
    lto: bool = False


@dataclass(frozen=True)
class ObjectFacts:
    abi: Abi
    compilers: tuple[str, ...]


def read_object(member: Member, archive: Path) -> ObjectFacts:
    """Raises ToolchainError where `member` of `archive` is no object file."""
    where = f"{archive}({member.name})"
    try:
        elf = ELFFile(io.BytesIO(member.data))
        if elf["e_type"] != "ET_REL":
            raise _broken(where, str(elf["e_type"]))
        if elf.num_sections() > _MOST_SECTIONS:
            raise _broken(where, f"{elf.num_sections()} sections")
        names: dict[str, int] = {}
        lto = False
        for index in range(elf.num_sections()):
            name = elf.get_section(index).name
            names.setdefault(name, index)
            lto = lto or name.startswith(".gnu.lto_")
        return ObjectFacts(_abi(elf, names, member, lto), _compilers(elf, names))
    except BROKEN_ELF as error:
        raise _broken(where, str(error) or type(error).__name__) from None


def _broken(where: str, got: str) -> ToolchainError:
    return ToolchainError(
        "is no object file", where=where, got=got, hint="build the library again"
    )


def _abi(elf: ELFFile, names: Mapping[str, int], member: Member, lto: bool) -> Abi:
    values = _attributes(elf, names)
    fp_arch = values.get("TAG_FP_ARCH", 0)
    return Abi(
        machine=str(elf["e_machine"]),
        bits=elf.elfclass,
        big_endian=not elf.little_endian,
        cpu_arch=values.get("TAG_CPU_ARCH", 0),
        fp_arch=fp_arch,
        single_precision=bool(fp_arch) and values.get("TAG_ABI_HARDFP_USE", 0) == 1,
        float_args=values.get("TAG_ABI_VFP_ARGS", 0),
        enum_size=values.get("TAG_ABI_ENUM_SIZE", 0),
        wchar_size=values.get("TAG_ABI_PCS_WCHAR_T", 0),
        libcxx=_LIBCXX.search(member.data) is not None,
        lto=lto and not _has_code(elf, names),
    )


def _has_code(elf: ELFFile, names: Mapping[str, int]) -> bool:
    return any(
        elf.get_section(index)["sh_size"] > 0
        for name, index in names.items()
        if name == ".text" or name.startswith(".text.")
    )


def _attributes(elf: ELFFile, names: Mapping[str, int]) -> dict[str, int]:
    """Numbers of the whole file by pyelftools' names of their tags. Its generators end only where
    the lengths in the file add up, hence islice."""
    index = names.get(".ARM.attributes")
    section = elf.get_section(index) if index is not None else None
    if not isinstance(section, ARMAttributesSection) or section["sh_size"] > _LARGEST_NOTE:
        return {}
    values: dict[str, int] = {}
    for vendor in islice(section.iter_subsections("aeabi"), 1):
        for scope in islice(vendor.iter_subsubsections("TAG_FILE"), 1):
            for attribute in islice(scope.iter_attributes(), _MOST_ATTRIBUTES):
                if isinstance(attribute.value, int):
                    values[attribute.tag] = attribute.value
    return values


def _compilers(elf: ELFFile, names: Mapping[str, int]) -> tuple[str, ...]:
    index = names.get(".comment")
    if index is None:
        return ()
    section = elf.get_section(index)
    raw = section.data()[:_LARGEST_NOTE] if section["sh_size"] <= _LARGEST_NOTE else b""
    texts = (text.decode("ascii", errors="replace") for text in raw.split(b"\0") if text)
    return tuple(
        dict.fromkeys("".join(c for c in text if c.isprintable())[:100] for text in texts)
    )
