"""Can what a command is to write be written? Asked before long work, not behind it. Leaves nothing
where there was nothing: the work may fail."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from harness.errors import HilnasError, UsageError


def require_writable(file: Path | None) -> Path | None:
    """`file` again, so that an option can have this as its callback; "-" is stdout.

    Raises:
        UsageError: it cannot be written.
    """
    if file is None or str(file) == "-":
        return file
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):
            # To open a pipe and to close it would end what is read from it.
            if not os.access(file, os.W_OK):
                raise PermissionError(0, "Permission denied")
            return file
        try:
            file.open("x").close()
        except FileExistsError:
            file.open("a").close()
        else:
            file.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=file, hint="choose another file"
        ) from None
    return file


def require_folder(folder: Path) -> Path:
    """`folder` again: files can be written into it, or it can be made.

    Raises:
        UsageError: neither.
    """
    made: list[Path] = []
    try:
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UsageError(
            f"cannot be written into: {error.strerror}", where=folder, hint="choose another folder"
        ) from None
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
    return folder


def write_text(file: Path, text: str) -> None:
    """Raises HilnasError: a full disk, say, which does not tell the file's name by itself."""
    try:
        file.write_text(text)
    except OSError as error:
        raise HilnasError(f"cannot be written: {error.strerror}", where=file) from None
