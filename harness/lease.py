"""How do two commands keep away from one unit? Who uses a probe holds a lock on a file of its
name, which ends with the process, however that ends. The file says who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.errors import UnitInUseError
from harness.hardware_map import plain_probe

# The same for all users of the machine. What was in /run/lock is gone after a restart.
FOLDERS = (Path("/run/lock"), Path("/tmp"))
PATIENCE_S = 1.0  # a command that was killed may need a moment to be gone
_POLL_S = 0.05
_SHOWN_CHARACTERS = 60


@contextlib.contextmanager
def lease(probe: str, *, unit: str, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Nobody else has `probe` meanwhile. `unit`: what people call it.

    Raises:
        UnitInUseError: somebody else has it for longer than `patience_s`.
    """
    path = _path_of(probe)
    end = time.monotonic() + patience_s
    while (descriptor := _lock(path)) is None:
        if time.monotonic() >= end:
            raise UnitInUseError(
                f"the unit is in use by {_describe(_read(path))}",
                where=unit,
                hint="wait for its end, or choose another unit",
            )
        time.sleep(_POLL_S)
    try:
        who = {
            "user": _user(),
            "pid": os.getpid(),
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            "since": datetime.now().isoformat(sep=" ", timespec="seconds"),
        }
        os.ftruncate(descriptor, 0)  # whoever had it may have been killed
        os.pwrite(descriptor, json.dumps(who).encode() + b"\n", 0)
        yield
    finally:
        with contextlib.suppress(OSError):  # of another user, who may remove it
            path.unlink()
        os.close(descriptor)


def holder_of(probe: str) -> str | None:
    """Who has `probe`, in words; None: nobody."""
    path = _path_of(probe)
    if not path.exists():
        return None
    descriptor = _lock(path)
    if descriptor is None:
        return _describe(_read(path))
    os.close(descriptor)
    return None


def _path_of(probe: str) -> Path:
    name = "hilnas-" + re.sub(r"[^a-z0-9.-]", "_", plain_probe(probe)) + ".lock"
    shared = (folder for folder in FOLDERS if folder.is_dir() and folder.stat().st_mode & 0o002)
    return next(shared, FOLDERS[-1]) / name


def _lock(path: Path) -> int | None:
    """A descriptor whose closing, be it by the end of the process, ends the lock; None: taken."""
    flags = os.O_RDWR | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags)  # without O_CREAT: not everybody may "create" it again
    except FileNotFoundError:
        descriptor = os.open(path, flags | os.O_CREAT, 0o666)
        with contextlib.suppress(PermissionError):  # somebody else was faster
            os.fchmod(descriptor, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):  # taken, or tidied away under our feet
        pass
    os.close(descriptor)
    return None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        who = json.loads(path.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None
    return who if isinstance(who, dict) else None


def _describe(who: dict[str, Any] | None) -> str:
    if who is None:
        return "another command"
    command = str(who.get("command"))
    if len(command) > _SHOWN_CHARACTERS:
        command = command[: _SHOWN_CHARACTERS - 3] + "..."
    return f"{who.get('user')}'s `{command}`, process {who.get('pid')}, since {who.get('since')}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in a container
        return str(os.getuid())
