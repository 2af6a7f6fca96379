"""How is a chip flashed and reset through a debug probe? pyOCD does it, in a process of its own
that can be killed: a probe's USB stack or an unplugged cable may block for ever.

This is the only module that imports pyOCD, and only in that process (`python -m harness.probe`).
It reads one JSON line and the image's bytes from stdin, and writes JSON lines: progress
{"step", "fraction"}, at last {"done"} or {"error"}.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from harness.board import ROOT
from harness.errors import ProbeError
from harness.fate import die_with

Segments = Sequence[tuple[int, bytes]]
OnProgress = Callable[[str, float], None]

FLASH_SECONDS = 180.0  # 2 MiB in sectors of 2 s each, with room
RESET_SECONDS = 30.0
VERIFY_BYTES = 1 << 14  # one read back: a step of the progress bar

REMOTE = "remote:"  # a probe that a server offers: remote:HOST:PORT
_DHCSR, _DEMCR, _DEBUG_KEY = 0xE000EDF0, 0xE000EDFC, 0xA05F << 16  # DDI 0403, C1.6


@dataclass(frozen=True)
class Access:
    """How pyOCD reaches a chip. target: the chip as pyOCD calls it. probe: the whole unique id of
    a probe, or "remote:HOST:PORT". pack: a CMSIS pack that describes the target, where pyOCD
    itself does not. reset_type, connect_mode: pyOCD's options of these names."""

    target: str
    probe: str
    pack: Path | None = None
    reset_type: str = "default"
    connect_mode: str = "halt"


@dataclass(frozen=True)
class Flashed:
    """What was done. sectors: erased and programmed; those that held the bytes already are not
    touched, and counted in unchanged_bytes. seconds: from connecting to the running image."""

    image_bytes: int
    sectors: int
    erased_bytes: int
    programmed_bytes: int
    unchanged_bytes: int
    seconds: float


def flash(
    segments: Segments,
    access: Access,
    *,
    on_progress: OnProgress = lambda step, fraction: None,
    deadline_s: float = FLASH_SECONDS,
) -> Flashed:
    """Erase the sectors that change, program them, read everything back, reset and run.

    Args:
        segments: (address, bytes) of the image.
        on_progress: gets the step's name and the fraction of it that is done.

    Raises:
        ProbeError: no such probe or target, the target does not answer, flash refuses or keeps
            other bytes, or the deadline passed.
    """
    started = time.monotonic()
    done = _have_done("flashing", access, segments, on_progress, deadline_s)
    return Flashed(**done, seconds=time.monotonic() - started)


def reset(access: Access, *, deadline_s: float = RESET_SECONDS) -> None:
    """Reset the chip and let what is in its flash run.

    Raises:
        ProbeError: as flash().
    """
    _have_done("resetting", access, (), lambda step, fraction: None, deadline_s)


def pyocd_version() -> str:
    """Of the pyOCD that is installed; it need not be imported for that.

    Raises:
        ProbeError: there is none.
    """
    try:
        return importlib.metadata.version("pyocd")
    except importlib.metadata.PackageNotFoundError:
        raise ProbeError("pyOCD is not installed", hint="make setup") from None


def _have_done(
    what: str, access: Access, segments: Segments, on_progress: OnProgress, deadline_s: float
) -> dict[str, Any]:
    """pyOCD's account of what was done ("flashing" or "resetting") in a process that is gone when
    this returns."""
    header = {
        "what": what,
        "parent": os.getpid(),
        **asdict(access),
        "pack": str(access.pack.resolve()) if access.pack else None,
        "segments": [[address, len(data)] for address, data in segments],
    }
    deadline = time.monotonic() + deadline_s
    with (
        tempfile.TemporaryFile() as request,
        tempfile.TemporaryFile() as words,
        tempfile.TemporaryDirectory() as folder,
    ):
        request.write(json.dumps(header).encode() + b"\n")
        request.write(b"".join(data for _, data in segments))
        request.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.probe"],
            stdin=request,
            stdout=subprocess.PIPE,
            stderr=words,
            cwd=folder,  # pyOCD runs scripts that it finds where it is started
            env={**os.environ, "PYTHONPATH": _search_path()},
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            for message in _messages(process.stdout, deadline):
                if "error" in message:
                    raise ProbeError(**message["error"])
                if "done" in message:
                    return dict(message["done"])
                on_progress(message["step"], message["fraction"])
            raise _death(process, words, access.probe)
        except TimeoutError:
            raise ProbeError(
                f"{what} did not end",
                where=access.probe,
                expected=f"the end within {deadline_s:g} s",
                hint="check cable and power, then try again",
            ) from None
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _search_path() -> str:
    rest = os.environ.get("PYTHONPATH")
    return f"{ROOT}{os.pathsep}{rest}" if rest else str(ROOT)


