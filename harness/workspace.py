"""Where is firmware compiled? In numbered, configured build trees under the cache directory, each
leased to one build at a time, so that per model only the model is compiled and linked. Knows
nothing of models."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.board import ROOT
from harness.errors import BuildError, ToolchainError
from harness.options import Optimise

FIRMWARE_DIR = ROOT / "firmware"
_TREES = 8  # builds of one kind that may run at once
_LEASE_DEADLINE_S = 120.0
_CONFIGURE_DEADLINE_S = 60.0
_STALE_S = 14 * 24 * 3600.0  # a kind of build not used for this long is deleted


@dataclass(frozen=True)
class LinkedLibrary:
    """An archive built elsewhere, and what C++ sources that use it are compiled with."""

    archive: Path
    sha256: str  # of what is in it
    include_dirs: tuple[Path, ...]
    defines: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """Everything a build tree depends on, the model's own text excepted."""

    board_values: str  # the CMake file that sets BOARD_*
    port: str
    engine_dir: Path
    kernels: bool
    selftest: bool
    optimise: Optimise
    compiler: Path
    compiler_version: str
    model_files: tuple[str, ...]
    library: LinkedLibrary | None = None

    def content_digest(self) -> bytes:
        """What the image's bytes follow from besides the model: the same on every machine."""
        digest = hashlib.sha256()
        facts = (
            self.board_values,
            self.port,
            self.kernels,
            self.selftest,
            self.optimise.value,
            self.compiler_version,
            None if self.library is None else (self.library.sha256, self.library.defines),
        )
        digest.update(repr((facts, self.model_files)).encode())
        folders = [FIRMWARE_DIR / name for name in ("app", "cmake", "port")] + [self.engine_dir]
        if self.kernels:
            folders.append(FIRMWARE_DIR / "kernels")
        if self.library is not None:
            folders.append(FIRMWARE_DIR / "engine" / "cxx")
        for folder in folders:
            for path in sorted(folder.rglob("*.*")):
                _add_file(digest, path)
        for name in ("CMakeLists.txt", "engine/engine.h"):
            _add_file(digest, FIRMWARE_DIR / name)
        return digest.digest()

    def key(self) -> str:
        """Same key, same build tree: the content and the places CMake remembers."""
        places = (FIRMWARE_DIR, self.engine_dir, self.compiler, tool("cmake"), tool("ninja"))
        text = repr((*places, self.library))
        return hashlib.sha256(self.content_digest() + text.encode()).hexdigest()[:24]


def _add_file(digest: hashlib._Hash, path: Path) -> None:
    data = path.read_bytes()
    digest.update(f"{path.name}\0{len(data)}\0".encode() + data)


@dataclass(frozen=True)
class Workspace:
    """A configured build tree. `model_dir` and `nonce_file` are the caller's to fill. `lock`: the
    descriptor that keeps it, for what works in it and may outlive its caller."""

    folder: Path
    lock: int

    @property
    def model_dir(self) -> Path:
        return self.folder / "model"

    @property
    def nonce_file(self) -> Path:
        return self.folder / "nonce.c"

    @property
    def build_dir(self) -> Path:
        return self.folder / "build"


def cache_dir() -> Path:
    """HILNAS_CACHE, or hilnas under the user's cache directory (XDG base directories)."""
    chosen = os.environ.get("HILNAS_CACHE")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hilnas"


def state_dir() -> Path:
    """HILNAS_STATE, or hilnas under the user's state directory (XDG base directories): what is
    not to be lost when caches are emptied."""
    chosen = os.environ.get("HILNAS_STATE")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "hilnas"


@contextmanager
def lease(recipe: Recipe, *, deadline_s: float = _LEASE_DEADLINE_S) -> Iterator[Workspace]:
    """A configured workspace that no other process touches meanwhile.

    Raises:
        BuildError: all are taken and stay so until the deadline, or the cache cannot be used,
            in the caller's block included.
        ToolchainError: CMake is missing or cannot configure.
    """
    root = cache_dir() / "firmware"
    lock: int | None = None
    try:
        kind = root / recipe.key()
        kind.mkdir(parents=True, exist_ok=True)
        os.utime(kind)
        lock, number = _lock_one(kind, deadline_s)
        workspace = Workspace(kind / str(number), lock)
        if not (workspace.folder / "configured").exists():
            _configure(workspace, recipe)
            _delete_stale(root)
        yield workspace
    except OSError as error:  # full, read-only, deleted under our feet
        raise BuildError(
            f"the build cache cannot be used: {error.strerror}",
            where=error.filename or root,
            hint="set HILNAS_CACHE to a folder you may write",
        ) from None
    finally:
        if lock is not None:
            os.close(lock)


