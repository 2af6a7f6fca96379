"""Do the configurations that users start from hold what they should?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.board import ROOT, load_board
from search.config import load_config
from search.cost import cost_of
from search.fitness import broken_by_cost
from search.space import open_space

CONFIGS = sorted((ROOT / "examples").glob("*.toml"))
SHAPES = {
    "cifar10": ((32, 32, 3), 10),
    "fashion_mnist": ((28, 28, 1), 10),
    "speech_commands": ((49, 10, 1), 12),
}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_an_example_names_a_board_and_a_space_whose_networks_can_keep_its_bounds(
    path: Path,
) -> None:
    config = load_config(path)
    load_board(config.device.board)
    space, rng = open_space(config.space), np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(50)]
    costs = [cost_of(space.lower(each, *SHAPES[config.data.name])) for each in drawn]
    kept = [cost for cost in costs if broken_by_cost(config.bounds, cost) is None]
    assert len(kept) >= 5, "a search would turn down nearly all of what it draws"