def _messages(stdout: IO[bytes], deadline: float) -> Iterator[dict[str, Any]]:
    """What the process says, up to its end; TimeoutError when `deadline` comes first."""
    pending = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([stdout], [], [], left)[0]:
            raise TimeoutError
        data = os.read(stdout.fileno(), 65536)
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        yield from map(json.loads, lines)


def _death(process: subprocess.Popen[bytes], words: IO[bytes], probe: str) -> ProbeError:
    status = process.wait()
    words.seek(0)
    last = words.read().decode(errors="replace").strip().splitlines()[-1:]
    return ProbeError(
        "pyOCD's process died" + (f", its last words: {last[0]}" if last else ""),
        where=probe,
        got=f"exit status {status}",
        hint="try again",
    )


# ---- in the process that may be killed ----


def _exact_probe(unique_id: str) -> Any:
    """The one probe with this id: pyOCD itself would take any that contains it."""
    from pyocd.core.helpers import ConnectHelper

    wanted = unique_id.lower()
    if wanted.startswith(REMOTE):
        try:
            found = ConnectHelper.get_all_connected_probes(blocking=False, unique_id=unique_id)
        except ValueError:  # pyOCD's reading of the port
            found = []
        if not found:
            raise ProbeError(
                "names no remote probe",
                where=unique_id,
                expected="remote:HOST:PORT",
                hint="give what the probe's server says",
            )
        return found[0]
    attached = ConnectHelper.get_all_connected_probes(blocking=False)
    for probe in attached:
        if probe.unique_id.lower() == wanted:
            return probe
    raise ProbeError(
        "no such debug probe is attached",
        expected=unique_id,
        got=", ".join(probe.unique_id for probe in attached) or "none",
        hint="check the cable and the whole unique id: `pyocd list` shows it",
    )


def _open_session(header: dict[str, Any], probe: Any) -> Any:
    from pyocd.core import exceptions
    from pyocd.core.session import Session

    options = {
        "target_override": header["target"],
        "reset_type": header["reset_type"],
        "connect_mode": header["connect_mode"],
        "no_config": True,
        "resume_on_disconnect": False,
        "hide_programming_progress": True,
    }
    if header["pack"] is not None:
        options["pack"] = header["pack"]
    try:
        return Session(probe, options=options)
    except exceptions.TargetSupportError:
        raise ProbeError(
            f"pyOCD does not know the target {header['target']!r}",
            hint="give the vendor's CMSIS pack with --pack FILE.pack"
            if header["pack"] is None
            else f"{header['pack']} is no CMSIS pack of this chip",
        ) from None


def _program(session: Any, segments: Segments, on_progress: OnProgress) -> list[Any]:
    """Erase and program region by region; pyOCD's account of each."""
    builders: dict[Any, Any] = {}
    for address, data in segments:
        at = 0
        while at < len(data):
            region = session.target.memory_map.get_region_for_address(address + at)
            if region is None or not region.is_flash:
                raise ProbeError(
                    "the image has bytes outside the target's flash",
                    where=f"0x{address + at:08x}",
                    hint="link it for this board",
                )
            if region not in builders:
                builders[region] = region.flash.get_flash_builder()
                builders[region].log_performance = False
            size = min(len(data) - at, region.end + 1 - address - at)
            builders[region].add_data(address + at, data[at : at + size])
            at += size
    whole = sum(len(data) for _, data in segments)
    accounts = []
    for step in ("erasing", "programming"):
        done = 0
        for builder in builders.values():
            share, before = builder.buffered_data_size / whole, done / whole

            def progress(
                fraction: float, step: str = step, share: float = share, before: float = before
            ) -> None:
                on_progress(step, before + share * fraction)

            if step == "erasing":
                builder.erase(chip_erase="sector", progress_cb=progress)
            else:
                accounts.append(builder.program(progress_cb=progress))
            done += builder.buffered_data_size
    return accounts


