"""A library that a board's firmware cannot link is refused before the linker is asked, with what
differs and how to build it instead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.board import Board, load_board
from harness.engines.tflm.abi import check_abi, check_cxx
from harness.engines.tflm.archive import Member
from harness.engines.tflm.library import find_library
from harness.engines.tflm.objects import read_object
from harness.errors import ToolchainError
from tests.harness.engines.tflm.trees import (
    HARD,
    RELEASE,
    SOFT,
    archived,
    compiled,
    library_source,
    make_tree,
)

SOURCE = library_source(cmsis_nn=False)
BOARD = load_board("nucleo_l4r5zi")
WITHOUT_FPU = replace(BOARD, core="cortex-m4")


def object_of(flags: tuple[str, ...], source: str = SOURCE, compiler: str = "") -> bytes:
    return compiled(source, flags, compiler or "arm-none-eabi-g++")


def check(folder: Path, board: Board, *objects: bytes, ar: str = "arm-none-eabi-ar") -> None:
    """check_abi() of a library with these objects."""
    data = archived({f"{index}.o": one for index, one in enumerate(objects)}, ar=ar)
    check_abi(find_library(make_tree(folder, data) / "gen" / RELEASE), board)


def complaint(folder: Path, board: Board, *objects: bytes, **how: str) -> str:
    with pytest.raises(ToolchainError) as refused:
        check(folder, board, *objects, **how)
    return str(refused.value)


def test_what_the_firmware_itself_is_compiled_with_fits(tmp_path):
    check(tmp_path, BOARD, object_of(HARD))


def test_a_core_without_fpu_takes_soft_float(tmp_path):
    check(tmp_path, WITHOUT_FPU, object_of(SOFT))


@pytest.mark.parametrize(
    ("flags", "board", "sentence"),
    [
        (
            SOFT,
            BOARD,
            "compiled with another float ABI (expected -mfloat-abi=hard for nucleo_l4r5zi, got "
            "soft); build it with TARGET_ARCH=cortex-m4+fp, as "
            "tensorflow/lite/micro/cortex_m_generic/README.md says",
        ),
        (
            (*SOFT[:2], "-mfloat-abi=softfp", HARD[3]),
            BOARD,
            "with another float ABI (expected -mfloat-abi=hard for nucleo_l4r5zi, got soft)",
        ),
        (HARD, WITHOUT_FPU, "expected -mfloat-abi=soft for nucleo_l4r5zi, got hard); build it "
         "with TARGET_ARCH=cortex-m4,"),
        (
            (*SOFT[:2], "-mfloat-abi=softfp", HARD[3]),
            WITHOUT_FPU,
            "for another floating-point unit (expected none",
        ),
        (
            ("-mcpu=cortex-m0", "-mthumb", "-mfloat-abi=soft"),
            BOARD,
            "for another CPU (expected v7E-M (Cortex-M4) for nucleo_l4r5zi, got v6-M (Cortex-M0))",
        ),
        (("-mcpu=cortex-m3", "-mthumb"), BOARD, "got v7 (Cortex-M3)"),
        (("-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=hard"), BOARD, "got v8-M.mainline"),
        (
            ("-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard"),
            BOARD,
            "for another floating-point unit (expected FPv4-SP, single precision",
        ),
        ((*HARD, "-fno-short-enums"), BOARD, "with enums of another size (expected the smallest"),
        ((*HARD, "-fshort-wchar"), BOARD, "with another wchar_t (expected 4 bytes"),
        ((*HARD, "-mbig-endian"), BOARD, "for another machine (expected ARM, 32 bits, little"),
        ((*HARD, "-flto"), BOARD, "to intermediate code (-flto) (expected instructions"),
    ],
)  # fmt: skip
def test_each_mismatch_is_told_with_its_remedy(tmp_path, flags, board, sentence):
    assert sentence in complaint(tmp_path, board, object_of(flags), object_of(HARD))


def test_a_library_of_this_machine_is_for_another_one(tmp_path):
    assert "for another machine (expected ARM, 32 bits, little-endian for nucleo_l4r5zi, got" in (
        complaint(tmp_path, BOARD, object_of((), compiler="g++"), ar="ar")
    )


def test_fat_objects_of_lto_have_instructions(tmp_path):
    check(tmp_path, BOARD, object_of((*HARD, "-flto", "-ffat-lto-objects")))


def test_one_object_that_differs_is_named(tmp_path):
    other = object_of(SOFT, "int g() { return 1; }")

    assert "libtensorflow-microlite.a(1.o): " in complaint(tmp_path, BOARD, object_of(HARD), other)


def test_another_c_plus_plus_library_is_seen_by_its_names(tmp_path):
    source = (
        SOURCE + "namespace std { namespace __1 { void sort(); } } void h() { std::__1::sort(); }"
    )

    sentence = complaint(tmp_path, BOARD, object_of(HARD, source))
    assert "for another C++ library (expected libstdc++ for nucleo_l4r5zi, got libc++)" in sentence
    assert "; build it with TOOLCHAIN=gcc" in sentence


def test_the_c_plus_plus_library_of_the_compiler_is_found():
    check_cxx()


def test_a_compiler_that_is_not_there_is_said_to_be(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ToolchainError, match="arm-none-eabi-g.. is not on the PATH; apt-get"):
        check_cxx()


def test_a_compiler_without_headers_names_the_package(monkeypatch, tmp_path):
    compiler = tmp_path / "arm-none-eabi-g++"
    compiler.write_text("#!/bin/sh\necho 'fatal error: type_traits: No such file' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    with pytest.raises(ToolchainError, match="libstdc...arm-none-eabi-newlib"):
        check_cxx()


@pytest.mark.parametrize("data", [b"", b"BC\xc0\xde", b"\x7fELF", b"\x7fELF\1\1\1" + bytes(45)])
def test_a_member_that_is_no_object_is_refused_by_name(data):
    with pytest.raises(ToolchainError, match=r"x.a\(m.o\): is no object file"):
        read_object(Member("m.o", data), Path("x.a"))


@given(positions=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=8))
def test_flipped_bytes_are_read_or_refused_and_end(positions):
    data = bytearray(object_of(HARD))
    for position, value in positions:
        data[position % len(data)] = value

    try:
        read_object(Member("m.o", bytes(data)), Path("x.a"))
    except ToolchainError as refused:
        assert "m.o" in str(refused)


@given(position=st.integers(0, 10**6), value=st.integers(0, 255))
def test_flipped_attributes_are_read_or_refused_and_end(position, value):
    data = bytearray(object_of(HARD))
    at = data.index(b"aeabi\0") - 5
    data[at + position % 60] = value

    try:
        read_object(Member("m.o", bytes(data)), Path("x.a"))
    except ToolchainError as refused:
        assert "m.o" in str(refused)
