"""What does a user's own function return? `load(split)` of a Python file that the configuration
names. It is the user's code: it runs with all that the user may do, in the command and in each
worker."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import DatasetError
from search.data.arrays import to_split
from search.data.dataset import Encoding, Split
from search.data.source import Source
from search.data.user_code import load_function, run_user_code

FUNCTION = "load"


def load_python(path: Path) -> Source:
    """`load("train")` now, `load("test")` when it is asked for; each (images, labels) as in
    search.data.arrays.

    Raises:
        DatasetError: the file or function is not there, raises, or returns something else.
    """
    function = load_function(path, FUNCTION, f"def {FUNCTION}(split): ... return images, labels")
    samples = _call(path, function, "train", None)
    load_test = partial(_call, path, function, "test", samples.encoding)
    return Source(samples, int(samples.labels.max()) + 1, load_test)


def _call(
    path: Path, function: Callable[[str], Any], split: str, encoding: Encoding | None
) -> Split:
    call = f"{FUNCTION}({split!r})"
    returned = run_user_code(path, lambda: function(split), call)
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise DatasetError(
            f"{call} returned something else",
            where=path,
            expected="(images, labels)",
            got=type(returned).__name__,
            hint="see docs/data.md",
        )
    return to_split(*returned, where=f"{path}: {call}", encoding=encoding)