def _verify(session: Any, segments: Segments, on_progress: OnProgress) -> None:
    whole, done = sum(len(data) for _, data in segments), 0
    for address, data in segments:
        for at in range(0, len(data), VERIFY_BYTES):
            expected = data[at : at + VERIFY_BYTES]
            got = bytes(session.target.read_memory_block8(address + at, len(expected)))
            for i, (byte, read) in enumerate(zip(expected, got, strict=True)):
                if byte != read:
                    raise ProbeError(
                        "flash holds another byte than was programmed",
                        where=f"0x{address + at + i:08x}",
                        expected=f"0x{byte:02x}",
                        got=f"0x{read:02x}",
                        hint="flash again; a unit that repeats it has worn flash",
                    )
            done += len(expected)
            on_progress("verifying", done / whole)


def _start(session: Any) -> None:
    """Let the firmware run from reset as if nobody had debugged it. pyOCD by itself lets go of the
    core first and clears DEMCR after that, which stops the cycle counter of a running firmware."""
    session.target.reset_and_halt()
    session.target.write32(_DEMCR, 0)
    session.target.write32(_DHCSR, _DEBUG_KEY)


def _translated(error: Exception, where: str) -> ProbeError:
    """pyOCD's exceptions as one sentence with the next step."""
    from pyocd.core import exceptions

    if isinstance(error, ProbeError):
        return error
    text = " ".join(str(error).split()) or type(error).__name__
    for kind, what, hint in (
        (exceptions.FlashEraseFailure, "flash cannot be erased", "is it write-protected?"),
        (exceptions.FlashProgramFailure, "flash cannot be programmed", "is it write-protected?"),
        (exceptions.FlashFailure, "the flash algorithm failed", "try again"),
        (exceptions.TransferFaultError, "the target's bus answered with an error", "try again"),
        (exceptions.TransferError, "the target does not answer", "check power and the cable"),
        (exceptions.ProbeError, "the probe failed", "plug it in again"),
        (exceptions.TargetSupportError, "pyOCD refuses the target", "give another --pack"),
        (exceptions.Error, "pyOCD cannot debug the target", "check power and the cable"),
        (OSError, "the probe cannot be reached", "is it attached, or its server started?"),
    ):
        if isinstance(error, kind):
            return ProbeError(f"{what}: {text}", where=where, hint=hint)
    raise error


def _carry_out(request: IO[bytes], answer: IO[str]) -> None:
    def say(**message: Any) -> None:
        print(json.dumps(message), file=answer, flush=True)

    def on_progress(step: str, fraction: float) -> None:
        say(step=step, fraction=fraction)

    header = json.loads(request.readline())
    die_with(header["parent"])  # wherever it hangs, so that the probe is free
    segments = [(address, request.read(size)) for address, size in header["segments"]]
    accounts: list[Any] = []
    try:
        on_progress("connecting", 0.0)
        with _open_session(header, _exact_probe(header["probe"])) as session:
            if header["what"] == "flashing":
                accounts = _program(session, segments, on_progress)
                _verify(session, segments, on_progress)
            _start(session)
    except Exception as error:
        failure = _translated(error, header["probe"])
        names = ("what", "where", "expected", "got", "hint")
        say(error={name: getattr(failure, name) for name in names})
        return
    say(done=_account(accounts, segments) if header["what"] == "flashing" else {})


def _account(accounts: Sequence[Any], segments: Segments) -> dict[str, int]:
    return {
        "image_bytes": sum(len(data) for _, data in segments),
        "sectors": sum(account.erase_sector_count for account in accounts),
        "erased_bytes": sum(account.erase_byte_count for account in accounts),
        "programmed_bytes": sum(account.program_byte_count for account in accounts),
        "unchanged_bytes": sum(account.skipped_byte_count for account in accounts),
    }


if __name__ == "__main__":
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what pyOCD prints is for a person
    _carry_out(sys.stdin.buffer, channel)
    os._exit(0)  # pyOCD's threads may wait for a probe that is gone
