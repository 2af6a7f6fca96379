"""Which files does a candidate leave in the run folder, and which of its parent's does it read?
Their names, and their bytes where they travel between machines that share no disk. Knows nothing
of how they travel, nor what they hold.

A file of a candidate bears its archid: models/<archid>.tflite, finalists/<archid>.tflite,
weights/<archid>.npz, and weights/<archid>.slim.npz of what pruning left.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from search.keeping import write_whole

MODELS_DIR = "models"
WEIGHTS_DIR = "weights"
FINALISTS_DIR = "finalists"

Files = Mapping[str, bytes]  # "folder/name" -> content


def weights_path(run_dir: Path, archid: str, *, slimmed: bool = False) -> Path:
    """Where the weights of a candidate are kept: of the whole network, or of the slimmed one."""
    return run_dir / WEIGHTS_DIR / f"{archid}{'.slim' if slimmed else ''}.npz"


def take(run_dir: Path, archid: str) -> Files:
    """The files of candidate `archid`, which are no longer in the folder afterwards."""
    files = read(run_dir, archid)
    for name in files:
        (run_dir / name).unlink()
    return files


def read(run_dir: Path, archid: str, folder: str = "*") -> Files:
    """The files of candidate `archid`; only those in `folder` where one is named."""
    paths = sorted(run_dir.glob(f"{folder}/{archid}.*"))
    return {path.relative_to(run_dir).as_posix(): path.read_bytes() for path in paths}


def put(run_dir: Path, files: Files) -> None:
    """Write them, each whole or not at all.

    Raises:
        JournalError: one cannot be written.
        ValueError: a name that is not "folder/name".
    """
    for name, content in files.items():
        if len(Path(name).parts) != 2 or not {"..", "/"}.isdisjoint(Path(name).parts):
            raise ValueError(f"{name!r} is no file of a candidate")
        write_whole(run_dir / name, content)
