"""`python -m tests.kills --kills 200 --seed 1`: first every step of a made-up search, then an
undisturbed real one and runs 0, 1, ... of the seed, --jobs at once, each killed up to --each
times, until so many kills have hit. What came of them goes to results/benchmarks/kills.json after
each run; a later call with the same seed goes on there. The exit code is 1 where anything came out
that must not."""

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
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tests.kills.case import Outcome, Undisturbed, leftovers, run_killed, run_undisturbed
from tests.kills.search import Place, make_place

RECORD = Path(__file__).resolve().parents[2] / "results" / "benchmarks" / "kills.json"
ROUNDS = 6
_STEPS_DEADLINE_S = 3600.0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills")
    parser.add_argument("--kills", type=int, default=200, help="how many are to hit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=10, help="at most so many in one run")
    parser.add_argument("--jobs", type=int, default=3, help="runs at once")
    given = parser.parse_args(arguments)
    runs = _earlier_runs(given.seed, given.each)
    folder = Path(tempfile.mkdtemp(prefix="hilnas-kills-"))
    steps = _try_steps(folder / "steps")
    first = make_place(folder, rounds=ROUNDS)
    places = [first.of_job(job) for job in range(given.jobs)]
    free: SimpleQueue[tuple[Place, Undisturbed]] = SimpleQueue()
    with ThreadPoolExecutor(given.jobs) as executor:
        # One each: what a linker writes holds the path of the job's build cache.
        for place, whole in zip(places, executor.map(run_undisturbed, places), strict=True):
            _say(f"undisturbed: {whole.lines} lines, {whole.seconds:.0f} s; {whole.run_dir}")
            free.put((place, whole))

    def run(number: int) -> tuple[Outcome, list[str]]:
        place, whole = free.get()
        outcome = run_killed(place, whole, seed=given.seed, number=number, kills=given.each)
        left = leftovers(place)
        shutil.rmtree(place.scratch)
        place.scratch.mkdir()
        if not outcome.problems:
            shutil.rmtree(place.folder / f"run-{number}")
        free.put((place, whole))
        return outcome, left

    known = {run["number"] for run in runs}
    numbers = (number for number in count() if number not in known)
    at_work: set[Future[tuple[Outcome, list[str]]]] = set()
    with ThreadPoolExecutor(given.jobs) as executor:
        while at_work or _hit(runs) < given.kills:
            while _hit(runs) < given.kills and len(at_work) < given.jobs:
                at_work.add(executor.submit(run, next(numbers)))
            done, at_work = wait(at_work, return_when=FIRST_COMPLETED)
            for outcome, left in (each.result() for each in done):
                runs.append({**asdict(outcome), "left_outside": left})
                _keep(given, steps, runs, whole.seconds)
                _tell(outcome, left)
    has_problems = bool(steps["problems"]) or any(run["problems"] for run in runs)
    if not has_problems:
        shutil.rmtree(folder)
    return 1 if has_problems else 0


def _hit(runs: list[dict[str, Any]]) -> int:
    return sum(len(run["kills"]) for run in runs)


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
