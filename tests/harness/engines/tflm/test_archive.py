"""An archive is read whole or refused with one sentence, whatever its bytes are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.engines.tflm import archive as subject
from harness.engines.tflm.archive import is_for_arm, read_archive
from harness.errors import ToolchainError
from tests.harness.engines.tflm.trees import HARD, archived, compiled

LONG_NAME = "a_name_longer_than_sixteen_characters.o"


@pytest.fixture(scope="module")
def valid() -> bytes:
    return archived(
        {
            "f.o": compiled('extern "C" int f() { return 1; }', HARD),
            LONG_NAME: compiled('extern "C" int g() { return 2; }', HARD),
        }
    )


def written(folder: Path, data: bytes) -> Path:
    path = folder / "x.a"
    path.write_bytes(data)
    return path


def refusal(folder: Path, data: bytes) -> str:
    with pytest.raises(ToolchainError) as refused:
        read_archive(written(folder, data))
    return str(refused.value)


def test_members_and_symbols_are_those_that_ar_wrote(tmp_path, valid):
    archive = read_archive(written(tmp_path, valid))

    assert [member.name for member in archive.members] == ["f.o", LONG_NAME]
    assert all(member.data.startswith(b"\x7fELF") for member in archive.members)
    assert archive.symbols == {"f", "g"}


def test_the_digest_is_of_what_is_in_it_and_not_of_when_it_was_packed(tmp_path):
    member = compiled('extern "C" int f() { return 1; }', HARD)
    other = compiled('extern "C" int f() { return 2; }', HARD)

    def digest(data: bytes) -> str:
        return read_archive(written(tmp_path, data)).sha256

    stamped, plain = archived({"f.o": member}, "rcsU"), archived({"f.o": member})
    assert stamped != plain
    assert digest(stamped) == digest(plain)
    assert digest(plain) != digest(archived({"f.o": other}))
    assert digest(plain) != digest(archived({"g.o": member}))


def test_an_archive_without_an_index_says_how_to_get_one(tmp_path):
    data = archived({"f.o": compiled("int f() { return 1; }", HARD)}, "rcS")

    assert "no index of its symbols; run arm-none-eabi-ranlib" in refusal(tmp_path, data)


def test_a_thin_archive_is_refused_as_one(tmp_path):
    (tmp_path / "f.o").write_bytes(compiled("int f() { return 1; }", HARD))
    command = ["arm-none-eabi-ar", "rcsT", "x.a", "f.o"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)

    with pytest.raises(ToolchainError, match="thin archive, which holds only the names"):
        read_archive(tmp_path / "x.a")


def test_what_is_no_archive_says_what_it_begins_with(tmp_path):
    assert r"no archive of objects (expected !<arch>, got '\x7fELF" in refusal(
        tmp_path, b"\x7fELF" + bytes(60)
    )


def test_an_empty_archive_is_no_library(tmp_path):
    assert "archive without objects" in refusal(tmp_path, b"!<arch>\n")


def test_an_archive_that_is_too_large_is_not_read(tmp_path, monkeypatch, valid):
    monkeypatch.setattr(subject, "LARGEST_ARCHIVE", 100)

    assert "too large for a library (expected <= 100 bytes)" in refusal(tmp_path, valid)


def test_members_without_end_are_not_read(tmp_path, monkeypatch, valid):
    monkeypatch.setattr(subject, "MOST_MEMBERS", 2)

    assert "more than 2 members" in refusal(tmp_path, valid)


def test_a_file_that_is_not_there_is_said_to_be(tmp_path):
    with pytest.raises(ToolchainError, match="cannot be read: No such file"):
        read_archive(tmp_path / "x.a")


def test_an_index_of_more_symbols_than_it_holds_is_broken(tmp_path, valid):
    at = 8 + 60  # magic, header of the index
    data = valid[:at] + (1 << 30).to_bytes(4, "big") + valid[at + 4 :]

    assert "broken index of its symbols (expected" not in refusal(tmp_path, data)
    assert "got 1073741824 symbols in" in refusal(tmp_path, data)


def test_a_long_name_that_is_nowhere_is_said_to_be(tmp_path, valid):
    at = valid.rindex(b"/0  ")

    assert "a member's name that is nowhere, '/99'" in refusal(
        tmp_path, valid[:at] + b"/99" + valid[at + 3 :]
    )


@given(st.data())
@example(None)
def test_a_torn_archive_is_told_in_one_sentence(tmp_path_factory, valid, data):
    cut = 70 if data is None else data.draw(st.integers(9, len(valid) - 1))

    sentence = refusal(tmp_path_factory.getbasetemp(), valid[:cut])
    assert "is torn at byte" in sentence or "without objects" in sentence or "index" in sentence


@given(st.binary(max_size=200))
@example(b"/               0           0     0     0       4         `\n\0\0\0\0")
def test_any_bytes_behind_the_magic_are_refused_and_never_a_traceback(tmp_path_factory, tail):
    refusal(tmp_path_factory.getbasetemp(), b"!<arch>\n" + tail)


@given(position=st.integers(8, 10**6), value=st.integers(0, 255))
def test_a_flipped_byte_is_read_or_refused(tmp_path_factory, valid, position, value):
    data = bytearray(valid)
    data[8 + position % (len(data) - 8)] = value
    path = written(tmp_path_factory.getbasetemp(), bytes(data))

    try:
        read_archive(path)
    except ToolchainError as refused:
        assert "\n" not in str(refused)


def test_which_machine_an_archive_is_for_is_seen_at_its_first_object(tmp_path, valid):
    assert is_for_arm(written(tmp_path, valid))
    assert not is_for_arm(written(tmp_path, archived({"f.o": compiled("int f;", (), "g++")})))
    assert not is_for_arm(written(tmp_path, b"no archive"))
    assert not is_for_arm(tmp_path / "nothing")
