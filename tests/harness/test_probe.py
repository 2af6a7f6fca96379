"""Flashing through a probe: what is refused, and that nothing hangs."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness.probe
from harness.board import CONNECT_MODES, RESET_TYPES
from harness.errors import ProbeError
from harness.probe import Access, flash, pyocd_version, reset

IMAGE = [(0x08000000, bytes(range(64)))]
TARGET = "stm32f412xg"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server


def address_of(server: socket.socket) -> str:
    return f"remote:127.0.0.1:{server.getsockname()[1]}"


def test_a_probe_is_named_by_its_whole_unique_id() -> None:
    with pytest.raises(
        ProbeError,
        match=r"no such debug probe is attached \(expected 0669FF3, got .*\); check the cable and",
    ):
        flash(IMAGE, Access(TARGET, "0669FF3"))


def test_a_server_that_is_not_there_is_named(listener: socket.socket) -> None:
    address = address_of(listener)
    listener.close()
    with pytest.raises(ProbeError) as caught:
        flash(IMAGE, Access(TARGET, address))
    assert str(caught.value) == (
        f"{address}: the probe cannot be reached: [Errno 111] Connection refused; "
        "is it attached, or its server started?"
    )


NO_REMOTE = "names no remote probe (expected remote:HOST:PORT); give what the probe's server says"


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(ProbeError) as caught:
        flash(IMAGE, Access(TARGET, "remote:127.0.0.1:here"))
    assert str(caught.value) == f"remote:127.0.0.1:here: {NO_REMOTE}"


def test_a_remote_probe_that_pyocd_does_not_list_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pyocd.core.helpers import ConnectHelper

    monkeypatch.setattr(ConnectHelper, "get_all_connected_probes", lambda **_: [])
    with pytest.raises(ProbeError) as caught:
        harness.probe._exact_probe("remote:127.0.0.1:1")
    assert str(caught.value) == f"remote:127.0.0.1:1: {NO_REMOTE}"


@pytest.mark.parametrize(
    ("target", "pack", "hint"),
    [
        ("stm32f446re", False, "give the vendor's CMSIS pack with --pack FILE.pack"),
        ("stm32f446re", True, "vendor.pack is no CMSIS pack of this chip"),
    ],
)
def test_a_target_that_pyocd_does_not_know_needs_a_pack(
    listener: socket.socket, tmp_path: Path, target: str, pack: bool, hint: str
) -> None:
    file = tmp_path / "vendor.pack"
    file.write_bytes(b"no pack")
    with pytest.raises(ProbeError) as caught:
        flash(IMAGE, Access(target, address_of(listener), file if pack else None))
    assert hint in str(caught.value)


def test_a_probe_that_never_answers_meets_the_deadline(listener: socket.socket) -> None:
    steps: list[str] = []
    with pytest.raises(ProbeError, match=r"flashing did not end \(expected the end within 3 s\)"):
        flash(
            IMAGE,
            Access(TARGET, address_of(listener)),
            deadline_s=3,
            on_progress=lambda step, fraction: steps.append(step),
        )
    assert steps == ["connecting"]


def test_a_probe_that_refuses_is_quoted(listener: socket.socket) -> None:
    def refuse() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb", buffering=0) as lines:
            while line := lines.readline():
                request = json.loads(line)
                answer = {"id": request["id"], "status": 3, "error": "in use by alice"}
                if request["request"] == "close":
                    answer = {"id": request["id"], "status": 0}
                lines.write(json.dumps(answer).encode() + b"\n")

    server = threading.Thread(target=refuse)
    server.start()
    with pytest.raises(ProbeError, match="the probe failed: .*in use by alice.*plug it in again"):
        flash(IMAGE, Access(TARGET, address_of(listener)))
    server.join(10)
    assert not server.is_alive()


def test_the_death_of_pyocd_is_reported_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\necho 'libusb: not permitted' >&2\nexit 4\n")
    dying.chmod(0o755)
    monkeypatch.setattr(harness.probe.sys, "executable", str(dying))
    with pytest.raises(
        ProbeError,
        match=r"pyOCD's process died, its last words: libusb: not permitted "
        r"\(got exit status 4\)",
    ):
        flash([(0x08000000, bytes(1 << 20))], Access(TARGET, "x"))


def test_pyocd_ends_with_whoever_started_it(listener: socket.socket) -> None:
    """A command that is killed leaves nobody behind who still talks to the probe."""
    program = (
        "from harness.probe import Access, reset\n"
        f"reset(Access({TARGET!r}, {address_of(listener)!r}), deadline_s=60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        listener.settimeout(60)
        connection, _ = listener.accept()
        process.kill()
        with connection:
            connection.settimeout(10)
            while connection.recv(4096):
                pass


def test_a_reset_that_never_ends_meets_the_deadline(listener: socket.socket) -> None:
    with pytest.raises(ProbeError, match=r"resetting did not end \(expected the end within 3 s\)"):
        reset(Access(TARGET, address_of(listener)), deadline_s=3)


def test_a_pyocd_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise harness.probe.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(harness.probe.importlib.metadata, "version", version)
    with pytest.raises(ProbeError, match="pyOCD is not installed; make setup"):
        pyocd_version()


def test_what_a_board_may_name_is_what_pyocd_knows() -> None:
    from pyocd.core.options import BUILTIN_OPTIONS
    from pyocd.utility.cmdline import RESET_TYPE_MAP

    help_of = {option.name: option.help for option in BUILTIN_OPTIONS}
    assert set(RESET_TYPES) == {names[0] for names in RESET_TYPE_MAP} | {"n_srst"}
    assert set(CONNECT_MODES) == set(re.findall(r"'([a-z-]+)'", help_of["connect_mode"]))


def test_the_command_line_starts_without_pyocd() -> None:
    script = "import sys, search.cli; sys.exit('pyocd' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0
