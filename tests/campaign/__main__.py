"""`python -m tests.campaign --faults 20000 --seed 1`: cases 0, 1, ... of a seed until so many
faults have happened; the record goes to results/benchmarks/reliability.json. `--case N` runs one
of them and says all about it. The exit code is 1 where anything came out that must not."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.campaign.case import Outcome, build_models, draw_case, run_case
from tests.campaign.run import run_cases, summarise, table

RECORD = Path(__file__).resolve().parents[2] / "results" / "benchmarks" / "reliability.json"
_SHOWN = 20


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign")
    parser.add_argument("--faults", type=int, default=20_000, help="how many are to happen")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="only this one, in full")
    # Most of a case is waiting for deadlines.
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1), help="processes")
    given = parser.parse_args(arguments)
    if given.case is not None:
        models = build_models()
        return _tell(run_case(draw_case(given.seed, given.case, models), models))
    start = time.monotonic()
    outcomes = run_cases(given.seed, given.faults, given.jobs)
    record = {
        "benchmark": "reliability",
        "command": f"python -m tests.campaign --faults {given.faults} --seed {given.seed}",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "jobs": given.jobs,
        "seconds": round(time.monotonic() - start, 1),
        **summarise(outcomes),
    }
    print(table(record))
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
    problems = [(outcome, text) for outcome in outcomes for text in outcome.problems]
    for outcome, text in problems[:_SHOWN]:
        print(f"case {outcome.case.number} of seed {given.seed}: {text}", file=sys.stderr)
    print(
        f"{len(outcomes)} cases, {record['faults']} faults, {len(problems)} problems: {RECORD}",
        file=sys.stderr,
    )
    return 1 if problems else 0


def _tell(outcome: Outcome) -> int:
    print(json.dumps(asdict(outcome), indent=1))
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
