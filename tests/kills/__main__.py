"""`python -m tests.kills --kills 200 --seed 1`: first every step of a made-up search, then an
undisturbed real one and runs 0, 1, ... of the seed, each killed up to --each times, until so many
kills have hit. What came of them goes to results/benchmarks/kills.json after each run; a later
call with the same seed goes on there. The exit code is 1 where anything came out that must not."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.kills.case import Outcome, leftovers, run_killed, run_undisturbed
from tests.kills.search import make_place

RECORD = Path(__file__).resolve().parents[2] / "results" / "benchmarks" / "kills.json"
ROUNDS = 6
_STEPS_DEADLINE_S = 3600.0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills")
    parser.add_argument("--kills", type=int, default=200, help="how many are to hit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=10, help="at most so many in one run")
    given = parser.parse_args(arguments)
    runs = _earlier_runs(given.seed, given.each)
    folder = Path(tempfile.mkdtemp(prefix="hilnas-kills-"))
    steps = _try_steps(folder / "steps")
    place = make_place(folder, rounds=ROUNDS)
    whole = run_undisturbed(place)
    _say(f"undisturbed: {whole.lines} lines, {whole.seconds:.0f} s; folder {folder}")
    while (hit := sum(len(run["kills"]) for run in runs)) < given.kills:
        kills = min(given.each, given.kills - hit)
        outcome = run_killed(place, whole, seed=given.seed, number=len(runs), kills=kills)
        left = leftovers(place)
        shutil.rmtree(place.scratch)
        place.scratch.mkdir()
        runs.append({**asdict(outcome), "left_outside": left})
        _keep(given, steps, runs, whole.seconds)
        _tell(outcome, left)
        if not outcome.problems:
            shutil.rmtree(place.folder / f"run-{outcome.number}")
    has_problems = bool(steps["problems"]) or any(run["problems"] for run in runs)
    if not has_problems:
        shutil.rmtree(folder)
    return 1 if has_problems else 0


def _earlier_runs(seed: int, each: int) -> list[dict[str, Any]]:
    try:
        record = json.loads(RECORD.read_text())
    except OSError:
        return []
    same = (record["seed"], record["each"]) == (seed, each)
    return list(record["runs"]) if same else []


def _try_steps(folder: Path) -> dict[str, Any]:
    """What came of the steps; in a process of its own, which forks."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.kills.steps", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=_STEPS_DEADLINE_S, check=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    found = {
        "steps": len(told),
        "kills": sum(each["kills"] for each in told),
        "by_what": Counter(each["what"].split(" ")[0] for each in told),
        "problems": [each for each in told if each["problems"]],
    }
    _say(f"{found['steps']} steps, {found['kills']} kills, problems: {found['problems']}")
    return found


def _keep(
    given: argparse.Namespace, steps: dict[str, Any], runs: list[dict[str, Any]], whole_s: float
) -> None:
    kills = [kill for run in runs for kill in run["kills"]]
    record = {
        "benchmark": "kills",
        "command": f"python -m tests.kills --kills {given.kills} --seed {given.seed}",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "every_step": steps,
        "seed": given.seed,
        "each": given.each,
        "undisturbed_seconds": round(whole_s, 1),
        "kills": len(kills),
        "sessions": sum(run["sessions"] for run in runs),
        "problems": sum(len(run["problems"]) for run in runs),
        "by_phase": Counter(kill["phase"] for kill in kills),
        "by_how": Counter(kill["moment"]["how"] for kill in kills),
        "with_torn_line": sum(kill["torn_bytes"] > 0 for kill in kills),
        "with_draft": sum(kill["drafts"] > 0 for kill in kills),
        "slowest_gone_s": max((kill["gone_s"] or 0.0 for kill in kills), default=0.0),
        "runs": runs,
    }
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


def _tell(outcome: Outcome, left: list[str]) -> None:
    phases = ", ".join(kill.phase for kill in outcome.kills)
    _say(f"run {outcome.number}: {len(outcome.kills)} kills ({phases}), {outcome.seconds:.0f} s")
    for text in [*outcome.problems, *(f"left outside: {name}" for name in left)]:
        _say(f"run {outcome.number}: {text}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
