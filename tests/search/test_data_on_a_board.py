"""Samples that are no pixels go the whole way: loaded, trained on, exported, run on the board."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.board import load_board
from harness.session import open_session
from harness.tflite import read_graph
from search.config import Budget, Data, Device, SearchConfig, Sound, Training
from search.data.dataset import PIXELS
from search.data.load import load_dataset
from search.evaluate import evaluate_in
from search.evaluation import Evaluation
from search.workers import Task
from search.workplace import Workplace
from tests.search.genotypes import conv, depthwise, network, series
from tests.search.idx_files import make_samples
from tests.search.sound_files import write_speech_commands

GENOTYPE = network(series(conv(4, batch_norm=True, stride=2), depthwise()), dense=(10,))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.data.cache.cache_dir", lambda: tmp_path / "cache")


def numbers(folder: Path) -> Data:
    """The bars of the other tests as measurements between -3 and 9."""
    train, test = make_samples(300), make_samples(60, seed=1)
    members = {"y_train": train.labels, "y_test": test.labels}
    for name, split in (("x_train", train), ("x_test", test)):
        members[name] = split.images.astype(np.float32) * (12 / 255) - 3
    np.savez(folder / "numbers.npz", **members)
    return Data("numpy", path=str(folder / "numbers.npz"))


def speech(folder: Path) -> Data:
    root = write_speech_commands(folder / "speech", ("go", "no"), speakers=40, noise=False)
    sound = Sound(front_end="mfcc", stride_ms=60, window_ms=60)
    return Data("speech_commands", path=str(root), sound=sound)


@pytest.mark.parametrize("write", [numbers, speech])
def test_the_board_is_bit_exact_and_the_network_learns(tmp_path: Path, write) -> None:
    config = SearchConfig(
        name="test",
        search=Budget(population=5, sample_size=2),
        device=Device("nucleo_f412zg"),
        data=write(tmp_path),
        training=Training(epochs=8, batch_size=16, learning_rate=0.1),
    )
    dataset = load_dataset(config.data, seed=0)
    assert dataset.encoding != PIXELS
    board = load_board("nucleo_f412zg")
    workplace = Workplace(dataset, lambda: open_session(board, "virtual"))
    outcome = evaluate_in(workplace, Task(0, GENOTYPE.to_json()), tmp_path, config)
    workplace.close()
    assert isinstance(outcome, Evaluation), outcome
    assert outcome.untrained.output.bit_exact and outcome.measured.output.bit_exact
    assert outcome.val_error <= 0.2 and abs(outcome.val_error - outcome.float_val_error) <= 0.1
    graph = read_graph((tmp_path / outcome.model).read_bytes(), where="model")
    quantisation = graph.tensors[graph.inputs[0]].quantisation
    assert quantisation.scales == (np.float32(dataset.encoding.scale),)
    assert quantisation.zero_points == (dataset.encoding.zero_point,)
    assert dataset.load_test().encoding == dataset.encoding
