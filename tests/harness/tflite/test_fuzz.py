"""Whatever happens to a valid file, reading it gives a graph or a ModelError, and soon."""

from __future__ import annotations

import contextlib
import json
import zipfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fuzz import seeds
from harness.errors import ModelError
from harness.planner import plan
from harness.tflite import read_graph
from tests.movement_network import movement_network
from tests.tflite_factory import fully_connected_model, small_network

MODELS = (fully_connected_model(), small_network(size=5, channels=2), movement_network())

HOSTILE = (
    Path(__file__).parent / "hostile.zip"
)  # found by `python -m bench fuzz`, with the error each is

models = st.sampled_from(MODELS)
positions = st.integers(0, 1 << 16)


def read_anything(data: bytes) -> None:
    """Plans too: what was accepted must be sane enough to be placed."""
    with contextlib.suppress(ModelError):
        plan(read_graph(data, where="fuzzed"))


def test_files_that_were_refused_once_are_refused_again() -> None:
    with zipfile.ZipFile(HOSTILE) as corpus:
        expected = json.loads(corpus.read("expected.json"))
        assert len(expected) > 50
        for name, kind in expected.items():
            try:
                read_graph(corpus.read(name), where=name)
            except ModelError as error:
                assert type(error).__name__ == kind, name
            else:
                raise AssertionError(f"{name} was accepted")


def test_the_campaign_starts_from_valid_models_of_many_operators() -> None:
    graphs = [read_graph(model, where="seed") for model in seeds(0)]
    assert len({operator.op for graph in graphs for operator in graph.file_operators}) > 20


@settings(max_examples=400)
@given(models, st.lists(st.tuples(positions, st.integers(0, 7)), min_size=1, max_size=8))
def test_flipped_bits(model: bytes, flips: list[tuple[int, int]]) -> None:
    data = bytearray(model)
    for position, bit in flips:
        data[position % len(data)] ^= 1 << bit
    read_anything(bytes(data))


@settings(max_examples=200)
@given(models, positions)
def test_truncations(model: bytes, length: int) -> None:
    read_anything(model[: length % len(model)])


@settings(max_examples=200)
@given(models, models, positions, positions, positions)
def test_splices(first: bytes, second: bytes, at: int, start: int, length: int) -> None:
    at, start = at % len(first), start % len(second)
    piece = second[start : start + length % 64]
    read_anything(first[:at] + piece + first[at + len(piece) :])
    read_anything(first[:at] + piece + first[at:])


@settings(max_examples=400)
@given(
    models,
    positions,
    st.one_of(
        st.integers(0, 2**32 - 1),
        st.sampled_from([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 0x10000]),
    ),
)
def test_hostile_words(model: bytes, at: int, word: int) -> None:
    """Offsets and counts are aligned words; every one of them meets every extreme."""
    at = at % (len(model) // 4) * 4
    read_anything(model[:at] + word.to_bytes(4, "little") + model[at + 4 :])
