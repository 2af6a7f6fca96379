"""How is a libFuzzer target run, and what did it do? One process: a Clang program or an atheris
script, both of which take libFuzzer's options and print its figures."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LONGEST = 4096  # bytes of an input: a session of some frames, and more than any buffer
HANG_S = 60  # of one input, by the clock: the machine may be shared
_MARGIN_S = 300.0  # to start, and for the last input
_RUNS_S = 600.0  # for runs, however slow the machine


@dataclass(frozen=True)
class Limit:
    """When a fuzzer that found nothing ends: after so many seconds, or so many runs."""

    seconds: int | None = None
    runs: int | None = None

    @property
    def option(self) -> str:
        if self.seconds is not None:
            return f"-max_total_time={self.seconds}"
        return f"-runs={self.runs}"


@dataclass(frozen=True)
class Outcome:
    """`edges` of the control flow were taken; a feature is an edge with how often it was taken, or
    two operands compared. `crash` is the input that ended it, if one did; `log` what was printed;
    `seed` that of the generator."""

    executions: int
    executions_per_s: int
    edges: int
    features: int
    seed: int
    crash: Path | None
    log: str

    @property
    def why(self) -> str:
        """The line of the log that names the crash."""
        raised = re.search(r"Uncaught Python exception: ===\n(.*)", self.log)
        if raised is not None:
            return raised[1]
        named = re.search(r"^.*(?:^wire: |runtime error: |ERROR: ).*$", self.log, re.M)
        return named[0] if named is not None else self.log[-200:]


def fuzz(
    command: list[str],
    seeds: Mapping[str, bytes],
    keep: Path,
    limit: Limit,
    *,
    seed: int = 0,
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """Start `command` with the inputs `seeds`. It ends at `limit`, or with the first input that
    breaks it, which is kept in `keep`. The generator's `seed` 0 means a new one.

    Raises:
        RuntimeError: the fuzzer did not start, or ended without an input that tells why.
        subprocess.TimeoutExpired: it did not end.
    """
    keep.mkdir(parents=True, exist_ok=True)
    before = set(keep.iterdir())
    with tempfile.TemporaryDirectory(prefix="hilnas-corpus-") as folder:
        corpus, given = Path(folder, "corpus"), Path(folder, "seeds")
        corpus.mkdir()
        given.mkdir()
        for number, data in enumerate(seeds.values()):
            (given / str(number)).write_bytes(data)
        arguments = [limit.option, f"-seed={seed}", f"-max_len={LONGEST}", f"-timeout={HANG_S}"]
        arguments += [f"-artifact_prefix={keep}/", "-print_final_stats=1"]
        done = subprocess.run(
            [*command, *arguments, str(corpus), str(given)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_MARGIN_S + (_RUNS_S if limit.seconds is None else limit.seconds),
            env={**os.environ, **(environment or {})},
        )
    log = done.stdout.decode(errors="replace")
    broken = sorted(set(keep.iterdir()) - before)
    figures = dict(re.findall(r"stat::(\w+):\s+(\d+)", log))
    covered = re.findall(r"cov: (\d+) ft: (\d+)", log)
    seeded = re.search(r"INFO: Seed: (\d+)", log)
    if not figures or not seeded or (done.returncode != 0 and not broken):
        raise RuntimeError(f"{command} ended with exit status {done.returncode}: {log[-2000:]}")
    edges, features = map(int, covered[-1]) if covered else (0, 0)  # a seed broke it at once
    return Outcome(
        executions=int(figures["number_of_executed_units"]),
        executions_per_s=int(figures["average_exec_per_sec"]),
        edges=edges,
        features=features,
        seed=int(seeded[1]),
        crash=broken[0] if broken else None,
        log=log,
    )
