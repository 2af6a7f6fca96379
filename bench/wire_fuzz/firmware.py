"""How does the firmware become a fuzzer's target? firmware/app as it is, compiled by Clang with
AddressSanitizer, UndefinedBehaviorSanitizer and libFuzzer, on the port and with the engine of
target/. Only firmware/app is counted as covered."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from harness.board import ROOT

TARGET = Path(__file__).parent / "target"
_COMMON = ("-std=gnu11", "-gline-tables-only", "-O1", "-Wall", "-Wextra", "-Werror")
_SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
# It paints the stack below its own frame: there is no room for what a sanitizer keeps there.
_UNCHECKED = "paint.c"
_COMPILE_S = 300


def missing() -> str | None:
    """What has to be installed first; None when nothing has."""
    if shutil.which("clang") is None:
        return "no clang: apt-get install clang libclang-rt-14-dev"
    found = subprocess.run(
        ["clang", "-print-file-name=libclang_rt.fuzzer-x86_64.a"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    runtime = Path(found.stdout.strip())
    return None if runtime.is_absolute() else "no libFuzzer: apt-get install libclang-rt-14-dev"


def build(folder: Path, firmware: Path = ROOT / "firmware") -> Path:
    """The target as a program in `folder`, from the sources in `firmware`.

    Raises:
        subprocess.CalledProcessError: they do not compile; Clang has said why.
    """
    (folder / "board").mkdir(parents=True)
    (folder / "port").mkdir()
    app = sorted((firmware / "app").glob("*.c"))
    checked = [path for path in app if path.name != _UNCHECKED]
    includes = [f"-I{firmware / part}" for part in ("app", "port", "engine")] + [f"-I{TARGET}"]
    traced = (*_SANITIZERS, "-fsanitize=fuzzer-no-link")
    own = [TARGET / name for name in ("port.c", "frames.c", "mutate.c")]
    for sources, flags, into in (
        (checked, traced, "board"),
        ([firmware / "app" / _UNCHECKED], (), "board"),
        ([TARGET / "engine.c"], _SANITIZERS, "board"),
        (own, _SANITIZERS, "port"),
    ):
        _clang([*_COMMON, *flags, *includes, "-c", *map(str, sources)], folder / into)
    objects = sorted(str(path.relative_to(folder)) for path in folder.glob("*/*.o"))
    link = ["-fsanitize=fuzzer,address,undefined", f"-Wl,-T,{TARGET / 'ram.ld'}"]
    _clang([*link, *objects, "-o", "firmware"], folder)
    return folder / "firmware"


def _clang(arguments: list[str], folder: Path) -> None:
    subprocess.run(["clang", *arguments], check=True, cwd=folder, timeout=_COMPILE_S)
