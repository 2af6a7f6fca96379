"""Firmware files from anywhere: what is taken from them, what is refused and how."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intelhex import IntelHex

from harness.board import BOARDS_DIR, Region, load_board
from harness.chip import load_chip
from harness.errors import HilnasError, ImageError, UsageError, WrongImageError
from harness.virtual import loader
from harness.virtual.loader import (
    NOTE_SECTION,
    Program,
    check_board,
    check_vectors,
    memories_of,
    read_program,
)
from tests.harness.virtual.firmware import compile_firmware

CHIP = load_chip(load_board("nucleo_f412zg").chip, BOARDS_DIR)
REGIONS = memories_of(CHIP)
FLASH = REGIONS[0]
ECHO = "void main(void) { for (;;) put(get() + 1); }"


@pytest.fixture(scope="module")
def elf(firmware_folder: Path) -> Path:
    return compile_firmware(ECHO, firmware_folder)


def objcopy(elf: Path, to: Path, *options: str) -> Path:
    subprocess.run(["arm-none-eabi-objcopy", *options, elf, to], check=True, timeout=30)
    return to


def flat(program: Program) -> bytes:
    """What flash holds after loading."""
    memory = bytearray(b"\xff" * FLASH.size)
    for address, data in program.segments:
        memory[address - FLASH.base : address - FLASH.base + len(data)] = data
    return bytes(memory)


# ---- what is taken ----


def test_the_three_formats_of_one_program_bring_the_same_bytes(elf: Path, tmp_path: Path) -> None:
    program = read_program(elf, REGIONS)
    as_hex = read_program(objcopy(elf, tmp_path / "a.hex", "-O", "ihex"), REGIONS)
    as_bin = read_program(objcopy(elf, tmp_path / "a.bin", "-O", "binary"), REGIONS)
    assert [p.format for p in (program, as_hex, as_bin)] == ["elf", "hex", "bin"]
    assert flat(program) == flat(as_hex) == flat(as_bin)
    assert (program.elf, as_hex.elf, as_bin.elf) == (elf, None, None)


def test_a_raw_binary_goes_where_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abcd")
    program = read_program(path, REGIONS, base=FLASH.base + 0x8000)
    assert program.segments == ((FLASH.base + 0x8000, b"abcd"),)
    assert program.word(FLASH.base + 0x8000) == int.from_bytes(b"abcd", "little")
    assert program.word(FLASH.base + 0x8001) is None


def test_content_tells_the_format_where_the_name_does_not(elf: Path, tmp_path: Path) -> None:
    plain = tmp_path / "firmware"
    plain.write_bytes(elf.read_bytes())
    assert read_program(plain, REGIONS).format == "elf"
    objcopy(elf, plain, "-O", "ihex")
    assert read_program(plain, REGIONS).format == "hex"


def test_the_file_s_own_headers_are_not_loaded(elf: Path, tmp_path: Path) -> None:
    # A linker may put them into the first segment, in front of flash.
    data = bytearray(elf.read_bytes())
    header = struct.unpack_from("<I", data, 28)[0]
    offset, address, size = (struct.unpack_from("<I", data, header + k)[0] for k in (4, 12, 16))
    struct.pack_into("<I", data, header + 4, 0)
    struct.pack_into("<II", data, header + 8, address - offset, address - offset)
    struct.pack_into("<II", data, header + 16, size + offset, size + offset)
    path = tmp_path / "with_headers.elf"
    path.write_bytes(data)
    assert flat(read_program(path, REGIONS)) == flat(read_program(elf, REGIONS))


# ---- what is refused ----


def refusal(path: Path, **options: int) -> str:
    with pytest.raises(HilnasError) as refused:
        read_program(path, REGIONS, **options)
    return str(refused.value)


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.elf: cannot be read: No such file"):
        read_program(tmp_path / "absent.elf", REGIONS)


def test_a_base_is_only_for_raw_binaries(elf: Path) -> None:
    with pytest.raises(UsageError, match="--base is for raw binaries, and this is elf"):
        read_program(elf, REGIONS, base=0)


def test_a_segment_where_no_memory_is_is_named(firmware_folder: Path) -> None:
    message = refusal(compile_firmware("void main(void) {}", firmware_folder, flash="0x08200000"))
    assert "has bytes where the chip has no memory (expected 0x08000000 to 0x08100000" in message
    assert "got 0x08200000 to 0x0820" in message


def test_a_binary_that_is_larger_than_flash_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(FLASH.size + 1))
    assert "got 0x08000000 to 0x08100001" in refusal(path)


def test_an_elf_for_the_host_is_refused() -> None:
    message = refusal(Path(sys.executable).resolve())
    assert "is an ELF for another machine (expected 32-bit little-endian ARM" in message


def test_an_object_file_has_nothing_to_load(tmp_path: Path) -> None:
    source, compiled = tmp_path / "empty.c", tmp_path / "empty.o"
    source.write_text("int x;\n")
    subprocess.run(["arm-none-eabi-gcc", "-c", source, "-o", compiled], check=True, timeout=30)
    assert "has nothing to load" in refusal(compiled)


@pytest.mark.parametrize("size", [20, 60, 200, 4096 + 100])
def test_a_truncated_elf_is_refused(elf: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.elf"
    path.write_bytes(elf.read_bytes()[:size])
    assert "is no ELF file" in refusal(path) or "is a truncated ELF file" in refusal(path)


@pytest.mark.parametrize(
    "text",
    [":00000001FE\n", ":10000000FF\n", ":zz\n", "hello\n", ":020000040800F2\n:01000000FF01\n"],
)
def test_a_broken_hex_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.hex"
    path.write_text(text)
    assert "is no Intel HEX file" in refusal(path)


def test_a_hex_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.hex"
    path.write_bytes(b"\xff\xfe:00")
    assert "is no Intel HEX file" in refusal(path)


def test_a_hex_file_of_more_than_the_chip_holds_is_not_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.hex"
    IntelHex({at: 0 for at in range(1024)}).write_hex_file(str(path))
    monkeypatch.setattr(loader, "IntelHex", None)
    most = loader.HEX_CHARACTERS * 256
    with pytest.raises(ImageError) as refused:
        read_program(path, [Region(0, 256)])
    assert "is an Intel HEX file of more than the chip's memory" in str(refused.value)
    assert f"(expected at most {most} characters, got {path.stat().st_size})" in str(refused.value)


@pytest.mark.parametrize("record_bytes", [8, 16, 255])
def test_a_hex_file_may_fill_the_memory(tmp_path: Path, record_bytes: int) -> None:
    path = tmp_path / "full.hex"
    content = IntelHex({at: at & 0xFF for at in range(4096)})
    content.write_hex_file(str(path), byte_count=record_bytes, eolstyle="CRLF")
    segments = read_program(path, [Region(0, 4096)]).segments
    assert segments == ((0, bytes(range(256)) * 16),)


def test_empty_files_have_nothing_to_load(tmp_path: Path) -> None:
    for name in ("empty.bin", "empty.hex"):
        (tmp_path / name).write_bytes(b"")
        assert "has nothing to load" in refusal(tmp_path / name)


def test_an_unknown_format_is_named_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.uf2"
    path.write_bytes(b"UF2\n")
    assert "is no firmware that can be told" in refusal(path)
    assert "got 55 46 32 0a ..." in refusal(path)


def test_a_file_that_cannot_be_firmware_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "huge.bin"
    path.write_bytes(bytes(17))
    monkeypatch.setattr(loader, "MAX_FILE_BYTES", 16)
    assert "is too large for firmware (expected 16 bytes, got 17)" in refusal(path)


# ---- vector table and board ----


def program_with(stack: int, entry: int, at: int = FLASH.base) -> Program:
    content = struct.pack("<II", stack, entry) + bytes(8)
    return Program(Path("x.bin"), "bin", ((at, content),), None)


def test_a_vector_table_of_this_chip_is_taken() -> None:
    check_vectors(program_with(0x20040000, 0x08000009), CHIP)
    check_vectors(program_with(0x20000100, 0x00000009), CHIP)  # where flash shows at boot


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (program_with(0x20040000, 0x08000008), "points nowhere .*got 0x08000008"),
        (program_with(0x20040000, 0x09000009), "points nowhere .*got 0x09000009"),
        (program_with(0x20040000, 0x08000011), "brings no instruction .*got 0x08000011"),
        (program_with(0xFFFFFFFF, 0xFFFFFFFF), "without a stack .*got 0xffffffff"),
        (program_with(0x20000000, 0x08000009), "without a stack .*got 0x20000000"),
        (
            program_with(0x20040000, 0x08008009, at=0x08008000),
            "brings no vector table .*one at 0x08000000.*got bytes from 0x08008000",
        ),
    ],
)
def test_a_vector_table_that_starts_no_core_is_refused(program: Program, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        check_vectors(program, CHIP)


def with_note(elf: Path, to: Path, name: bytes, note: bytes) -> Path:
    content = to.with_suffix(".note")
    content.write_bytes(
        struct.pack("<III", len(note) + 1, len(name) + 1, 1)
        + (note + b"\0").ljust((len(note) + 4) // 4 * 4, b"\0")
        + (name + b"\0").ljust((len(name) + 4) // 4 * 4, b"\0")
    )
    subprocess.run(
        [
            *("arm-none-eabi-objcopy", "--add-section", f"{NOTE_SECTION}={content}"),
            *(elf, to),
        ],
        check=True,
        timeout=30,
    )
    return to


def test_an_image_says_which_board_it_was_built_for(elf: Path, tmp_path: Path) -> None:
    path = with_note(elf, tmp_path / "a.elf", b"nucleo_l4r5zi", b"hilnas")
    program = read_program(path, REGIONS)
    assert program.board == "nucleo_l4r5zi"
    check_board(program, "nucleo_l4r5zi")
    with pytest.raises(WrongImageError, match=r"expected nucleo_f412zg, got nucleo_l4r5zi"):
        check_board(program, "nucleo_f412zg")


def test_a_note_of_somebody_else_says_nothing(elf: Path, tmp_path: Path) -> None:
    path = with_note(elf, tmp_path / "a.elf", b"something", b"other")
    program = read_program(path, REGIONS)
    assert program.board is None
    check_board(program, "nucleo_f412zg")


# ---- hostile files ----


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_elf_is_refused_or_stays_inside_memory(
    elf: Path, tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(elf.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        # Headers lie at both ends.
        where = data.draw(st.one_of(st.integers(0, 119), st.integers(-400, -1)))
        content[where] = data.draw(st.integers(0, 255))
    assert_refused_or_inside(tmp_path / "damaged.elf", bytes(content))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(
        st.tuples(st.integers(0, 0xFFFF), st.integers(0, 6), st.binary(max_size=20)), max_size=8
    ),
    honest=st.booleans(),
)
def test_any_hex_records_are_refused_or_stay_inside_memory(
    tmp_path: Path, records: list[tuple[int, int, bytes]], honest: bool
) -> None:
    lines = []
    for address, kind, payload in records:
        record = bytes([len(payload), address >> 8, address & 0xFF, kind]) + payload
        check = -sum(record) & 0xFF if honest else 0
        lines.append(f":{record.hex()}{check:02x}\n")
    assert_refused_or_inside(tmp_path / "any.hex", "".join(lines).encode())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), suffix=st.sampled_from([".hex", ".elf", ".bin", ""]))
def test_noise_is_refused_or_stays_inside_memory(
    tmp_path: Path, content: bytes, suffix: str
) -> None:
    assert_refused_or_inside(tmp_path / f"noise{suffix}", content)
    assert_refused_or_inside(tmp_path / f"noise{suffix}", b"\x7fELF\x01\x01\x01" + content)


def assert_refused_or_inside(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        program = read_program(path, REGIONS)
    except HilnasError:
        return
    for address, data in program.segments:
        assert any(r.base <= address and address + len(data) <= r.end for r in REGIONS)


@given(st.dictionaries(st.integers(0x08000000, 0x080003FF), st.integers(0, 255), min_size=1))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hex_bytes_arrive_at_their_addresses(tmp_path: Path, content: dict[int, int]) -> None:
    image = IntelHex(content)
    image.write_hex_file(str(tmp_path / "a.hex"))
    program = read_program(tmp_path / "a.hex", [Region(0x08000000, 0x400)])
    loaded = {a + i: byte for a, data in program.segments for i, byte in enumerate(data)}
    assert loaded == content
