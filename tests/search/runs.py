"""Run folders for tests of the report: real genotypes and costs, invented measurements."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.measurement import Flash, Sram
from search.config import Bounds, Budget, Data, Device, SearchConfig, SpaceChoice, dump_config
from search.cost import cost_of
from search.evaluation import Evaluation, Outcome, Rejected, outcome_to_json
from search.finalists import FINALISTS_NAME
from search.journal import Entry, Header, Journal
from search.report.run_folder import FrontRecord, Tested, write_front
from search.space import open_space
from search.spaces.munas.lowering import lower
from search.spaces.munas.sampling import sample
from tests.measurements import make_measurement
from tests.search.evaluations import make_evaluation

SPACE = SpaceChoice(max_blocks=4, max_layers=2, max_filters=32, max_dense_blocks=2, max_units=64)
CONFIG = SearchConfig(
    name="demo",
    search=Budget(rounds=60, population=20, sample_size=6),
    device=Device("nucleo_f412zg"),
    data=Data("fashion_mnist"),
    bounds=Bounds(val_error=0.12, latency_us=80_000.0, sram_bytes=64 * 1024),
    space=SPACE,
)


def make_outcomes(count: int, *, seed: int = 0) -> list[Outcome]:
    """`count` measured candidates, most of them trained, and as many rejected by arithmetic."""
    rng = np.random.default_rng(seed)
    outcomes: list[Outcome] = []
    while len(outcomes) < 2 * count:
        genotype = sample(rng, SPACE)
        cost = cost_of(lower(genotype, (28, 28, 1), 10))
        table, archid = genotype.to_json(), genotype.archid
        if len(outcomes) % 2:
            reason = "peak memory 70,000 exceeds the bound of 65,536 bytes of SRAM"
            outcomes.append(Rejected(archid, table, cost, "analytic", reason))
            continue
        cycles = round(cost.macs * float(rng.uniform(2.5, 9)) + 20_000)
        sram_bytes = cost.peak_memory_bytes + 2500
        measured = make_measurement(
            macs=cost.macs,
            cycles=cycles,
            sram=Sram(cost.peak_memory_bytes, 1500, 1000, sram_bytes),
            flash=Flash(14_000, cost.model_size_bytes, 14_000 + cost.model_size_bytes, 9000),
        )
        if cycles / 100 > 80_000:
            reason = f"measured latency {cycles / 100:,.0f} exceeds the bound of 80,000 us"
            outcomes.append(Rejected(archid, table, cost, "measured", reason, measured))
            continue
        error = float(0.09 + 0.4 / (cost.macs / 1e4 + 2) + rng.exponential(0.015))
        outcomes.append(
            Evaluation(
                archid, table, cost, error - 0.002, error, measured, measured,
                f"models/{archid}.tflite", 15.0,
            )
        )  # fmt: skip
    return outcomes


def write_run(
    run_dir: Path,
    outcomes: list[Outcome],
    *,
    config: SearchConfig = CONFIG,
    every_s: float = 0.0,
    workers: Sequence[int] = (),
) -> Path:
    """every_s: seconds between two outcomes; 0: the journal has no times. workers: when each
    outcome was told; none given: the journal does not say."""
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "config.toml").write_text(dump_config(config))
    (run_dir / "environment.json").write_text('{"host": {"system": "Linux", "cores": 2}}')
    with Journal(run_dir / "journal.jsonl") as journal:
        journal.create(Header.of(config, {"torch": "2.13.0", "python": "3.11"}))
        for index, outcome in enumerate(outcomes):
            at_s, at_work = every_s * (index + 1), workers[index] if workers else 0
            journal.append(Entry(index, "0" * 8, outcome, at_s, at_work))
    return run_dir


def write_finalist(run_dir: Path, outcome: Outcome, *, epochs: int) -> None:
    line = {"epochs": epochs, "outcome": outcome_to_json(outcome)}
    with (run_dir / FINALISTS_NAME).open("a") as file:
        file.write(json.dumps(line) + "\n")


def make_family(count: int) -> list[Outcome]:
    """`count` trained networks, each one morphism away from the one before it and a bit better,
    with the times of their tiers."""
    rng, space = np.random.default_rng(1), open_space(SPACE)
    genotype = space.sample(rng)
    parent: str | None = None
    outcomes: list[Outcome] = []
    for number in range(count):
        outcomes.append(
            make_evaluation(
                genotype,
                val_error=0.5 / (number + 1),
                cycles=100_000 * (number + 1),
                parent=parent,
                spent={"analytic": 0.01, "measured": 2.0, "full": 20.0},
                activities={"training": 18.0, "measuring": 2.0, "compiling": 2.0},
            )
        )
        parent = genotype.archid
        _, genotype = space.morph(genotype, rng)
    return outcomes


def write_tested(run_dir: Path, front: tuple[Evaluation, ...], *, notice: str = "") -> None:
    members = tuple(Tested(e.archid, e.val_error + 0.004, f"front/{e.archid}") for e in front)
    write_front(run_dir, FrontRecord("fashion_mnist", notice, 10_000, members))
