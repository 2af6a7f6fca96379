"""How are many cases run? In processes of their own, each with its models and boards; and what do
their outcomes come to?"""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.campaign.case import (
    DEADLINES,
    SLACK_S,
    Model,
    Outcome,
    build_models,
    draw_case,
    run_case,
)
from tests.campaign.faults import BOARD, FLASHED, LINE

_BLOCK = 400  # cases handed out together

_models: list[Model] = []  # of one worker process


def _set_up() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    _models.extend(build_models())


def _run(seed: int, number: int) -> Outcome:
    return run_case(draw_case(seed, number, _models), _models)


def run_cases(seed: int, faults: int, jobs: int) -> list[Outcome]:
    """Cases 0, 1, ... of `seed` until so many faults have happened, on `jobs` processes. Ctrl-C
    ends it with what is there."""
    outcomes: list[Outcome] = []
    happened = 0
    columns = (TextColumn("faults"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _set_up)
    with suppress(KeyboardInterrupt), Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("faults", total=faults)
        while happened < faults:
            block = range(len(outcomes), len(outcomes) + min(_BLOCK, -(-(faults - happened) // 2)))
            for outcome in pool.map(_run, [seed] * len(block), block):
                outcomes.append(outcome)
                happened += len(outcome.fired)
                progress.update(bar, completed=min(happened, faults))
    pool.shutdown(cancel_futures=True)
    return outcomes


def summarise(outcomes: list[Outcome]) -> dict[str, Any]:
    rows: Counter[tuple[str, str, str, str]] = Counter()
    for outcome in outcomes:
        for fault in outcome.fired:
            rows[fault.kind, fault.phase, outcome.result, outcome.where] += 1
    slowest = max(outcomes, key=lambda one: one.slowest.seconds - one.slowest.deadline_s)
    return {
        "faults": sum(len(outcome.fired) for outcome in outcomes),
        "cases": len(outcomes),
        "faults_drawn": sum(len(outcome.case.faults) for outcome in outcomes),
        "deadlines_s": asdict(DEADLINES),
        "slack_s": SLACK_S,
        "cases_by_result": dict(Counter(outcome.result for outcome in outcomes).most_common()),
        "second_attempts_by_result": dict(
            Counter(outcome.again for outcome in outcomes if outcome.again).most_common()
        ),
        "slowest": {"case": slowest.case.number, **asdict(slowest.slowest)},
        "problems": [
            {"case": outcome.case.number, "what": text}
            for outcome in outcomes
            for text in outcome.problems
        ],
        "rows": [
            {"fault": kind, "phase": phase, "result": result, "raised_in": where, "faults": count}
            for (kind, phase, result, where), count in sorted(rows.items())
        ],
    }


def table(record: dict[str, Any]) -> str:
    """Faults of each kind by what came of their case, in Markdown."""
    results = list(record["cases_by_result"])
    counts: Counter[tuple[str, str]] = Counter()
    for row in record["rows"]:
        counts[row["fault"], row["result"]] += row["faults"]
    lines = [f"| fault | {' | '.join(results)} |", f"|---|{'---|' * len(results)}"]
    for kind in dict.fromkeys([*LINE, *BOARD, *FLASHED]):
        lines.append(f"| {kind} | {' | '.join(str(counts[kind, each]) for each in results)} |")
    return "\n".join(lines)
