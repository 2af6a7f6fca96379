"""An engine by its name, and what both of them promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.board import load_board
from harness.engines import AOT, ENGINES, open_engine
from harness.errors import ToolchainError, UsageError
from harness.options import DEFAULTS
from harness.session import open_session
from tests.harness.engines.tflm.trees import make_tree
from tests.tflite_factory import small_network

BOARD = load_board("nucleo_f412zg")


def test_an_engine_that_nobody_knows_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        UsageError, match=r"no engine 'tvm' \(expected aot or tflm\); use --engine aot"
    ):
        open_engine("tvm")


def test_each_engine_knows_its_own_name(tmp_path: Path) -> None:
    tree = make_tree(tmp_path)
    assert [open_engine(name, tflm_dir=tree).name for name in ENGINES] == list(ENGINES)


def test_aot_needs_no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HILNAS_TFLM_DIR", str(tmp_path))
    assert open_engine("aot", tflm_dir=tmp_path) is AOT


def test_tflm_without_a_library_says_what_to_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HILNAS_TFLM_DIR", raising=False)
    with pytest.raises(ToolchainError, match=r"cortex_m_generic/README\.md"):
        open_engine("tflm")


def test_the_version_of_aot_is_the_one_its_firmware_tells() -> None:
    with open_session(BOARD, "virtual") as session:
        model = small_network()
        steps: list[str] = []
        built = AOT.build(model, session, name="small", options=DEFAULTS, on_step=steps.append)
        session.flash(built.image)
        assert (session.hello.engine, session.hello.engine_version) == (AOT.name, AOT.version)
        assert steps == ["compiling"]
        assert built.arena_bytes == built.image.arena_bytes and built.arena_parts is None
