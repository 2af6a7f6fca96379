"""What is each part of the search worth? The hypervolume that searches reach in equal wall time:
ours, the same with MACs in place of measured latency, random search, µNAS's own settings, and ours
without one of its parts. Three seeds; two searches at a time, each with one worker, so that every
one has one processor.

Every network counts by what it measures on the board, whatever its search was told to look at.
All of it takes two hours: `--arms` runs some, and the record keeps the others of before that were
run under the same conditions. docs/images/hypervolume.png shows them all.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.hypervolume_plot import write_picture
from bench.searches import Searched, label_of, search
from harness.board import ROOT
from search.config import Bounds, Pruning, SearchConfig, SpaceChoice, Tiers, load_config
from search.evaluation import Evaluation
from search.report.candidate import Candidate
from search.report.growth import Growth, growth_of

RECORD = ROOT / "results" / "benchmarks" / "hypervolume.json"
CONFIG = ROOT / "examples" / "fashion_mnist_hour.toml"
MINUTES = 10.0
SEEDS = (1, 2, 3)
IMAGES = 10_000  # of the training split, so that µNAS's 45 epochs fit into the minutes
# The box of which shares are counted; its bounds on latency, SRAM and flash are the searches' own,
# and so tight that each of them turns networks down.
REFERENCE = Bounds(val_error=0.20, latency_us=8_000.0, sram_bytes=16_384, flash_bytes=49_152)
# What a user without a board would take for REFERENCE's latency: 2.1 cycles for a MAC, the median
# over networks that the space draws (1.3 to 6.0 of them).
MACS = 380_000


def ours() -> SearchConfig:
    """The search of the example, for a tenth of its time."""
    example = load_config(CONFIG)
    return replace(
        example,
        name="ours",
        search=replace(
            example.search, population=12, sample_size=4, workers=1, minutes=MINUTES, window=2
        ),
        data=replace(example.data, train_limit=IMAGES, validation_limit=2000),
        training=replace(example.training, epochs=4, inherited_epochs=2),
        tiers=replace(example.tiers, short_epochs=1, short_fraction=0.25),
        finalists=replace(example.finalists, epochs=0),
        bounds=replace(REFERENCE, val_error=0.10),
    )


def with_macs(config: SearchConfig) -> SearchConfig:
    """Told MACs in place of measured latency."""
    objectives = ("val_error", "macs", "sram_bytes", "flash_bytes")
    return replace(
        config,
        search=replace(config.search, objectives=objectives),
        bounds=replace(config.bounds, latency_us=None, macs=MACS),
    )


def at_random(config: SearchConfig) -> SearchConfig:
    return replace(config, search=replace(config.search, algorithm="random"))


def as_munas(config: SearchConfig) -> SearchConfig:
    """µNAS (arXiv 2010.14246) as published for Fashion-MNIST: all of its space, its population,
    its bound on MACs, 45 epochs of fresh weights for each candidate."""
    config = with_macs(config)
    return replace(
        config,
        search=replace(config.search, population=100, sample_size=25),
        training=replace(config.training, epochs=45, inherit=False, inherited_epochs=0),
        tiers=Tiers(),
        bounds=replace(config.bounds, macs=30_000_000),
        space=SpaceChoice(),
    )


def without_inheritance(config: SearchConfig) -> SearchConfig:
    training = replace(config.training, inherit=False, inherited_epochs=0)
    return replace(config, training=training)


def without_short_training(config: SearchConfig) -> SearchConfig:
    return replace(config, tiers=Tiers())


def with_pruning(config: SearchConfig) -> SearchConfig:
    return replace(config, pruning=Pruning(enabled=True))


ARMS: dict[str, Callable[[SearchConfig], SearchConfig]] = {
    "ours": lambda config: config,
    "macs": with_macs,
    "random": at_random,
    "munas": as_munas,
    "without_inheritance": without_inheritance,
    "without_short_training": without_short_training,
    "with_pruning": with_pruning,
}


def run(*, arms: str = ",".join(ARMS)) -> dict[str, Any]:
    """arms: some of ARMS, separated by commas."""
    names = arms.split(",")
    searches: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    tasks = [(seed, name) for seed in SEEDS for name in names]  # so that noise hits all arms
    for pair in (tasks[start : start + 2] for start in range(0, len(tasks), 2)):
        print(f"bench: hypervolume: {pair}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            for (seed, name), searched in zip(
                pair, search([_config(*task) for task in pair], Path(folder)), strict=True
            ):
                found = _describe(searched, _growth(searched))
                print(f"bench: hypervolume: {name}, seed {seed}: {found}", file=sys.stderr)
                searches[name].append({"seed": seed, **found})
    record = _merged({name: _summed_up(each) for name, each in searches.items()})
    if "ours" in record["arms"]:
        write_picture(record)
    return record


def _summed_up(searches: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "median_share": median(each["share"] for each in searches),
        "searches": searches,
    }


def _merged(arms: dict[str, Any]) -> dict[str, Any]:
    """With those of the record whose searches had the same conditions."""
    conditions = {
        "minutes": MINUTES,
        "reference": {k: v for k, v in vars(REFERENCE).items() if v},
        "training_images": IMAGES,
        "workers": 1,
        "seeds": list(SEEDS),
        "bound": "ours ahead of macs, random and munas",
    }
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    before = record["arms"] if {k: record.get(k) for k in conditions} == conditions else {}
    return {**conditions, "arms": {**before, **arms}}


def _config(seed: int, name: str) -> SearchConfig:
    config = ARMS[name](ours())
    return replace(config, name=f"{name}_{seed}", search=replace(config.search, seed=seed))


def _in_time(searched: Searched) -> list[Candidate]:
    """Told when the minutes were over; those then under way do not count."""
    return [each for each in searched.run.candidates if (each.at_s or 0.0) <= MINUTES * 60]


def _growth(searched: Searched) -> Growth:
    return growth_of(_in_time(searched), REFERENCE)


def _describe(searched: Searched, growth: Growth) -> dict[str, object]:
    run, in_time = searched.run, _in_time(searched)
    trained = [each.outcome for each in in_time if isinstance(each.outcome, Evaluation)]
    wall_time = run.wall_time
    return {
        "share": round(growth.share, 5),
        "share_by_minute": [
            round(max((s for at, s in growth.by_time if at <= 60 * minute), default=0.0), 5)
            for minute in range(1, int(MINUTES) + 1)
        ],
        "candidates": len(in_time),
        "measured": sum(each.outcome.untrained is not None for each in in_time),
        "trained": len(trained),
        "best_validation_accuracy": round(1 - min((e.val_error for e in trained), default=1), 4),
        "useful_share": wall_time and wall_time.useful_share,
        "overhead_s": wall_time and wall_time.overhead_s,
        "label": label_of(run),
    }
