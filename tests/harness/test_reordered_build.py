"""`hilnas build --reorder`: the file, what is built of it, and the arena before and after."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import engines
from harness.board import load_board
from harness.engines.tflm.engine import TflmEngine
from harness.engines.tflm.library import VARIABLE, Library, find_library
from harness.engines.tflm.scratch import Kernels
from harness.errors import UsageError
from harness.options import DEFAULTS
from harness.reorder import reorder
from harness.reordered_build import ship_reordered
from tests import commands
from tests.harness.test_reorder import wide_and_narrow
from tests.tflite_factory import small_network

BOARD = ("--board", "nucleo_l4r5zi")


class FakeTflm:
    """Says what it was given; its arena is as large as the order is long."""

    name = "tflm"
    version = "90b983c, reference, release, objects 0123, gcc"

    def __init__(self) -> None:
        self.shipped: list[tuple[bytes, Path]] = []

    def ship(self, model: bytes, board: Any, folder: Path, **_: Any) -> Any:
        self.shipped.append((model, folder))
        return SimpleNamespace(arena_bytes=5000 - 1000 * len(self.shipped))


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    return functools.partial(commands.call, monkeypatch, capsys)


def ship(model: bytes, engine: Any, file: Path) -> tuple[Any, dict[str, int | str]]:
    return ship_reordered(
        model,
        file,
        engine,
        SimpleNamespace(),  # type: ignore[arg-type]
        name="m",
        options=DEFAULTS,
        on_step=lambda _: None,
    )


def test_a_library_measures_the_arena_before_and_after(tmp_path: Path) -> None:
    engine, data = FakeTflm(), wide_and_narrow().build()
    file = tmp_path / "m.reordered.tflite"

    built, facts = ship(data, engine, file)

    found = reorder(data, name="m", kernels=Kernels.REFERENCE)
    assert file.read_bytes() == found.model != data
    (first, folder), (second, elsewhere) = engine.shipped
    assert (first, second, folder) == (found.model, data, tmp_path)
    assert elsewhere != tmp_path and not elsewhere.exists()
    assert built.arena_bytes == facts["tflm_arena_bytes_after"] == 4000
    assert facts["tflm_arena_bytes_before"] == 3000
    assert facts["tflm_arena"] == "measured"
    assert facts["peak_bytes_before"] == found.before.peak_bytes > facts["peak_bytes_after"]


def test_a_model_in_the_best_order_is_built_once(tmp_path: Path) -> None:
    engine, data = FakeTflm(), small_network()
    file = tmp_path / "m.reordered.tflite"

    _, facts = ship(data, engine, file)

    assert [model for model, _ in engine.shipped] == [data]
    assert file.read_bytes() == data
    assert facts["tflm_arena_bytes_before"] == facts["tflm_arena_bytes_after"] == 4000
    assert facts["reordering"] == "the order that it had is the best"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write the reordered model: .*; use --out"):
        ship(small_network(), FakeTflm(), tmp_path / "no" / "folder.tflite")


def test_the_command_writes_the_file_and_estimates_the_arena(call: Any, tmp_path: Path) -> None:
    data = wide_and_narrow().build()
    model, out = tmp_path / "wide.tflite", tmp_path / "out"
    model.write_bytes(data)

    answer = call("build", model, *BOARD, "--out", out, "--reorder", "--json", tmp_path / "b.json")

    assert answer.code == 0
    facts = json.loads((tmp_path / "b.json").read_text())
    assert (out / "wide.reordered.tflite").read_bytes() == reorder(data, name="m").model
    assert facts["reordered"] == str(out / "wide.reordered.tflite")
    assert facts["tflm_arena_bytes_after"] < facts["tflm_arena_bytes_before"]
    assert facts["tflm_arena"].startswith("cmsis_nn kernels, estimated on this machine")
    assert "another order, exact" in answer.out


def test_without_a_library_the_command_says_what_the_arena_would_be(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setitem(engines.ENGINES, "tflm", find_library)
    model = tmp_path / "m.tflite"
    model.write_bytes(small_network())

    answer = call("build", model, *BOARD, "--out", tmp_path / "out", "--engine", "tflm")

    assert answer.code == 1
    assert "no TFLite Micro library is named" in answer.err
    assert "without one: with cmsis_nn kernels its arena takes about" in answer.err


@pytest.mark.tflm
def test_a_library_needs_less_for_the_better_order(tflm_library: Library, tmp_path: Path) -> None:
    _, facts = ship_reordered(
        wide_and_narrow().build(),
        tmp_path / "m.reordered.tflite",
        TflmEngine(tflm_library),
        load_board("nucleo_l4r5zi"),
        name="m",
        options=DEFAULTS,
        on_step=lambda _: None,
    )
    assert facts["tflm_arena"] == "measured"
    assert facts["tflm_arena_bytes_after"] < facts["tflm_arena_bytes_before"]
    assert facts["tflm_tensors_bytes_after"] < facts["tflm_tensors_bytes_before"]
