"""A Ray cluster in processes of this machine, and what runs in it."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": 80 * 1024 * 1024}


@contextlib.contextmanager
def started(cpus: int = 1) -> Iterator[Cluster]:
    """A cluster of one node; its files in a short path of its own, and its object store on disk,
    because a container's /dev/shm may be too small."""
    with (
        tempfile.TemporaryDirectory(
            prefix="hilnas-ray-", dir="/tmp", ignore_cleanup_errors=True
        ) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Ray notes the address there, wherever the node has its files; a new machine lacks it.
        Path("/tmp/ray").mkdir(exist_ok=True)
        head = {**NODE, "num_cpus": cpus, "include_dashboard": False, "no_monitor": True}
        cluster = Cluster(
            initialize_head=True,
            head_node_args={**head, "temp_dir": folder, "plasma_directory": folder},
        )
        try:
            yield cluster
        finally:
            cluster.shutdown()


def session_of(leader: int) -> list[str]:
    """What runs in the session that `leader` started."""
    stats = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            stats.append(path.read_text())
    return [stat for stat in stats if int(stat.rsplit(")", 1)[1].split()[3]) == leader]


def wait_for(done: Callable[[], object], seconds: float = 300.0) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)
