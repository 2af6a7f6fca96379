"""What does a user's own function return? `load(split)` of a Python file that the configuration
names. It is the user's code: it runs with all that the user may do, in the command and in each
worker."""

from __future__ import annotations

import runpy
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import DatasetError
from search.data.arrays import to_split
from search.data.dataset import Encoding, Split
from search.data.source import Source

FUNCTION = "load"


def load_python(path: Path) -> Source:
    """`load("train")` now, `load("test")` when it is asked for; each (images, labels) as in
    search.data.arrays.

    Raises:
        DatasetError: the file or function is not there, raises, or returns something else.
    """
    if not path.is_file():
        raise DatasetError("no such file", where=path, hint="check [data] path")
    function = _run(path, lambda: runpy.run_path(str(path)), "the file").get(FUNCTION)
    if not callable(function):
        raise DatasetError(
            f"has no function {FUNCTION!r}",
            where=path,
            expected=f"def {FUNCTION}(split): ... return images, labels",
            hint="see docs/data.md",
        )
    samples = _call(path, function, "train", None)
    load_test = partial(_call, path, function, "test", samples.encoding)
    return Source(samples, int(samples.labels.max()) + 1, load_test)


def _call(
    path: Path, function: Callable[[str], Any], split: str, encoding: Encoding | None
) -> Split:
    call = f"{FUNCTION}({split!r})"
    returned = _run(path, lambda: function(split), call)
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise DatasetError(
            f"{call} returned something else",
            where=path,
            expected="(images, labels)",
            got=type(returned).__name__,
            hint="see docs/data.md",
        )
    return to_split(*returned, where=f"{path}: {call}", encoding=encoding)


def _run(path: Path, code: Callable[[], Any], what: str) -> Any:
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
