"""Ctrl-C in whatever takes long: one sentence and exit code 130, from real processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.board import ROOT
from search.__main__ import main
from tests.harness.virtual.firmware import compile_firmware
from tests.tflite_factory import small_network

BOARD = ("--board", "nucleo_f412zg")
COMPILER = "arm-none-eabi-gcc"


@contextmanager
def started(*words: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`hilnas words...` in a process group of its own, as a shell would start it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "search", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr (without the end of a progress bar) behind a Ctrl-C, which the
    whole foreground group gets."""
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err.strip()


@pytest.fixture
def slow_compiler(tmp_path: Path) -> tuple[Path, Path]:
    """(a folder for PATH with a compiler that never ends a compilation, a file that it makes when
    one begins)"""
    folder, begun = tmp_path / "bin", tmp_path / "begun"
    folder.mkdir()
    compiler = folder / COMPILER
    compiler.write_text(
        "#!/bin/sh\n"
        f'case " $* " in *" -c "*) touch "{begun}"; exec sleep 300;; esac\n'
        f'exec "{shutil.which(COMPILER)}" "$@"\n'
    )
    compiler.chmod(0o755)
    return folder, begun


@pytest.mark.parametrize("command", ["measure", "build"])
def test_a_compilation_can_be_interrupted(
    tmp_path: Path, slow_compiler: tuple[Path, Path], command: str
) -> None:
    folder, begun = slow_compiler
    model = tmp_path / "small.tflite"
    model.write_bytes(small_network())
    words = (command, model, *BOARD, *(("--out", tmp_path / "out") if command == "build" else ()))
    path = f"{folder}:{os.environ['PATH']}"
    with started(*words, PATH=path, HILNAS_CACHE=str(tmp_path / "cache")) as process:
        until = time.monotonic() + 60
        while not begun.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        assert begun.exists(), process.communicate()
        assert interrupted(process) == (130, "", "hilnas: interrupted")


def test_a_probe_that_does_not_answer_can_be_left(tmp_path: Path) -> None:
    image = compile_firmware("void main(void) { report(1); }", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        probe = f"remote:127.0.0.1:{server.getsockname()[1]}"
        with started("flash", image, *BOARD, "--probe", probe) as process:
            line, _ = server.accept()
            with line:
                assert interrupted(process) == (130, "", "hilnas: interrupted")


def test_there_is_nothing_too_early_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Finder:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "search.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 130
    assert capsys.readouterr().err == "hilnas: interrupted\n"
