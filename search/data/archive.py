"""Which files does a folder or a tar archive hold, each read once? Nothing is unpacked to disk, no
link is followed, and an archive is read forward only: a header that points back, as hostile ones
do, cannot be obeyed."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from harness.errors import DatasetError

_LARGEST_BYTES = 1 << 28  # CIFAR-100's training file has 154 MB
_MOST_MEMBERS = 1000


def walk(
    place: Path, *, read: Collection[str], note: Collection[str] = ()
) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each file of these names in `place`, a folder or a tar archive, whatever
    its compression; b"" for those only to be noted. In an archive folders do not count.

    Raises:
        DatasetError: not there, damaged, or with files of a size that no such set has.
    """
    try:
        if place.is_dir():
            yield from _walk_folder(place, read, note)
        else:
            yield from _walk_tar(place, read, note)
    except FileNotFoundError:
        raise DatasetError("no such file", where=place, hint="check [data] path") from None
    except (OSError, EOFError, tarfile.TarError, zlib.error, lzma.LZMAError) as error:
        raise DatasetError(
            f"cannot be read: {error}", where=place, hint="the file is damaged, fetch it again"
        ) from None


def _walk_folder(
    folder: Path, read: Collection[str], note: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    for name in sorted({*read, *note}):
        path = folder / name
        if path.is_file():
            _check_size(path.stat().st_size, path)
            yield name, path.read_bytes() if name in read else b""


def _walk_tar(
    path: Path, read: Collection[str], note: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path, "r|*") as archive:
        for count, member in enumerate(archive, start=1):
            if count > _MOST_MEMBERS:
                raise DatasetError(
                    "holds too many files",
                    where=path,
                    expected=f"at most {_MOST_MEMBERS}",
                    hint="check [data] path",
                )
            _check_size(member.size, f"{path}: {member.name}")
            name = PurePosixPath(member.name).name
            if not member.isreg() or name not in {*read, *note}:
                continue
            file = archive.extractfile(member)
            assert file is not None, "regular files can be read"
            yield name, file.read() if name in read else b""


def _check_size(size: int, where: object) -> None:
    if not 0 <= size <= _LARGEST_BYTES:
        raise DatasetError(
            "is larger than any file of such a set",
            where=where,
            expected=f"at most {_LARGEST_BYTES} bytes",
            got=size,
            hint="check [data] path",
        )
