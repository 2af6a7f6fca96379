"""What did a whole search find, and in what time? `hilnas search` as a user starts it, and its run
folder read back. Shared by the benchmarks of the search."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.measurement import Measurement
from search.config import SearchConfig, dump_config
from search.evaluation import Evaluation
from search.report.run_folder import Run, read_run

HILNAS = Path(sys.executable).with_name("hilnas")
DEADLINE_S = 3 * 3600


@dataclass(frozen=True)
class Searched:
    """run: as its folder tells it. seconds: wall time of the command, from its start to its
    report; where several commands ran side by side, of the slowest."""

    run: Run
    seconds: float


def search(configs: Sequence[SearchConfig], folder: Path) -> list[Searched]:
    """Run the searches side by side, each as a command of its own, in folders of `folder`.

    Raises:
        CalledProcessError: one did not end well. TimeoutExpired: nor at all.
    """
    start = time.perf_counter()
    commands = []
    for config in configs:
        place = folder / config.name
        place.mkdir(parents=True)
        file = place / "search.toml"
        file.write_text(dump_config(config))
        command = [str(HILNAS), "search", str(file), "--out", str(place / "run")]
        commands.append((place, command, subprocess.Popen(command, stdout=sys.stderr)))
    try:
        for _, command, process in commands:
            code = process.wait(DEADLINE_S)
            if code:
                raise subprocess.CalledProcessError(code, command)
    finally:
        for _, _, process in commands:
            process.terminate()
    seconds = time.perf_counter() - start
    return [Searched(read_run(place / "run"), seconds) for place, _, _ in commands]


def describe_network(run: Run, network: Evaluation) -> dict[str, object]:
    """A network of a run's front, as the records of benchmarks show it."""
    measured = network.measured
    return {
        "archid": network.archid,
        "test_accuracy": round(1 - run.error_of(network), 4) if run.is_tested else None,
        "validation_accuracy": round(1 - network.val_error, 4),
        "latency_us": measured.latency_us.median,
        "sram_bytes": measured.sram.total_bytes,
        "flash_bytes": measured.flash.total_bytes,
        "macs": measured.macs,
    }


def label_of(run: Run) -> str:
    """Of all its measurements, which are made under one set of conditions."""
    found: Sequence[Measurement] = [
        each.measured for each in run.outcomes if isinstance(each, Evaluation)
    ]
    return found[0].label if found else ""
