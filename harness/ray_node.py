"""How does this machine join a Ray cluster, as a node of its own with resources of its own, and
leave it with nothing left? Ray's own program `ray start` does it, below a process that ends it
when this one ends. Knows nothing of boards; imports no Ray."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.board import ROOT
from harness.errors import HilnasError, UsageError
from harness.fate import die_with

OBJECT_STORE_BYTES = 80 * 1024 * 1024  # Ray's least is 75 MiB; what we send is kilobytes

_CONNECT_S = 5.0
_JOIN_S = 120.0  # seconds on an idle machine
_GRACE_S = 10.0
_POLL_S = 0.1
_STARTED = "Ray runtime started."
_PROGRAM = "ray.scripts.scripts"


def check_ray(where: str) -> None:
    """Raises UsageError: Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise UsageError("Ray is not installed", where=where, hint="pip install 'hilnas[ray]'")


def check_cluster(address: str, where: str, *, others: str = "") -> None:
    """Ray itself would try for minutes. `others`: what may stand there in place of an address.

    Raises:
        UsageError: `address` is not host:port, or nothing answers there.
    """
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdecimal():
        raise UsageError(
            "is no address of a Ray cluster",
            where=where,
            expected=f"host:port, as `ray start --head` prints it{others and f', or {others}'}",
        )
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"nothing answers there: {error}",
            where=where,
            hint=f"start a cluster with `ray start --head --port={port}`"
            + (others and f", or use {where.split()[0]} {others}"),
        ) from None


@dataclass(frozen=True)
class RayNode:
    """A node that has joined the cluster at `address`."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait(self) -> None:
        """For ever.

        Raises:
            HilnasError: the node has ended.
        """
        self.process.wait()
        raise self.ended("the node of this machine has ended")

    def ended(self, what: str) -> HilnasError:
        return HilnasError(
            what,
            where=self.address,
            got=_last_words(self.log) or "no word of it",
            hint="is the cluster there, with the same versions of Ray and Python? then try again",
        )


@contextlib.contextmanager
def join(
    address: str,
    resources: Mapping[str, int],
    *,
    cpus: int | None,
    environment: Mapping[str, str],
) -> Iterator[RayNode]:
    """This machine is a node of the cluster at `address`; behind the context it is not, and none
    of the node's processes is left.

    Args:
        resources: custom ones, by name.
        cpus: how many the node offers; None: all.
        environment: what processes on the node find in theirs besides this one's.

    Raises:
        HilnasError: it could not join.
    """
    with tempfile.TemporaryDirectory(
        prefix="hilnas-node-", dir="/tmp", ignore_cleanup_errors=True
    ) as folder:
        log = Path(folder) / "log"
        words = [
            *("start", f"--address={address}", f"--resources={json.dumps(resources)}"),
            *(f"--object-store-memory={OBJECT_STORE_BYTES}", f"--plasma-directory={folder}"),
            *([] if cpus is None else [f"--num-cpus={cpus}"]),
            *("--disable-usage-stats", "--block"),
        ]
        # Ray ends idle processes beyond the number of CPUs; one that measures takes seconds to
        # start.
        kept = max(sum(resources.values()), os.cpu_count() or 1 if cpus is None else cpus)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "harness.ray_node", str(os.getpid()), *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(
                        filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
                    ),
                    "RAY_USAGE_STATS_ENABLED": "0",
                    "RAY_num_workers_soft_limit": str(kept),
                    **environment,
                },
                start_new_session=True,  # Ctrl-C belongs to the command, which ends the node
            )
        node = RayNode(address, process, log)
        try:
            _await_start(node)
            yield node
        finally:
            _end(process, process.pid, within_s=2 * _GRACE_S)


def _await_start(node: RayNode) -> None:
    deadline = time.monotonic() + _JOIN_S
    while _STARTED not in node.log.read_text(errors="replace"):
        if node.process.poll() is not None:
            raise node.ended("this machine cannot join the cluster")
        if time.monotonic() > deadline:
            raise node.ended(f"this machine has not joined the cluster within {_JOIN_S:g} s")
        time.sleep(_POLL_S)


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip()[-200:] for line in reversed(lines) if line.strip()), "")


def _end(process: subprocess.Popen[bytes], session: int, *, within_s: float) -> None:
    """SIGINT, upon which `process` ends what it has started; SIGKILL to what stays of `session`,
    but this process."""
    try:
        process.send_signal(signal.SIGINT)
        end = time.monotonic() + within_s
        while (process.poll() is None or _others_of(session)) and time.monotonic() < end:
            time.sleep(_POLL_S)
    finally:
        for pid in _others_of(session):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _others_of(session: int) -> list[int]:
    """Processes of `session` but this one; proc(5), /proc/pid/stat."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, their_session = path.read_text().rsplit(")", 1)[1].split()[:4]
            if int(their_session) == session and state != "Z":
                found.append(int(path.parent.name))
    return [pid for pid in found if pid != os.getpid()]


def _guard(parent: int, words: Sequence[str]) -> int:
    """Run Ray's program until it or `parent` ends, then end what is left of this session: Ray's
    agents may outlive a node that was cut short."""
    die_with(parent, signal.SIGINT)
    process = subprocess.Popen([sys.executable, "-m", _PROGRAM, *words])
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _end(process, os.getsid(0), within_s=_GRACE_S)


if __name__ == "__main__":
    sys.exit(_guard(int(sys.argv[1]), sys.argv[2:]))
