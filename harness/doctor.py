"""Is everything there that hilnas needs, and what is the fix for what is not? Changes nothing."""

from __future__ import annotations

import importlib.metadata
import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HilnasError
from harness.qemu import INSTALL, QEMU
from harness.renode import downloads, find_renode, renode_version

_DEADLINE_S = 20.0
UNICORN_VERSION = "2.1.3"  # 2.1.4 corrupts registers under a memory hook


@dataclass(frozen=True)
class Check:
    """One line of the report. `found` is a version or a path; `fix` is empty when ok."""

    name: str
    ok: bool
    required: bool
    found: str
    fix: str


def examine() -> list[Check]:
    """Run every check; a check that fails never stops the others."""
    from harness.desk import examine_desk

    return [
        _tool("arm-none-eabi-gcc", "apt-get install gcc-arm-none-eabi"),
        _newlib(),
        _package("cmake"),
        _package("ninja"),
        _package("unicorn", exactly=UNICORN_VERSION),
        _package("pyocd"),
        _extension(),
        _package("tflite-micro"),
        _package("torch"),
        _package("tensorflow"),
        _pty(),
        _boards(),
        _cache(),
        _tool("cc", "apt-get install build-essential", required=False),
        _tool(QEMU, INSTALL, required=False),
        examine_renode(),
        _tflm(),
        _folder(
            "Fashion-MNIST",
            Path("/usr/share/datasets/fashion-mnist"),
            "apt-get install dataset-fashion-mnist",
        ),
        *examine_desk(),
    ]


def _tool(name: str, fix: str, *, required: bool = True) -> Check:
    if shutil.which(name) is None:
        return Check(name, False, required, "not on the PATH", fix)
    try:
        answer = subprocess.run(
            [name, "--version"], capture_output=True, text=True, timeout=_DEADLINE_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Check(name, False, required, f"does not run: {error}", fix)
    return Check(name, True, required, answer.stdout.splitlines()[0], "")


def _newlib() -> Check:
    """The C library's headers come in a Debian package of their own."""
    fix = "apt-get install libnewlib-arm-none-eabi"
    if shutil.which("arm-none-eabi-gcc") is None:
        return Check("newlib", False, True, "no compiler to ask", fix)
    try:
        answer = subprocess.run(
            ["arm-none-eabi-gcc", "-x", "c", "-E", "-"],
            input="#include <string.h>\n",
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Check("newlib", False, True, f"cannot be asked for: {error}", fix)
    ok = answer.returncode == 0
    return Check("newlib", ok, True, "headers found" if ok else "no string.h", "" if ok else fix)


def _package(name: str, *, exactly: str | None = None) -> Check:
    fix = "make setup"
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, True, "not installed", fix)
    if exactly is not None and version != exactly:
        return Check(name, False, True, f"{version}, needs exactly {exactly}", fix)
    return Check(name, True, True, version, "")


def _extension() -> Check:
    from harness.virtual.core import open_library

    return _attempt(
        "virtual board's native core", lambda: Path(open_library()._name).name, "make setup"
    )


def examine_renode() -> Check:
    """Asks Renode for its version, but renode-run, which might download one."""
    try:
        program = find_renode()[0]
        version = "not asked, it may download one" if downloads(program) else renode_version()
    except HilnasError as error:
        found = str(error).removesuffix(f"; {error.hint}")
        return Check("Renode", False, False, found, error.hint or "docs/renode.md")
    return Check("Renode", True, False, f"{version}: {program}", "")


def _tflm() -> Check:
    """The library of engine tflm, if one is named, and whether every board can link it."""
    from harness.board import board_names, load_board
    from harness.engines.tflm.abi import check_abi, check_cxx
    from harness.engines.tflm.library import find_library

    name = "TFLite Micro library"
    try:
        library = find_library(None)
        check_cxx()
        for board in board_names():
            check_abi(library, load_board(board))
    except HilnasError as error:
        fix = error.hint or "`hilnas build --engine tflm` says more"
        return Check(name, False, False, str(error).removesuffix(f"; {error.hint}"), fix)
    except OSError as error:
        return Check(name, False, False, str(error), "check its permissions")
    return Check(name, True, False, f"{library.version}: {library.archive}", "")


def _pty() -> Check:
    try:
        master, slave = pty.openpty()
    except OSError as error:
        return Check("pseudo-terminals", False, True, str(error), "mount /dev/pts")
    os.close(master)
    os.close(slave)
    return Check("pseudo-terminals", True, True, "available", "")


def _boards() -> Check:
    from harness.board import board_names, load_board

    return _attempt(
        "board descriptions",
        lambda: ", ".join(load_board(name).name for name in board_names()),
        "correct the file named",
    )


def _cache() -> Check:
    from harness.image import cache_dir

    def touch() -> str:
        folder = cache_dir()
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".doctor.{os.getpid()}"
        probe.touch()
        probe.unlink()
        return str(folder)

    return _attempt("build cache", touch, "set HILNAS_CACHE to a folder you may write")


def _attempt(name: str, action: Callable[[], str], fix: str) -> Check:
    try:
        return Check(name, True, True, action(), "")
    except (HilnasError, OSError) as error:
        return Check(name, False, True, str(error), fix)


def _folder(name: str, path: Path, fix: str) -> Check:
    ok = path.is_dir()
    return Check(name, ok, False, str(path) if ok else f"{path} is not there", "" if ok else fix)
