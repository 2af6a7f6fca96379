"""Which TFLite Micro library is linked, where does it lie, and how was it built?

The user has built it from upstream's sources; this project has neither them nor a recipe. What it
is, is read from the library itself, not from the name of its folder. Knows no board.
"""

from __future__ import annotations

import functools
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness.engines.tflm.archive import Archive, is_for_arm, read_archive
from harness.engines.tflm.commit import commit_of
from harness.engines.tflm.objects import Abi, read_object
from harness.errors import ToolchainError, UsageError

VARIABLE = "HILNAS_TFLM_DIR"
ARCHIVE = Path("lib/libtensorflow-microlite.a")
RESOLVER_HEADER = Path("tensorflow/lite/micro/micro_mutable_op_resolver.h")
_DOWNLOADS = Path("tensorflow/lite/micro/tools/make/downloads")
_THIRD_PARTY = (_DOWNLOADS / "flatbuffers/include", _DOWNLOADS / "gemmlowp")
_BUILD_TYPES = ("debug", "default", "release_with_logs", "release")
_READ_DEADLINE_S = 120.0  # upstream's objects take one; others may claim any number of sections
_MOST_PARENTS = 4  # of a folder that lies in the tree: gen/<build>/lib
_LONGEST_VERSION = 160  # characters: it travels in one frame with other strings
_HOW = (
    "build upstream's target cortex_m_generic as its tensorflow/lite/micro/cortex_m_generic/"
    "README.md and tensorflow/lite/micro/docs say, and name the tree with --tflm-dir, tflm_dir in "
    f"a configuration's [device], or {VARIABLE}"
)


def register_symbol(name: str) -> str:
    """`tflite::Register_<name>()` as the Itanium C++ ABI mangles it."""
    function = f"Register_{name}"
    return f"_ZN6tflite{len(function)}{function}Ev"


@dataclass(frozen=True)
class Library:
    """A library and the tree that it was built in.

    commit: the tree's, or "unknown" where it has no .git. kernels: cmsis_nn or reference. build:
    upstream's BUILD_TYPE as the folder's name has it, or "unknown". compiler: all that the objects
    name. sha256: of the objects (harness/engines/tflm/archive.py). include_dirs, defines: what
    sources that use the library must be compiled with. abis: what the objects were compiled for,
    each with the name of one that says so. symbols: what the linker finds, mangled.
    """

    tree: Path
    archive: Path
    commit: str
    kernels: str
    build: str
    compiler: str
    sha256: str
    include_dirs: tuple[Path, ...]
    defines: tuple[str, ...]
    abis: tuple[tuple[Abi, str], ...] = field(repr=False)
    symbols: frozenset[str] = field(repr=False)

    @property
    def version(self) -> str:
        """What stands beside every number measured with it: two libraries have two versions."""
        commit = "unknown commit" if self.commit == "unknown" else self.commit[:12]
        told = f"{commit}, {self.kernels}, {self.build}, objects {self.sha256[:12]}"
        return f"{told}, {self.compiler}"[:_LONGEST_VERSION]

    @property
    def logs(self) -> bool:
        """Do its errors have texts?"""
        return "TF_LITE_STRIP_ERROR_STRINGS" not in self.defines


def find_library(path: Path | None) -> Library:
    """The library in `path`, which is upstream's tree or a gen/<build> in it; None: in what the
    environment's HILNAS_TFLM_DIR names.

    Raises:
        ToolchainError: there is none, or it cannot be used.
        UsageError: the tree has several.
    """
    if path is None:
        value = os.environ.get(VARIABLE)
        if not value:
            raise ToolchainError("no TFLite Micro library is named", hint=_HOW)
        path = Path(value)
    path = path.absolute()
    if not path.is_dir():
        raise ToolchainError("is no folder with a TFLite Micro library", where=path, hint=_HOW)
    tree = _tree_of(path)
    archive = _archive_in(path, tree)
    facts = _facts(archive, *_stamp(archive))
    return Library(
        tree=tree,
        archive=archive,
        commit=commit_of(tree) or "unknown",
        kernels="cmsis_nn" if "CMSIS_NN" in facts.defines else "reference",
        build=_build_of(archive),
        compiler=" + ".join(facts.compilers) or "compiler unknown",
        sha256=facts.sha256,
        include_dirs=_include_dirs(tree),
        defines=facts.defines,
        abis=facts.abis,
        symbols=facts.symbols,
    )


def _tree_of(path: Path) -> Path:
    for folder in (path, *path.parents[:_MOST_PARENTS]):
        if (folder / RESOLVER_HEADER).is_file():
            return folder
    raise ToolchainError(
        "is neither upstream's tree nor in one",
        where=path,
        expected=f"{RESOLVER_HEADER} in it",
        hint=_HOW,
    )


