"""How is a function of the user's own called, and what is said when it fails? It runs with all
that the user may do. Knows nothing of what it is for."""

from __future__ import annotations

import runpy
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.errors import DatasetError


def load_function(
    path: Path, name: str, signature: str, *, named_by: str = "[data] path", page: str = "data"
) -> Callable[..., Any]:
    """The function `name` of the Python file at `path`, which is run. signature, named_by, page:
    what is expected, what to check, and which page of docs/ explains it, for messages.

    Raises:
        DatasetError: the file or function is not there, or the file raises.
    """
    if not path.is_file():
        raise DatasetError("no such file", where=path, hint=f"check {named_by}")
    function = run_user_code(path, lambda: runpy.run_path(str(path)), "the file").get(name)
    if not callable(function):
        raise DatasetError(
            f"has no function {name!r}",
            where=path,
            expected=signature,
            hint=f"see docs/{page}.md",
        )
    found: Callable[..., Any] = function
    return found


def run_user_code(path: Path, code: Callable[[], Any], what: str) -> Any:
    """What `code` returns. Raises DatasetError with the line of `path` where it raised."""
    try:
        return code()
    except Exception as error:  # whatever a user's code raises
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
        raise DatasetError(
            f"{what} raised {type(error).__name__}: {error}",
            where=f"{path}:{line}" if line else path,
            hint="mend it there",
        ) from error
