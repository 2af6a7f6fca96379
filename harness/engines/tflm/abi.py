"""Can a library be linked into a board's firmware? Found out before the linker is, whose messages
name neither the cause nor the remedy."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.engines.tflm.objects import Abi
from harness.errors import ToolchainError
from harness.workspace import run_killable

if TYPE_CHECKING:
    from harness.board import Board
    from harness.engines.tflm.library import Library

_CXX = "arm-none-eabi-g++"
_CXX_PACKAGES = "apt-get install libstdc++-arm-none-eabi-newlib"
_CXX_DEADLINE_S = 30.0
_V7E_M = 13  # Tag_CPU_arch of the Cortex-M4 and the Cortex-M7
_ARCHITECTURES = {
    10: "v7 (Cortex-M3)",
    11: "v6-M (Cortex-M0)",
    12: "v6-M (Cortex-M0)",
    13: "v7E-M (Cortex-M4)",
    16: "v8-M.baseline (Cortex-M23)",
    17: "v8-M.mainline (Cortex-M33)",
    21: "v8.1-M.mainline (Cortex-M55)",
}
_FPV4_D16 = 6  # Tag_FP_arch: the Cortex-M4's, where single precision is all that is used
_ENUM_SIZES = {1: "the smallest integer", 2: "int"}


def check_abi(library: Library, board: Board) -> None:
    """Every object of `library` fits firmware for `board`.

    Raises:
        ToolchainError: another machine, CPU, float ABI, enum size, wchar_t or C++ library; or
            objects that only their own compiler can read.
    """
    for abi, member in library.abis:
        for what, expected, got, flag in _mismatches(abi, board):
            raise ToolchainError(
                f"the TFLite Micro library was compiled {what}",
                where=f"{library.archive}({member})",
                expected=f"{expected} for {board.name}",
                got=got,
                hint=f"build it {flag}, as tensorflow/lite/micro/cortex_m_generic/README.md says",
            )


def _mismatches(abi: Abi, board: Board) -> Iterator[tuple[str, str, str, str]]:
    """What differs, what the board needs, what the library has, how it must be built."""
    hard = board.core == "cortex-m4f"
    target = f"with TARGET_ARCH={'cortex-m4+fp' if hard else 'cortex-m4'}"
    if (abi.machine, abi.bits, abi.big_endian) != ("EM_ARM", 32, False):
        order = "big" if abi.big_endian else "little"
        got = f"{abi.machine.removeprefix('EM_')}, {abi.bits} bits, {order}-endian"
        needed = "ARM, 32 bits, little-endian"
        yield "for another machine", needed, got, f"for TARGET=cortex_m_generic {target}"
    if abi.lto:
        yield (
            "to intermediate code (-flto)",
            "instructions",
            "objects that only their own compiler reads",
            "without -flto",
        )
    if abi.cpu_arch != _V7E_M:
        got = _ARCHITECTURES.get(abi.cpu_arch, f"architecture {abi.cpu_arch}")
        yield "for another CPU", _ARCHITECTURES[_V7E_M], got, target
    if hard != (abi.float_args == 1) and abi.float_args != 3:  # 3: passes none at all
        names = {True: "hard", False: "soft"}
        got = names[abi.float_args == 1]
        yield "with another float ABI", f"-mfloat-abi={names[hard]}", got, target
    if abi.fp_arch and (not hard or abi.fp_arch > _FPV4_D16 or not abi.single_precision):
        unit = "double precision" if not abi.single_precision else f"Tag_FP_arch {abi.fp_arch}"
        needed = "FPv4-SP, single precision" if hard else "none"
        yield "for another floating-point unit", needed, unit, target
    if abi.enum_size not in (0, 1, 3):  # 0: has none; 3: none that others see
        got = _ENUM_SIZES.get(abi.enum_size, f"Tag_ABI_enum_size {abi.enum_size}")
        yield "with enums of another size", _ENUM_SIZES[1], got, "without -fno-short-enums"
    if abi.wchar_size not in (0, 4):
        yield "with another wchar_t", "4 bytes", str(abi.wchar_size), "without -fshort-wchar"
    if abi.libcxx:
        yield "for another C++ library", "libstdc++", "libc++", "with TOOLCHAIN=gcc"


def check_cxx() -> None:
    """The compiler of the firmware has C++ and its library, which the library's headers include.

    Raises:
        ToolchainError: no such compiler, or no headers of libstdc++.
    """
    compiler = shutil.which(_CXX)
    if compiler is None:
        raise ToolchainError(
            f"the compiler {_CXX} is not on the PATH", hint="apt-get install gcc-arm-none-eabi"
        )
    code, output = _preprocess(compiler)
    if code != 0 or "__GLIBCXX__" not in output:
        raise ToolchainError(
            "has no C++ library", where=compiler, expected="libstdc++", hint=_CXX_PACKAGES
        )


@functools.cache
def _preprocess(compiler: str) -> tuple[int, str]:
    """Exit code and macros of libstdc++'s configuration, which names itself."""
    command = [compiler, "-mcpu=cortex-m4", "-mthumb", "-x", "c++", "-dM", "-E"]
    return run_killable(
        [*command, "-include", "type_traits", "/dev/null"], deadline_s=_CXX_DEADLINE_S
    )