def _archive_in(path: Path, tree: Path) -> Path:
    if path != tree:
        if not (path / ARCHIVE).is_file():
            raise ToolchainError("has no library", where=path, expected=ARCHIVE, hint=_HOW)
        return path / ARCHIVE
    files = filter(Path.is_file, tree.glob(f"gen/*/{ARCHIVE}"))  # a pipe would be read for ever
    found = [file for file in sorted(files) if is_for_arm(file)]
    if not found:
        raise ToolchainError(
            "has no library for Arm", where=tree, expected=f"gen/<build>/{ARCHIVE}", hint=_HOW
        )
    if len(found) > 1:
        raise UsageError(
            "has several libraries",
            where=tree,
            expected="one",
            got=", ".join(str(file.parents[1].relative_to(tree)) for file in found),
            hint="name one of these folders instead of the tree",
        )
    return found[0]


def _stamp(archive: Path) -> tuple[int, int]:
    status = archive.stat()
    return status.st_mtime_ns, status.st_size


def _build_of(archive: Path) -> str:
    """gen/<target>_<arch>_<BUILD_TYPE>[_<kernels>]_<toolchain>/lib/..."""
    match = re.search(rf"_({'|'.join(_BUILD_TYPES)})_", archive.parents[1].name)
    return match[1] if match else "unknown"


def _include_dirs(tree: Path) -> tuple[Path, ...]:
    folders = [tree / name for name in _THIRD_PARTY]
    for folder in folders:
        if not folder.is_dir():
            raise ToolchainError(
                "lacks what upstream's makefile downloads",
                where=tree,
                expected=folder.relative_to(tree),
                hint="build the library in this tree",
            )
    return (tree, *folders)


@dataclass(frozen=True)
class _Facts:
    sha256: str
    defines: tuple[str, ...]
    compilers: tuple[str, ...]
    abis: tuple[tuple[Abi, str], ...]
    symbols: frozenset[str]


@functools.lru_cache(maxsize=4)
def _facts(path: Path, _changed_ns: int, _size: int) -> _Facts:
    """A second's work, done once for a file."""
    archive = read_archive(path)
    abis: dict[Abi, str] = {}
    compilers: set[str] = set()
    deadline = time.monotonic() + _READ_DEADLINE_S
    for member in archive.members:
        if time.monotonic() > deadline:
            raise ToolchainError(
                f"takes longer than {_READ_DEADLINE_S:g} s to read",
                where=path,
                hint="build the library again",
            )
        facts = read_object(member, path)
        abis.setdefault(facts.abi, member.name)
        compilers.update(facts.compilers)
    return _Facts(
        sha256=archive.sha256,
        defines=_defines(archive),
        compilers=tuple(sorted(compilers)),
        abis=tuple(abis.items()),
        symbols=archive.symbols,
    )


def _defines(archive: Archive) -> tuple[str, ...]:
    """Macros that change what upstream's headers declare, as this library was compiled with them.

    TF_LITE_STATIC_MEMORY: TfLiteTensor and the classes are larger without, and only then does
    tensorflow/lite/core/c/common.cc define TfLiteIntArrayCreate. CMSIS_NN: the kernels' headers
    declare registrations for one type, which else are inline and the general ones; CMSIS-NN's own
    functions are there. TF_LITE_STRIP_ERROR_STRINGS: MicroPrintf is a macro, else a function of
    micro_log.cc. USE_TFLM_COMPRESSION: more virtual functions and members; only then is
    MicroContext::DecompressTensorToBuffer defined. NDEBUG: no object names newlib's
    __assert_func, which inline functions of FlatBuffers' headers call without.

    TF_LITE_MCU_DEBUG_LOG cannot be told and changes nothing but how code that includes the
    headers aborts: with it, by standing still. Upstream sets it for every Cortex-M, and the
    firmware has no abort(). TF_LITE_USE_CTIME, KERNELS_OPTIMIZED_FOR_SPEED and _SIZE are read by
    sources alone.
    """
    symbols = archive.symbols
    cmsis_nn = "arm_convolve_s8" in symbols
    if register_symbol("CONV_2D") not in symbols:
        raise ToolchainError(
            "is no TFLite Micro library",
            where=archive.path,
            expected="tflite::Register_CONV_2D()",
            hint="link what upstream's target microlite leaves",
        )
    if not cmsis_nn and register_symbol("CONV_2D_INT8") in symbols:
        raise ToolchainError(
            "calls CMSIS-NN without containing it",
            where=archive.path,
            expected="arm_convolve_s8()",
            hint="build it without CMSIS_NN_LIBS",
        )
    if "TfLiteIntArrayCreate" in symbols:
        raise ToolchainError(
            "was built without TF_LITE_STATIC_MEMORY, which needs a heap",
            where=archive.path,
            hint="build it with another BUILD_TYPE than no_tf_lite_static_memory",
        )
    told = {
        "TF_LITE_STATIC_MEMORY": True,
        "TF_LITE_MCU_DEBUG_LOG": True,
        "CMSIS_NN": cmsis_nn,
        "TF_LITE_STRIP_ERROR_STRINGS": "_Z11MicroPrintfPKcz" not in symbols,
        "USE_TFLM_COMPRESSION": any("24DecompressTensorToBuffer" in name for name in symbols),
        "NDEBUG": not _mentions(archive, b"\0__assert_func\0"),
    }
    return tuple(name for name, is_set in told.items() if is_set)


def _mentions(archive: Archive, text: bytes) -> bool:
    return any(text in member.data for member in archive.members)
