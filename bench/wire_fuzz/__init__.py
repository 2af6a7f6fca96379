"""What does the wire make of hostile bytes, on both sides? Coverage-guided: libFuzzer with
sanitizers on the firmware's app, atheris on the harness. `--seconds N` is for each side, `--seed`
for the same generator again. An input that broke something is kept in results/wire_fuzz/: the
bytes of a line, as they would arrive."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.wire_fuzz import firmware
from bench.wire_fuzz.libfuzzer import Limit, Outcome, fuzz
from bench.wire_fuzz.seeds import answers, lines
from harness.board import ROOT

SECONDS = 60
KEPT = ROOT / "results" / "wire_fuzz"
_HOST = Path(__file__).with_name("host.py")


def run(*, seconds: int = SECONDS, seed: int = 0) -> dict[str, object]:
    if reasons := [why for why in (firmware.missing(), host_missing()) if why is not None]:
        return {"not_run": "; ".join(reasons)}
    limit = Limit(seconds=seconds)
    outcomes = {
        "firmware": fuzz_firmware(KEPT, limit, seed=seed),
        "host": fuzz_host(KEPT, limit, seed=seed),
    }
    return {
        "seconds_a_side": seconds,
        "clang": _clang_version(),
        "atheris": importlib.metadata.version("atheris"),
        "sides": {side: _figures(outcome) for side, outcome in outcomes.items()},
        "failed": any(outcome.crash for outcome in outcomes.values()),
    }


def fuzz_firmware(keep: Path, limit: Limit, *, seed: int = 0, source: Path = ROOT) -> Outcome:
    """The app of `source`/firmware; see libfuzzer.fuzz and firmware.build."""
    with tempfile.TemporaryDirectory(prefix="hilnas-fuzz-") as folder:
        program = firmware.build(Path(folder, "build"), source / "firmware")
        return fuzz([str(program)], lines(), keep, limit, seed=seed)


def fuzz_host(keep: Path, limit: Limit, *, seed: int = 0, source: Path = ROOT) -> Outcome:
    """wire and link of `source`/harness; see libfuzzer.fuzz."""
    command = [sys.executable, str(_HOST)]
    path = {"PYTHONPATH": str(source)}
    return fuzz(command, lines() | answers(), keep, limit, seed=seed, environment=path)


def host_missing() -> str | None:
    """What has to be installed before fuzz_host; None when nothing has."""
    if importlib.util.find_spec("atheris") is not None:
        return None
    return "no atheris: .venv/bin/pip install -c constraints.txt -e '.[fuzz]'"


def _figures(outcome: Outcome) -> dict[str, object]:
    figures: dict[str, object] = {
        "executions": outcome.executions,
        "executions_per_s": outcome.executions_per_s,
        "edges": outcome.edges,
        "features": outcome.features,
        "seed": outcome.seed,
        "broken": [],
    }
    if outcome.crash is not None:
        figures["broken"] = [f"{outcome.crash.name}: {outcome.why}"]
    return figures


def _clang_version() -> str:
    shown = subprocess.run(["clang", "--version"], capture_output=True, text=True, timeout=60)
    return shown.stdout.splitlines()[0]
