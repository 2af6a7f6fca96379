"""Which files of firmware/kernels does a generated model need?"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from harness.board import ROOT

KERNELS_DIR = ROOT / "firmware" / "kernels"


def needed_kernels(source: str) -> list[Path]:
    """The kernel files that `source` reaches: a file is needed where a function that it defines is
    called or passed on, or where a needed file includes it or does so."""
    homes = _homes()
    found: dict[str, Path] = {}
    waiting = [source]
    while waiting:
        text = waiting.pop()
        names = {file for word in re.findall(r"\w+", text) for file in homes.get(word, ())}
        names |= set(re.findall(r'#include "(\w+\.h)"', text))
        for file in sorted(names - set(found)):
            path = KERNELS_DIR / file
            if path.is_file():
                found[file] = path
                # A header declares kernels without needing them.
                text = path.read_text()
                waiting.append(text if path.suffix == ".c" else _includes(text))
    return sorted(found.values())


# static ones are nobody else's
_DEFINITION = r"^(?!.*\bstatic\b)\w[\w ]*[ *](\w+)\([^;]*?\) \{"


@functools.cache
def _homes() -> dict[str, tuple[str, ...]]:
    """Function -> the files that define it: one a variant."""
    homes: dict[str, tuple[str, ...]] = {}
    for path in sorted(KERNELS_DIR.glob("*.c")):
        for name in re.findall(_DEFINITION, path.read_text(), re.MULTILINE):
            homes[name] = (*homes.get(name, ()), path.name)
    return homes


def _includes(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.startswith("#include"))
