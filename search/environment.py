"""On what was a run made? Versions and facts of the host, without the names of users, hosts or
paths, and without importing what is asked about.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
from typing import Any

from harness.board import ROOT

# The packages that decide what a search finds.
PACKAGES = (
    "botorch",
    "gpytorch",
    "hilnas",
    "moocore",
    "numpy",
    "pymoo",
    "tensorflow",
    "tflite-micro",
    "torch",
    "unicorn",
)
COMPILER = "arm-none-eabi-gcc"
_SOURCES = ("boards/*/*", "firmware/**/*", "harness/**/*", "search/**/*")
_SOURCE_SUFFIXES = (".c", ".cc", ".cmake", ".h", ".ld", ".py", ".S", ".toml", ".txt")
_DEADLINE_S = 10.0


def versions() -> dict[str, str]:
    """Of Python, the packages and the cross compiler; "not installed" where one is not there."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    found[COMPILER] = _compiler_version()
    return found


def environment() -> dict[str, Any]:
    """JSON-ready: versions and host."""
    return {
        "versions": versions(),
        "host": {
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
        },
    }


def identity() -> dict[str, str]:
    """What two machines must have in common to get the same outcomes: versions(), and a digest of
    hilnas's own files, whose version stays while they are being worked on."""
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            if path.suffix in _SOURCE_SUFFIXES:
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return {**versions(), "hilnas's files": digest.hexdigest()[:16]}


def _compiler_version() -> str:
    path = shutil.which(COMPILER)
    if path is None:
        return "not installed"
    try:
        done = subprocess.run(
            [path, "-dumpfullversion"],
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"does not run: {type(error).__name__}"
    return done.stdout.strip()
