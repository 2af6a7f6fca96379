"""Which search is killed, and how is it started, watched and killed? The real command, on data and
networks so small that starting it costs more than all its candidates. Linux only: processes are
found in /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.board import ROOT

HOWS = ("parent", "group", "all")

# Inheritance, pruning, short training and finalists: all files of a run folder take part.
_CONFIG = """
name = "kills"
[search]
rounds = {rounds}
workers = 2
population = 2
sample_size = 1
window = 2
[device]
board = "nucleo_f412zg"
[data]
name = "numpy"
path = "{data}"
[training]
epochs = 1
batch_size = 32
inherit = true
[pruning]
enabled = true
[tiers]
short_epochs = 1
minimum = 2
[finalists]
epochs = 1
count = 2
[quantisation]
tolerance = 0.0
epochs = 1
[space]
max_blocks = 1
max_layers = 1
max_filters = 4
max_dense_blocks = 1
max_units = 10
[bounds]
val_error = 0.9
latency_us = 50000
sram_bytes = 65536
flash_bytes = 131072
macs = 500000
"""
_MARK = "HILNAS_KILLS_SESSION"
_POLL_S = 0.05


@dataclass(frozen=True)
class Place:
    """A folder of its own for the configuration and the samples, and, for each job that runs at
    the same time, for the build cache and what programs leave in TMPDIR."""

    folder: Path
    job: int = 0

    @property
    def config(self) -> Path:
        return self.folder / "kills.toml"

    @property
    def cache(self) -> Path:
        return self.folder / f"cache-{self.job}"

    @property
    def scratch(self) -> Path:
        return self.folder / f"tmp-{self.job}"

    def of_job(self, job: int) -> Place:
        place = Place(self.folder, job)
        place.scratch.mkdir(exist_ok=True)
        return place


def make_place(folder: Path, *, rounds: int) -> Place:
    """Write what the search needs: 320 pictures of 8 by 8 pixels in four classes, told apart by
    how bright they are."""
    place = Place(folder.resolve())
    place.scratch.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    labels = np.arange(320) % 4
    bright = 40.0 + 40.0 * labels[:, None, None, None]
    pictures = (bright + draw.normal(0, 40, (320, 8, 8, 1))).clip(0, 255).astype(np.uint8)
    data = place.folder / "pictures.npz"
    np.savez(data, x=pictures, y=labels)
    place.config.write_text(_CONFIG.format(rounds=rounds, data=data))
    return place


class Session:
    """A started `hilnas search`, and whatever it started."""

    def __init__(self, place: Place, run_dir: Path, *, name: str) -> None:
        """Resumes `run_dir` where it has a journal, as the command says when it is interrupted;
        else begins there. `name` must be no other session's."""
        self.name = name
        self.resumes = (run_dir / "journal.jsonl").exists()
        self.log = place.folder / f"{name}.log"
        self.report = place.folder / f"{name}.json"
        self.began = time.time()
        command = [sys.executable, "-m", "search", "search", str(place.config)]
        command += ["--resume" if self.resumes else "--out", str(run_dir)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--json", str(self.report)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={
                    **os.environ,
                    _MARK: str(self.log),
                    "HILNAS_CACHE": str(place.cache),
                    "TMPDIR": str(place.scratch),
                    "PYTHONPATH": str(ROOT),
                },
                start_new_session=True,
            )

    def kill(self, how: str) -> None:
        """SIGKILL to the command alone, to its process group, or to all that it started, in
        whatever session that is."""
        if how == "parent":
            self.process.kill()
        elif how == "group":
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            while found := self.alive():
                for pid in found:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self.process.poll()
        self.process.wait()

    def alive(self) -> list[int]:
        """The processes of this session: they inherited its mark."""
        mark = f"{_MARK}={self.log}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):  # gone, or of another user
                    if mark in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
        return found

    def outlived_by(self, limit_s: float) -> tuple[float, list[str]]:
        """Seconds until all of its processes were gone, at most about `limit_s`; the commands of
        those that were not, which are ended now."""
        since = time.monotonic()
        while (found := self.alive()) and time.monotonic() - since < limit_s:
            time.sleep(_POLL_S)
        seconds = time.monotonic() - since
        commands = []
        for pid in found:
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                commands.append(b" ".join(words).decode(errors="replace").strip()[:200])
                os.kill(pid, signal.SIGKILL)
        return seconds, commands
