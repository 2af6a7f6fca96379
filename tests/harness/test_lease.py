"""Leases: one command has a unit, whoever comes second is told who, and the dead hold nothing."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import lease as lease_module
from harness.errors import BoardError, UnitInUseError
from harness.lease import holder_of, lease

PROBE = "0123ABCD"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    tmp_path.chmod(0o777)
    monkeypatch.setattr(lease_module, "FOLDERS", (tmp_path,))
    return tmp_path


def test_a_second_command_is_told_who_has_the_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/hilnas", "measure", "m" * 80])
    with (
        lease(PROBE, unit="left"),
        pytest.raises(UnitInUseError) as caught,
        lease(PROBE.lower(), unit="left", patience_s=0),
    ):
        pass
    command = ("hilnas measure " + "m" * 80)[:57] + "..."
    assert str(caught.value).startswith(
        f"left: the unit is in use by {getpass.getuser()}'s `{command}`, process {os.getpid()}, "
        "since 20"
    )
    assert str(caught.value).endswith("; wait for its end, or choose another unit")
    assert isinstance(caught.value, BoardError)


def test_what_was_let_go_can_be_had_again_and_leaves_no_file(folder: Path) -> None:
    for _ in range(2):
        assert holder_of(PROBE) is None
        with lease(PROBE, unit="left", patience_s=0):
            assert f"process {os.getpid()}" in str(holder_of(PROBE))
    assert not list(folder.iterdir())


def test_who_waits_for_a_file_that_is_removed_gets_its_successor(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = contextlib.ExitStack()
    first.enter_context(lease(PROBE, unit="left"))
    monkeypatch.setattr(lease_module.time, "sleep", lambda _: first.close())
    with lease(PROBE, unit="left"):
        assert holder_of(PROBE) is not None and len(list(folder.iterdir())) == 1


def test_probes_are_apart() -> None:
    with lease(PROBE, unit="left", patience_s=0), lease("F", unit="right", patience_s=0):
        assert holder_of("remote:host:1") is None


def test_the_lease_of_a_killed_command_ends_with_it(folder: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from harness import lease\n"
        f"lease.FOLDERS = (Path({str(folder)!r}),)\n"
        f"with lease.lease({PROBE!r}, unit='left'): print('have it', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"have it\n"
        assert f"process {process.pid}," in str(holder_of(PROBE))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert holder_of(PROBE) is None
    with lease(PROBE, unit="left", patience_s=0):
        assert f"process {os.getpid()}," in str(holder_of(PROBE))


def test_a_file_that_was_tidied_away_is_no_lease(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another command may lock its successor at the same time."""
    real = lease_module.fcntl.flock

    def tidy(descriptor: int, how: int) -> None:
        real(descriptor, how)
        monkeypatch.setattr(lease_module.fcntl, "flock", real)
        next(folder.iterdir()).unlink()

    monkeypatch.setattr(lease_module.fcntl, "flock", tidy)
    with lease(PROBE, unit="left"):
        assert holder_of(PROBE) is not None


def test_a_holder_that_says_nothing_is_a_holder(folder: Path) -> None:
    with lease(PROBE, unit="left"):
        next(folder.iterdir()).write_text("[]\n")
        assert holder_of(PROBE) == "another command"
