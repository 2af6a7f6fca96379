"""A search in a space that a file describes: the whole loop, its journal, and resuming it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, JournalError
from search.config import Bounds, Budget, Data, Device, SearchConfig, SpaceChoice
from search.cost import cost_of
from search.evaluation import Outcome
from search.journal import read_journal
from search.run import RunResult, run_search
from search.space import open_space
from tests.search.evaluations import make_evaluation
from tests.search.open_workers import open_workers

SHAPE = (21, 10, 1)
FILE = """
[[stage]]
block = "conv"
filters = { from = 2, to = 12 }
kernel = [3, [5, 2]]
[[stage]]
block = "separable"
repeat = { from = 0, to = 3 }
filters = [4, 8]
kernel = [3, 5]
stride = [1, 2]
skip = [true, false]
[head]
pooling = "average"
"""


def evaluate(table: dict[str, Any], index: int, run_dir: Path, config: SearchConfig) -> Outcome:
    """Runs in workers: reads the genotype by the space, invents the rest."""
    space = open_space(config.space)
    genotype = space.read(table)
    cost = cost_of(space.lower(genotype, SHAPE, 4))
    return make_evaluation(
        archid=genotype.archid, genotype=table, cost=cost, val_error=1 / (1 + cost.macs)
    )


def config_of(path: Path, rounds: int = 10) -> SearchConfig:
    return SearchConfig(
        "test",
        Budget(rounds=rounds, population=4, sample_size=2, workers=1, seed=1),
        Device("nucleo_f412zg"),
        Data("digits"),
        bounds=Bounds(val_error=0.1, macs=60_000),
        space=SpaceChoice(file=str(path)),
    )


def search(run_dir: Path, config: SearchConfig, **options: Any) -> RunResult:
    with open_workers(config, run_dir, evaluate) as workers:
        return run_search(config, run_dir, workers, input_shape=SHAPE, classes=4, **options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(FILE)
    return path


def test_a_search_draws_and_changes_networks_of_the_file_and_is_resumed(
    tmp_path: Path, file: Path
) -> None:
    config = config_of(file)
    whole = search(tmp_path / "whole", config)
    search(tmp_path / "part", replace(config, search=replace(config.search, rounds=5)))

    resumed = search(tmp_path / "part", config, resume=True)

    assert [one.archid for one in resumed.outcomes] == [one.archid for one in whole.outcomes]
    space = open_space(config.space)
    assert all(space.contains(space.read(one.genotype)) for one in whole.evaluations)
    assert {len(one.genotype["stages"][1]) for one in whole.outcomes} > {1}
    header = read_journal(tmp_path / "whole" / "journal.jsonl").header
    assert header.config["found.space_sha256"] == space.sha256


def test_a_run_is_not_resumed_with_another_file(tmp_path: Path, file: Path) -> None:
    search(tmp_path / "run", config_of(file, rounds=2))
    other = tmp_path / "other.toml"
    other.write_text(FILE.replace("to = 12", "to = 13"))

    with pytest.raises(JournalError, match="found.space_sha256 differs"):
        search(tmp_path / "run", config_of(other), resume=True)


def test_a_file_that_is_no_space_starts_no_run(tmp_path: Path, file: Path) -> None:
    file.write_text(FILE.replace("filters = [4, 8]", "filters = 0"))

    with pytest.raises(ConfigError, match=r"mine.toml: \[\[stage\]\] 1 filters: .*got 0"):
        search(tmp_path / "run", config_of(file))
    assert not (tmp_path / "run").exists()
