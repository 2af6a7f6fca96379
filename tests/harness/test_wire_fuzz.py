"""The fuzzers of the wire break what is broken, and not what is there: a defect planted in a copy
of the sources is found within seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench import wire_fuzz
from bench.wire_fuzz import firmware
from bench.wire_fuzz.libfuzzer import Limit
from harness.board import ROOT
from harness.errors import FrameError
from harness.wire import Frame, decode

FOUND_BEFORE = 20_000  # inputs; each planted defect takes some hundreds
CLEAN = 500


@pytest.fixture
def clang() -> None:
    if (why := firmware.missing()) is not None:
        pytest.skip(why)


@pytest.fixture
def atheris() -> None:
    if (why := wire_fuzz.host_missing()) is not None:
        pytest.skip(why)


def plant(tree: Path, file: str, text: str, defect: str) -> None:
    """Replaces `text`, which stands once in tree/file, by `defect`."""
    source = tree / file
    assert source.read_text().count(text) == 1, f"{file} no longer has {text!r}: plant another"
    source.write_text(source.read_text().replace(text, defect))


@pytest.fixture
def copied_firmware(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "firmware", tmp_path / "copy" / "firmware")
    return tmp_path / "copy"


@pytest.fixture
def copied_harness(tmp_path: Path) -> Path:
    into = tmp_path / "copy" / "harness"
    into.mkdir(parents=True)
    for file in (ROOT / "harness").glob("*.py"):
        shutil.copy(file, into)
    return tmp_path / "copy"


@pytest.mark.usefixtures("clang")
def test_the_firmware_withstands_every_seed_and_what_is_made_of_it(tmp_path: Path) -> None:
    outcome = wire_fuzz.fuzz_firmware(tmp_path / "kept", Limit(runs=CLEAN), seed=1)
    assert outcome.crash is None, outcome.log
    assert outcome.executions >= CLEAN


@pytest.mark.usefixtures("clang")
def test_a_missing_bound_of_the_firmware_is_found(copied_firmware: Path, tmp_path: Path) -> None:
    bound = "if (length > tensor.bytes - offset)"  # no seed crosses it: a mutation has to
    plant(copied_firmware / "firmware", "app/serve.c", bound, "if (length > 4096)")
    limit = Limit(runs=FOUND_BEFORE)
    outcome = wire_fuzz.fuzz_firmware(tmp_path / "kept", limit, seed=1, source=copied_firmware)
    assert "AddressSanitizer: global-buffer-overflow" in outcome.why
    assert "app/serve.c" in outcome.log
    assert outcome.crash is not None and outcome.crash.parent == tmp_path / "kept"


@pytest.mark.usefixtures("atheris")
def test_the_host_withstands_every_seed_and_what_is_made_of_it(tmp_path: Path) -> None:
    outcome = wire_fuzz.fuzz_host(tmp_path / "kept", Limit(runs=CLEAN), seed=1)
    assert outcome.crash is None, outcome.log
    assert outcome.executions >= CLEAN


@pytest.mark.usefixtures("atheris")
def test_a_missing_bound_of_the_host_is_found_and_kept(
    copied_harness: Path, tmp_path: Path
) -> None:
    plant(copied_harness / "harness", "wire.py", "if len(raw) > _FRAME_MAX:", "if False:")
    limit = Limit(runs=FOUND_BEFORE)
    outcome = wire_fuzz.fuzz_host(tmp_path / "kept", limit, seed=1, source=copied_harness)
    assert outcome.why == "AssertionError: a frame of no allowed length was taken"
    assert outcome.crash is not None
    pieces = outcome.crash.read_bytes().split(b"\0")
    assert any("unstuffed, got 52" in str(judged(piece)) for piece in pieces)


def judged(stuffed: bytes) -> Frame | FrameError:
    """What the real decoder says of it."""
    try:
        return decode(stuffed)
    except FrameError as error:
        return error


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert firmware.missing() == "no clang: apt-get install clang libclang-rt-14-dev"
    assert "apt-get install clang" in str(wire_fuzz.run()["not_run"])
