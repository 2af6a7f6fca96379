"""A search that is killed before any of its steps resumes to what an undisturbed one finds; and
the campaign sees what it is there to see. The real command is killed by `make campaign-kills`."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.board import ROOT
from tests.kills.case import draw_moment
from tests.kills.folder import differences, lines_of, same_values, written_at
from tests.kills.search import HOWS

DEADLINE_S = 900


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A run folder as far as the campaign looks into it."""
    run_dir = tmp_path / "whole"
    for name in ("models", "weights", "finalists"):
        (run_dir / name).mkdir(parents=True)
    for archid in ("aa", "bb"):
        (run_dir / "models" / f"{archid}.tflite").write_bytes(archid.encode())
        (run_dir / "weights" / f"{archid}.slim.npz").write_bytes(archid.encode())
    write_lines(run_dir / "journal.jsonl", "aa", "bb", clock=1.0)
    write_lines(run_dir / "finalists.jsonl", "bb", "aa", clock=1.0)
    return run_dir


def write_lines(path: Path, *archids: str, clock: float) -> None:
    tables = [{"at_s": clock, "outcome": {"archid": archid}} for archid in archids]
    path.write_text("".join(json.dumps(table) + "\n" for table in tables))


def test_a_search_killed_before_any_of_its_steps_resumes_to_the_undisturbed_one(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.kills.steps", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]

    assert [each for each in told if each["problems"]] == []
    assert all(each["kills"] >= 1 for each in told)
    whats = {each["what"] for each in told}
    assert {"write the rest of journal.jsonl", "write the rest of finalists.jsonl"} <= whats
    assert {"rename .journal.jsonl.draft", "rename .front.json.draft"} <= whats
    assert any(what.startswith("rename weights/") for what in whats)


def test_clocks_and_the_order_of_finalists_make_no_difference(whole: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(whole, other)
    write_lines(other / "journal.jsonl", "aa", "bb", clock=2.0)
    write_lines(other / "finalists.jsonl", "aa", "bb", clock=2.0)

    assert differences(other, whole) == []
    write_lines(other / "journal.jsonl", "bb", "aa", clock=2.0)
    assert differences(other, whole) == ["journal.jsonl differs"]


def test_files_that_differ_or_are_left_over_or_missing_are_named(
    whole: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(whole, other)
    (other / "models" / "aa.tflite").write_bytes(b"other")
    (other / "models" / ".bb.tflite.draft").touch()
    (other / "weights" / "bb.slim.npz").unlink()

    assert differences(other, whole) == [
        "models/.bb.tflite.draft is left over",
        "weights/bb.slim.npz is missing",
        "models/aa.tflite differs",
    ]


def test_reports_are_compared_without_their_clocks(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    one.write_text(json.dumps({"run_dir": "a", "front": [{"measured": {"duration_s": 1.0}}]}))
    other.write_text(json.dumps({"run_dir": "b", "front": [{"measured": {"duration_s": 2.0}}]}))
    assert same_values(one, other)
    other.write_text(json.dumps({"run_dir": "b", "front": []}))
    assert not same_values(one, other)


def test_a_torn_line_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert lines_of(path).count == 0
    path.write_bytes(b'{"index": 0}\n{"ind')
    assert (lines_of(path).whole, lines_of(path).torn) == (b'{"index": 0}\n', 5)


def test_a_candidate_evaluated_again_shows_in_its_files(whole: Path) -> None:
    before = written_at(whole, {"aa"})
    assert set(before) == {"models/aa.tflite", "weights/aa.slim.npz"}
    path = whole / "models" / "aa.tflite"
    again = path.with_name("again")
    again.write_bytes(path.read_bytes())
    again.replace(path)
    assert written_at(whole, {"aa"}) != before


def test_moments_are_a_function_of_the_seed_and_of_all_kinds() -> None:
    def draw(seed: int) -> list[object]:
        dice = random.Random(seed)
        return [draw_moment(dice, 20.0) for _ in range(200)]

    moments = [draw_moment(random.Random(number), 20.0) for number in range(200)]
    assert draw(1) == draw(1) != draw(2)
    assert {moment.how for moment in moments} == set(HOWS)
    assert {bool(moment.file) for moment in moments} == {True, False}
    assert all(0 <= moment.seconds <= (0.02 if moment.file else 20.0) for moment in moments)