def _lock_one(kind: Path, deadline_s: float) -> tuple[int, int]:
    """A descriptor whose closing, be it by the end of the process, frees the tree; its number."""
    end = time.monotonic() + deadline_s
    while True:
        for number in range(_TREES):
            lock = os.open(kind / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            except OSError:
                os.close(lock)
                raise
            return lock, number
        if time.monotonic() > end:
            raise BuildError(
                f"all {_TREES} build trees are in use for {deadline_s:g} s",
                where=kind,
                hint="end the other builds",
            )
        time.sleep(0.05)


def _configure(workspace: Workspace, recipe: Recipe) -> None:
    shutil.rmtree(workspace.folder, ignore_errors=True)
    workspace.model_dir.mkdir(parents=True)
    board_file = workspace.folder / "board.cmake"
    board_file.write_text(recipe.board_values)
    for name in recipe.model_files:
        (workspace.model_dir / name).touch()
    workspace.nonce_file.touch()
    command = [
        str(tool("cmake")),
        *("-S", str(FIRMWARE_DIR), "-B", str(workspace.build_dir), "-G", "Ninja"),
        f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}",
        f"-DCMAKE_C_COMPILER={recipe.compiler}",
        f"-DBOARD_FILE={board_file}",
        f"-DPORT={recipe.port}",
        f"-DENGINE_DIR={recipe.engine_dir}",
        f"-DKERNELS={'ON' if recipe.kernels else 'OFF'}",
        f"-DMODEL_DIR={workspace.model_dir}",
        f"-DNONCE_FILE={workspace.nonce_file}",
        f"-DSELFTEST={'ON' if recipe.selftest else 'OFF'}",
        f"-DOPTIMISE={recipe.optimise.value}",
    ]
    if recipe.library is not None:
        command += [
            f"-DCMAKE_CXX_COMPILER={recipe.compiler.with_name('arm-none-eabi-g++')}",
            f"-DLIBRARY={recipe.library.archive}",
            f"-DLIBRARY_INCLUDES={';'.join(map(str, recipe.library.include_dirs))}",
            f"-DLIBRARY_DEFINES={';'.join(recipe.library.defines)}",
        ]
    if recipe.port != "host":
        command.append(f"-DCMAKE_TOOLCHAIN_FILE={FIRMWARE_DIR / 'cmake' / 'arm-none-eabi.cmake'}")
    code, output = run_killable(command, deadline_s=_CONFIGURE_DEADLINE_S, keep=[workspace.lock])
    if code != 0:
        first = next((line for line in output.splitlines() if "Error" in line), output[-200:])
        raise ToolchainError(
            f"CMake cannot configure the firmware: {first.strip()}",
            where=workspace.build_dir,
            hint="`hilnas doctor` checks the toolchain",
        )
    (workspace.folder / "configured").touch()


def _delete_stale(root: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # another process is tidying up, too
        for kind in root.iterdir():
            if time.time() - kind.stat().st_mtime > _STALE_S:
                shutil.rmtree(kind, ignore_errors=True)


def tool(name: str) -> Path:
    """The cmake or ninja that was installed with this package.

    Raises:
        ToolchainError: its package is not there.
    """
    try:
        if name == "cmake":
            from cmake import CMAKE_BIN_DIR as folder
        else:
            from ninja import BIN_DIR as folder
    except ImportError:
        raise ToolchainError(
            f"the Python package {name} is missing", hint=f"run `make setup` or pip install {name}"
        ) from None
    return Path(folder) / name


def run_killable(
    command: Sequence[str], *, deadline_s: float, keep: Sequence[int] = ()
) -> tuple[int, str]:
    """Exit code and output (both streams) of `command`. `keep`: descriptors that it keeps open: a
    build whose caller was killed goes on, and nobody else is to have its tree until it ends.

    Raises:
        ToolchainError: it cannot be started, or was killed, children included, at the deadline.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=keep,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise ToolchainError(
            f"cannot be started: {error.strerror}",
            where=command[0],
            hint="`hilnas doctor` checks the toolchain",
        ) from None
    with process:
        try:
            output, _ = process.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            raise ToolchainError(
                f"did not end within {deadline_s:g} s and was killed",
                where=" ".join(map(str, command[:2])),
                hint="try again; `hilnas doctor` checks the toolchain",
            ) from None
        finally:  # also when the user presses Ctrl-C
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, output
