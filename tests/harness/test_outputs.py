"""What a command is to write is known to be writable before it works, and nothing is left by the
question."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import HilnasError, UsageError
from harness.outputs import require_folder, require_writable, write_text


@pytest.fixture
def full_device() -> Path:
    """A file that can be opened for writing, and not written."""
    return Path("/dev/full")


def test_a_new_file_can_be_written_and_is_not_left_behind(tmp_path: Path) -> None:
    file = tmp_path / "new.json"
    assert require_writable(file) == file
    assert not file.exists()


def test_an_old_file_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text("{}")
    assert require_writable(file) == file
    assert file.read_text() == "{}"


def test_no_file_and_stdout_need_no_place() -> None:
    assert require_writable(None) is None
    assert require_writable(Path("-")) == Path("-")


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    """Nobody reads yet, and whoever does must not see its end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert require_writable(pipe) == pipe


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent/x.json", "No such file or directory"),
        ("file/x.json", "Not a directory"),
        ("folder", "Is a directory"),
    ],
)
def test_what_is_no_place_for_a_file_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=f"{name}: cannot be written: {reason}; choose another"):
        require_writable(tmp_path / name)


def test_a_device_without_permission_is_refused(
    monkeypatch: pytest.MonkeyPatch, full_device: Path
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UsageError, match="/dev/full: cannot be written: Permission denied"):
        require_writable(full_device)


def test_a_folder_that_can_be_made_is_not_left_behind(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert require_folder(folder) == folder
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_keeps_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    assert require_folder(tmp_path) == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file", "File exists"),
        ("file/below", "Not a directory"),
        ("/proc/absent/below", "No such file or directory"),
    ],
)
def test_what_cannot_be_a_folder_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=f"{name}: cannot be written into: {reason}; choose"):
        require_folder(tmp_path / name)


def test_a_full_disk_names_the_file(full_device: Path) -> None:
    with pytest.raises(HilnasError, match="/dev/full: cannot be written: No space left"):
        write_text(full_device, "{}")
