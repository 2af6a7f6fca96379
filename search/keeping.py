"""How does a file get into a run folder? Whole or not at all; and a disk that is full ends the
run, which can be resumed, and rejects no candidate. Must not know what the files hold.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import JournalError


@contextmanager
def writing(path: Path, *, hint: str = "make room, then resume the run") -> Iterator[None]:
    """Around what writes `path`: an OSError becomes a JournalError that names it."""
    try:
        yield
    except OSError as error:
        raise JournalError(f"cannot be written: {error.strerror}", where=path, hint=hint) from None


def write_whole(path: Path, content: bytes) -> None:
    """Replace `path`, whose folder is made where its parent is there, in one step, whenever the
    machine stops. One writer at a time.

    Raises:
        JournalError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.draft")
    with writing(path):
        try:
            path.parent.mkdir(exist_ok=True)
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
