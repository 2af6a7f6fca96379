"""What tests in a process of their own come to is what their report says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.search.apart import run_apart


def test_all_that_pass_pass(tmp_path: Path) -> None:
    file = tmp_path / "two.py"
    file.write_text("def test_one(): pass\ndef test_two(): pass\n")
    run_apart(str(file), tmp_path)


def test_one_that_fails_fails_with_all_that_was_said(tmp_path: Path) -> None:
    file = tmp_path / "two.py"
    file.write_text("def test_one(): pass\ndef test_two(): assert 'this' == 'that'\n")
    with pytest.raises(AssertionError, match="'this' == 'that'"):
        run_apart(str(file), tmp_path)


def test_none_is_no_pass(tmp_path: Path) -> None:
    file = tmp_path / "none.py"
    file.write_text("")
    with pytest.raises(AssertionError, match="no tests ran"):
        run_apart(str(file), tmp_path)


def test_a_process_that_dies_is_run_once_more(tmp_path: Path) -> None:
    file, seen = tmp_path / "dying.py", tmp_path / "seen"
    lines = ["import os, pathlib", "def test_one():", f"    seen = pathlib.Path({str(seen)!r})"]
    once = ["    if not seen.exists():", "        seen.touch()", "        os._exit(1)"]
    file.write_text("\n".join(lines + once))
    run_apart(str(file), tmp_path)

    always = ["    seen.write_text(seen.read_text() + 'again')", "    os._exit(1)"]
    file.write_text("\n".join(lines + always))
    (tmp_path / "report.xml").unlink()
    with pytest.raises(AssertionError, match="ended with 1 and no report"):
        run_apart(str(file), tmp_path)
    assert seen.read_text() == "again" * 2


def test_a_process_that_dies_behind_its_report_has_passed(tmp_path: Path) -> None:
    file = tmp_path / "late.py"
    file.write_text("import atexit, os\natexit.register(os._exit, 1)\ndef test_one(): pass\n")
    run_apart(str(file), tmp_path)
