"""How do generated C sources become a firmware image? CMake and ninja in a cached workspace; what
comes out is measured and named. Knows nothing of graphs or plans.

Same sources, board, firmware and compiler give the same image, nonce included, byte for byte.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.board import Board
from harness.elf import read_footprint
from harness.errors import (
    BuildError,
    CompileError,
    ConfigError,
    DoesNotFitError,
    HilnasError,
    ToolchainError,
    UsageError,
)
from harness.kernel_files import needed_kernels
from harness.options import Optimise
from harness.wire import NONCE_BYTES
from harness.workspace import (
    FIRMWARE_DIR,
    LinkedLibrary,
    Recipe,
    Workspace,
    cache_dir,
    lease,
    run_killable,
    tool,
)

__all__ = ["HostProgram", "Image", "build_host_program", "build_image", "cache_dir"]

GUARD_BYTES = 16  # ENGINE_GUARD_BYTES of engine.h
STACK_RESERVE_BYTES = 4096
_COMPILER = "arm-none-eabi-gcc"
_PACKAGES = {_COMPILER: "gcc-arm-none-eabi", "cc": "build-essential"}
_BUILD_DEADLINE_S = 180.0
_KEPT_IMAGES = 256
_KEPT_FOR_S = 3600.0


@dataclass(frozen=True)
class Image:
    """A linked firmware image, sizes in bytes.

    flash_bytes is all of it; weights_bytes the model's constants (weights, biases, scales,
    operator parameters); runtime_overhead_bytes what the engine adds to them in any application:
    kernels, engine, instructions generated for the model, and the C library, some of which this
    firmware alone uses. static_bytes is .data + .bss without arena and stack; arena_bytes is
    without the guard. compiler is the first line of its --version.
    """

    elf: Path
    map: Path
    board: str
    nonce: bytes
    sha256: str
    compiler: str
    flags: str
    flash_bytes: int
    weights_bytes: int
    runtime_overhead_bytes: int
    static_bytes: int
    arena_bytes: int
    stack_reserve_bytes: int


@dataclass(frozen=True)
class HostProgram:
    """The firmware as a program of this machine."""

    elf: Path
    board: str
    nonce: bytes


def build_image(
    sources: Mapping[str, str],
    board: Board,
    *,
    engine: str = "aot",
    engine_dir: Path | None = None,
    library: LinkedLibrary | None = None,
    selftest: bool = False,
    optimise: Optimise = Optimise.SPEED,
    out_dir: Path | None = None,
    stack_reserve_bytes: int = STACK_RESERVE_BYTES,
    deadline_s: float = _BUILD_DEADLINE_S,
) -> Image:
    """Compile and link the generated `sources` (file name -> text) with the firmware for `board`.

    `engine` is a folder under firmware/engine; `engine_dir` uses another one. `library` is linked
    with it; our kernels are only without both.
    `selftest` adds the PROVOKE request; `optimise` chooses -O3 or -Os. firmware.elf and
    firmware.map go to `out_dir`, or to the cache, where the newest are kept.

    Raises:
        ToolchainError: compiler or build tool missing, broken, or hanging.
        CompileError: the compiler or linker refused the sources.
        DoesNotFitError: flash or SRAM overflows.
        ConfigError: the board's values cannot be used.
    """
    recipe = _recipe(
        sources,
        _COMPILER,
        board.port,
        _board_values(board, stack_reserve_bytes),
        selftest,
        optimise,
        engine,
        engine_dir,
        library,
    )
    nonce = _nonce_of(recipe, sources)
    with lease(recipe) as workspace:
        _compile(recipe, workspace, sources, nonce, where=board.name, deadline_s=deadline_s)
        built, built_map = (workspace.build_dir / f"firmware.{kind}" for kind in ("elf", "map"))
        footprint = read_footprint(built, built_map)
        flags = (workspace.build_dir / "flags.txt").read_text().strip()
        folder = out_dir if out_dir is not None else _image_dir(nonce)
        elf = _deliver(built, folder / "firmware.elf")
        link_map = _deliver(built_map, folder / "firmware.map")
    return Image(
        elf=elf,
        map=link_map,
        board=board.name,
        nonce=nonce,
        sha256=hashlib.sha256(elf.read_bytes()).hexdigest(),
        compiler=recipe.compiler_version,
        flags=flags,
        flash_bytes=footprint.flash_bytes,
        weights_bytes=footprint.weights_bytes,
        runtime_overhead_bytes=footprint.runtime_overhead_bytes,
        static_bytes=footprint.static_bytes,
        arena_bytes=footprint.arena_bytes - GUARD_BYTES,
        stack_reserve_bytes=footprint.stack_reserve_bytes,
    )


def build_host_program(
    sources: Mapping[str, str],
    board: Board,
    *,
    engine: str = "aot",
    engine_dir: Path | None = None,
    selftest: bool = False,
    optimise: Optimise = Optimise.SPEED,
    out_dir: Path | None = None,
    deadline_s: float = _BUILD_DEADLINE_S,
) -> HostProgram:
    """The same firmware as a program of this machine; arguments and errors as in build_image()."""
    recipe = _recipe(
        sources,
        "cc",
        "host",
        _board_values(board, STACK_RESERVE_BYTES),
        selftest,
        optimise,
        engine,
        engine_dir,
    )
    nonce = _nonce_of(recipe, sources)
    with lease(recipe) as workspace:
        _compile(recipe, workspace, sources, nonce, where="host", deadline_s=deadline_s)
        folder = out_dir if out_dir is not None else _image_dir(nonce)
        elf = _deliver(workspace.build_dir / "firmware.elf", folder / "firmware.elf")
    return HostProgram(elf=elf, board=board.name, nonce=nonce)


def _recipe(
    sources: Mapping[str, str],
    compiler_name: str,
    port: str,
    board_values: str,
    selftest: bool,
    optimise: Optimise,
    engine: str,
    engine_dir: Path | None,
    library: LinkedLibrary | None = None,
) -> Recipe:
    compiler = _find(compiler_name)
    return Recipe(
        board_values=board_values,
        port=port,
        engine_dir=_engine_dir(engine, engine_dir),
        kernels=engine_dir is None and library is None,
        selftest=selftest,
        optimise=optimise,
        compiler=compiler,
        compiler_version=_version_of(compiler, compiler.stat().st_mtime_ns),
        model_files=_file_names(sources),
        library=library,
    )


def _find(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise ToolchainError(
            f"the compiler {name} is not on the PATH", hint=f"apt-get install {_PACKAGES[name]}"
        )
    return Path(found)


@functools.cache
def _version_of(compiler: Path, _changed_ns: int) -> str:
    code, output = run_killable([str(compiler), "--version"], deadline_s=20)
    if code != 0 or not output.strip():
        raise ToolchainError(
            f"{compiler.name} --version fails with exit code {code}",
            where=compiler,
            hint=f"apt-get install --reinstall {_PACKAGES.get(compiler.name, compiler.name)}",
        )
    return output.splitlines()[0]


def _engine_dir(engine: str, engine_dir: Path | None) -> Path:
    folder = engine_dir if engine_dir is not None else FIRMWARE_DIR / "engine" / engine
    if not any(folder.glob("*.c*")):
        raise UsageError(
            f"engine {engine!r} has no sources", where=folder, hint="use a folder of engine/"
        )
    return folder.absolute()


def _file_names(sources: Mapping[str, str]) -> tuple[str, ...]:
    for name in sources:
        if not re.fullmatch(r"[A-Za-z0-9_]+\.(c|cc|h)", name):
            raise BuildError(
                "is no name for a generated source", where=name, expected="*.c, *.cc or *.h"
            )
    return tuple(sorted(sources))


def _board_values(board: Board, stack_reserve_bytes: int) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", board.name):
        raise ConfigError("board name has characters that cannot be compiled", got=board.name)
    if not re.fullmatch(r"[A-Za-z0-9_]+", board.chip):
        raise ConfigError("chip has characters that cannot be compiled", got=board.chip)
    ports = sorted(part.parent.name for part in (FIRMWARE_DIR / "port").glob("*/part.h"))
    if board.port not in ports:
        raise ConfigError(
            "the firmware has no such port",
            where=board.name,
            expected=f"one of {', '.join(ports)}",
            got=repr(board.port),
            hint="correct port in its board.toml",
        )
    values: dict[str, object] = {
        "BOARD_NAME": board.name,
        "BOARD_CHIP": board.chip,
        "BOARD_CORE": board.core,
        "BOARD_SYSCLK_HZ": board.sysclk_hz,
        "BOARD_FLASH_WAIT_STATES": board.flash_wait_states,
        "BOARD_PREFETCH": int(board.caches.prefetch),
        "BOARD_INSTRUCTION_CACHE": int(board.caches.instruction),
        "BOARD_DATA_CACHE": int(board.caches.data),
        "BOARD_CONSOLE_BASE": hex(board.console.base),
        "BOARD_CONSOLE_CLOCK_HZ": board.console.clock_hz,
        "BOARD_CONSOLE_BAUD": board.console.baud,
        "BOARD_FLASH_BASE": hex(board.memory.flash.base),
        "BOARD_FLASH_SIZE": hex(board.memory.flash.size),
        "BOARD_SRAM_BASE": hex(board.memory.sram.base),
        "BOARD_SRAM_SIZE": hex(board.memory.sram.size),
        "STACK_RESERVE_BYTES": stack_reserve_bytes,
    }
    for role, pin in (("TX", board.console.tx), ("RX", board.console.rx)):
        match = re.fullmatch(r"P([A-K]|\d\.)(\d{1,2})", pin)
        if match is None:
            raise ConfigError(
                f"console.{role.lower()} is no pin",
                where=board.name,
                expected="PD8 or P0.06",
                got=pin,
            )
        values[f"BOARD_CONSOLE_{role}_PORT"] = match[1][0]
        values[f"BOARD_CONSOLE_{role}_PIN"] = int(match[2])
    return "".join(f'set({name} "{value}")\n' for name, value in values.items())


def _nonce_of(recipe: Recipe, sources: Mapping[str, str]) -> bytes:
    digest = hashlib.sha256(recipe.content_digest())
    for name in sorted(sources):
        digest.update(f"{name}\0{len(sources[name])}\0{sources[name]}".encode())
    return digest.digest()[:NONCE_BYTES]


def _compile(
    recipe: Recipe,
    workspace: Workspace,
    sources: Mapping[str, str],
    nonce: bytes,
    *,
    where: str,
    deadline_s: float,
) -> None:
    for name, text in sources.items():
        _write_if_changed(workspace.model_dir / name, text)
    _write_if_changed(
        workspace.nonce_file,
        '#include "nonce.h"\n\nconst uint8_t build_nonce[NONCE_BYTES] = {'
        + ", ".join(f"0x{byte:02x}" for byte in nonce)
        + "};\n",
    )
    ninja = [str(tool("ninja")), "-C", str(workspace.build_dir)]
    if recipe.kernels:
        needed = needed_kernels("".join(sources.values()))
        objects = [
            f"CMakeFiles/kernels.dir/kernels/{path.name}.obj"
            for path in needed
            if path.suffix == ".c"
        ]
        _write_if_changed(workspace.build_dir / "kernels.rsp", "\n".join(objects))
        _run(ninja + objects, workspace, where=where, deadline_s=deadline_s)
    _run(ninja + ["firmware.elf"], workspace, where=where, deadline_s=deadline_s)


def _run(command: list[str], workspace: Workspace, *, where: str, deadline_s: float) -> None:
    code, output = run_killable(command, deadline_s=deadline_s, keep=[workspace.lock])
    if code != 0:
        raise _explain(output, where=where)


def _write_if_changed(path: Path, text: str) -> None:
    data = text.encode()
    if not path.exists() or path.read_bytes() != data:
        path.write_bytes(data)


_OVERFLOW = re.compile(r"region `(\w+)' overflowed by (\d+) bytes")
_COMPLAINT = re.compile(
    r"^.*(?:error:|undefined reference to|multiple definition of|/ld: (?!.*in function)).*$",
    re.MULTILINE,
)
# What the ports assert of board.h, by _Static_assert or #error with a quoted sentence.
_UNFIT_BOARD = re.compile(r'/port/.*error: (?:static assertion failed:|#error) "([^"]*)"')
_MISSING_HEADER = re.compile(r"fatal error: (?:string|stdint|math|stddef)\.h: No such file")


def _explain(output: str, *, where: str) -> HilnasError:
    """The one error behind ninja's output."""
    overflows = [(region, int(count)) for region, count in _OVERFLOW.findall(output)]
    if overflows:
        region, missing = max(overflows, key=lambda overflow: overflow[1])
        others = "".join(f", {r} by {n} bytes" for r, n in overflows if r != region)
        return DoesNotFitError(
            f"the image overflows {region} by {missing} bytes{others}",
            region=region,
            missing_bytes=missing,
            where=where,
            hint="take a smaller model or a larger board",
        )
    if _MISSING_HEADER.search(output):
        return ToolchainError(
            "the C library's headers are missing",
            where=where,
            hint="apt-get install libnewlib-arm-none-eabi",
        )
    unfit = _UNFIT_BOARD.search(output)
    if unfit is not None:
        return ConfigError(
            f"the board cannot be built for: {unfit.group(1)}",
            where=where,
            hint="correct its board.toml",
        )
    complaint = _COMPLAINT.search(output)
    text = complaint.group().strip() if complaint else output.strip()[-300:]
    return CompileError(
        f"the firmware does not compile: {text}",
        where=where,
        hint="this is a bug of the generated or the firmware's sources; please report it",
    )


def _image_dir(nonce: bytes) -> Path:
    """images/<nonce> in the cache; old ones go, so that a long search does not fill the disk."""
    root = cache_dir() / "images"
    root.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):  # another process is tidying up, too
        kept = sorted(root.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in kept[_KEPT_IMAGES:]:
            if time.time() - path.stat().st_mtime > _KEPT_FOR_S:
                shutil.rmtree(path, ignore_errors=True)
    return root / nonce.hex()


def _deliver(built: Path, to: Path) -> Path:
    """Copy under a passing name, then rename: a reader never sees half an image."""
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        passing = to.with_name(f".{to.name}.{os.getpid()}.{time.monotonic_ns()}")
        try:
            shutil.copyfile(built, passing)
            shutil.copymode(built, passing)
            passing.replace(to)
        except BaseException:  # a full disk, or the end of a worker whose parent was killed
            passing.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise BuildError(
            f"cannot be written: {error.strerror}", where=to, hint="choose another folder"
        ) from None
    return to
