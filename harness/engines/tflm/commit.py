"""Which commit is checked out in a folder? Read from git's files (gitrepository-layout(5)): git
itself would run what the repository's configuration says."""

from __future__ import annotations

import re
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(r"refs/[\w./+@-]+", re.ASCII)
_LARGEST = 16 << 20  # of packed-refs: a few hundred thousand branches
_MOST_LINKS = 5


def commit_of(folder: Path) -> str | None:
    """The whole hash of HEAD in `folder`, whose .git is a folder, or the file of a worktree or a
    submodule. None without one, before the first commit, or where refs are in another form."""
    git_dir = _git_dir(folder)
    if git_dir is None:
        return None
    # A worktree has a HEAD of its own and shares branches with the repository it belongs to.
    common = git_dir / (_text(git_dir / "commondir") or ".").strip()
    head = (_text(git_dir / "HEAD") or "").strip()
    for _ in range(_MOST_LINKS):
        if _HASH.fullmatch(head):
            return head
        ref = head.removeprefix("ref:").strip()
        if ref == head or not _REF.fullmatch(ref) or ".." in ref:
            return None
        loose = _text(git_dir / ref) or _text(common / ref)
        head = loose.strip() if loose else _packed(common, ref)
    return None


def _git_dir(folder: Path) -> Path | None:
    git = folder / ".git"
    if git.is_dir():
        return git
    link = (_text(git) or "").strip()
    target = link.removeprefix("gitdir:").strip()
    return folder / target if target != link else None


def _packed(common: Path, ref: str) -> str:
    for line in (_text(common / "packed-refs") or "").splitlines():
        value, _, name = line.partition(" ")
        if name == ref:
            return value
    return ""


def _text(path: Path) -> str | None:
    try:
        if not path.is_file():  # a pipe would be read for ever
            return None
        with path.open("rb") as file:
            return file.read(_LARGEST).decode("utf-8", errors="replace")
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None
