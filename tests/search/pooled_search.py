"""A search whose candidates are measured on a pool and not trained: what a test or a benchmark of
the pool needs of one. The error of a network follows from its archid."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.measurement import Measurement
from harness.pool import Pool
from search.config import Bounds, Budget, Data, Device, SearchConfig, SpaceChoice
from search.evaluation import Outcome
from search.journal import read_journal
from search.remeasured import settle
from search.report.run_folder import read_run
from search.run import JOURNAL_NAME, run_search
from search.spaces.munas.genotype import MunasGenotype
from search.workers import Task
from tests.search.evaluations import make_evaluation
from tests.search.threads import Threads

BOARD = "nucleo_f412zg"


def pooled_search(
    run_dir: Path,
    open_pool: Callable[[], Pool],
    measure_on: Callable[..., Measurement],
    make_model: Callable[[int], bytes],
    *,
    rounds: int,
    workers: int = 4,
) -> None:
    """Search and settle in `run_dir`. make_model: a model of a number, the same each time."""
    config = SearchConfig(
        name="pooled",
        search=Budget(rounds=rounds, workers=workers, window=workers, population=6, sample_size=3),
        device=Device(BOARD, via="hardware"),
        data=Data("digits"),
        bounds=Bounds(macs=5_000_000),
        space=SpaceChoice(max_blocks=2, max_layers=1, max_filters=8, max_units=16),
    )
    (run_dir / "models").mkdir(parents=True)
    own = threading.local()  # a pool for each worker, as for each process of a real search

    def evaluate(task: Task) -> Outcome:
        if not hasattr(own, "pool"):
            own.pool = open_pool()
        genotype = MunasGenotype.from_json(task.genotype)
        dice = int(hashlib.sha256(genotype.archid.encode()).hexdigest()[:8], 16)
        model, file = make_model(dice), f"models/{genotype.archid}.tflite"
        measured = own.pool.measure(model, name=genotype.archid, measure_on=measure_on)
        (run_dir / file).write_bytes(model)
        error = dice % 1000 / 1000
        return make_evaluation(
            genotype, val_error=error, untrained=measured, measured=measured, model=file
        )

    with Threads(workers, evaluate) as evaluators:
        run_search(config, run_dir, evaluators, input_shape=(28, 28, 1), classes=10)
    pool = open_pool()

    def measure(model: bytes, *, name: str) -> Measurement:
        return pool.measure(model, name=name, measure_on=measure_on)

    def read() -> list[Outcome]:
        return [entry.outcome for entry in read_journal(run_dir / JOURNAL_NAME).entries]

    settle(run_dir, pool, measure, read, control_every=config.device.control_every)


def told(run_dir: Path) -> list[Any]:
    """The journal without what clocks and the choice of units decide."""
    found = [entry.to_json() for entry in read_journal(run_dir / JOURNAL_NAME).entries]
    for entry in found:
        del entry["at_s"], entry["workers"]
        outcome = entry["outcome"]
        for name in ("train_seconds", "spent", "activities"):
            outcome.pop(name, None)
        for name in ("untrained", "measured"):
            for own in ("started_at", "duration_s", "build_s", "unit"):
                (outcome.get(name) or {}).pop(own, None)
    return json.loads(json.dumps(found))


def front(run_dir: Path) -> list[tuple[str, float, float]]:
    """archid, error and cycles of each member."""
    members = read_run(run_dir).front
    return [(each.archid, each.val_error, each.measured.cycles.median) for each in members]
