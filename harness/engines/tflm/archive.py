"""What is in an `ar` archive of object files? Members, the linker's index of symbols, a digest.

Reads the GNU form (binutils, "The archive format"): what `ar` and `ranlib` of a GNU or LLVM tool
chain write. The file may come from anybody: sizes and counts are limited, and nothing is run.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import ToolchainError

# A TFLite Micro library with debug information has 40 MB in 320 members.
LARGEST_ARCHIVE = 256 << 20
MOST_MEMBERS = 4096
MOST_SYMBOLS = 1 << 17

_MAGIC, _THIN_MAGIC = b"!<arch>\n", b"!<thin>\n"
_HEADER = struct.Struct("16s12s6s6s8s10s2s")
_ELF_MACHINE = struct.Struct("<H")  # at byte 18 of every ELF header
_EM_ARM = 40
_REBUILD = "build the library again"


@dataclass(frozen=True)
class Member:
    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Archive:
    """symbols: what the linker finds by the archive's index, mangled. sha256: of names and
    contents, so that archives of the same objects agree whenever `ar` stamped them."""

    path: Path
    members: tuple[Member, ...]
    symbols: frozenset[str] = field(repr=False)
    sha256: str


def read_archive(path: Path) -> Archive:
    """Read all of `path`.

    Raises:
        ToolchainError: not readable, no archive, a thin one, one without an index, torn, too
            large.
    """
    data = _read(path)
    members: list[Member] = []
    symbols: frozenset[str] | None = None
    names = b""
    digest = hashlib.sha256()
    for raw_name, body in _walk(data, path):
        if raw_name == b"/":
            symbols = _index(body, path)
        elif raw_name == b"//":
            names = body
        else:
            name = _name(raw_name, names, path)
            digest.update(f"{name}\0{len(body)}\0".encode() + body)
            members.append(Member(name, body))
    if not members:
        raise ToolchainError("is an archive without objects", where=path, hint=_REBUILD)
    if symbols is None:
        raise ToolchainError(
            "has no index of its symbols", where=path, hint="run arm-none-eabi-ranlib on it"
        )
    return Archive(path, tuple(members), symbols, digest.hexdigest())


def is_for_arm(path: Path) -> bool:
    """Does the first object of this archive say that it is for a 32-bit Arm? False where that
    cannot be told: whoever reads all of it says why."""
    try:
        with path.open("rb") as file:
            start = file.read(1 << 20)
        for raw_name, body in _walk(start, path, whole=False):
            if not raw_name.startswith(b"/") or raw_name[1:].isdigit():
                return body[:4] == b"\x7fELF" and body[18:20] == _ELF_MACHINE.pack(_EM_ARM)
    except (OSError, ToolchainError):
        pass
    return False


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_ARCHIVE + 1)
    except OSError as error:
        raise ToolchainError(
            f"cannot be read: {error.strerror}", where=path, hint="check its permissions"
        ) from None
    if len(data) > LARGEST_ARCHIVE:
        raise ToolchainError(
            "is too large for a library",
            where=path,
            expected=f"<= {LARGEST_ARCHIVE} bytes",
            hint="build it without debug information",
        )
    if data.startswith(_THIN_MAGIC):
        raise ToolchainError(
            "is a thin archive, which holds only the names of its objects",
            where=path,
            hint="link the library that upstream's makefile leaves in lib/",
        )
    if not data.startswith(_MAGIC):
        raise ToolchainError(
            "is no archive of objects",
            where=path,
            expected="!<arch>",
            got=repr(data[:8].decode("latin-1")),
            hint=_REBUILD,
        )
    return data


def _walk(data: bytes, path: Path, *, whole: bool = True) -> Iterator[tuple[bytes, bytes]]:
    """Name field and contents of each member; of what is cut off its start, unless `whole`."""
    at, count = len(_MAGIC), 0
    while at < len(data):
        count += 1
        if count > MOST_MEMBERS:
            raise _torn(path, at, f"more than {MOST_MEMBERS} members")
        header = data[at : at + _HEADER.size]
        if len(header) < _HEADER.size:
            raise _torn(path, at, "half a member's header")
        name, _, _, _, _, size_text, end = _HEADER.unpack(header)
        if end != b"`\n" or not size_text.strip().isdigit():
            raise _torn(path, at, "no member's header")
        at += _HEADER.size
        size = int(size_text)
        if whole and at + size > len(data):
            raise _torn(path, at, f"{len(data) - at} of a member's {size} bytes")
        yield name.rstrip(b" "), data[at : at + size]
        at += size + size % 2


def _index(body: bytes, path: Path) -> frozenset[str]:
    """Count and offsets, big-endian, then that many names."""
    count = int.from_bytes(body[:4], "big")
    names = body[4 + 4 * count :].split(b"\0", count)
    if len(body) < 4 or count > MOST_SYMBOLS or len(names) <= count:
        raise ToolchainError(
            "has a broken index of its symbols",
            where=path,
            got=f"{count} symbols in {len(body)} bytes",
            hint="run arm-none-eabi-ranlib on it",
        )
    return frozenset(name.decode("latin-1") for name in names[:count])


def _name(raw: bytes, names: bytes, path: Path) -> str:
    """ "name/", or "/17": the name at byte 17 of the table of long names."""
    if raw.startswith(b"/"):
        if not raw[1:].isdigit() or int(raw[1:]) >= len(names):
            raise _torn(path, 0, f"a member's name that is nowhere, {raw.decode('latin-1')!r}")
        raw = names[int(raw[1:]) :].split(b"\n", 1)[0]
    return raw.rstrip(b"/").decode("latin-1")


def _torn(path: Path, at: int, got: str) -> ToolchainError:
    return ToolchainError(
        f"is torn at byte {at}", where=path, expected="a member", got=got, hint=_REBUILD
    )
