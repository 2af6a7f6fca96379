"""The user's library on virtual boards: measured as faithfully as our own engine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.models import NO_MODELS, mlperf_tiny
from harness.board import load_board
from harness.engines import AOT
from harness.engines.tflm.engine import TflmEngine
from harness.engines.tflm.library import Library
from harness.engines.tflm.sources import tflm_sources
from harness.errors import NotComparableError, RequestRefusedError
from harness.image import build_image
from harness.measure import measure
from harness.options import DEFAULTS
from harness.profiling import profile_inference
from harness.session import Session, open_session
from harness.tflite import read_graph
from harness.workspace import FIRMWARE_DIR, LinkedLibrary, tool
from tests.harness.engines.tflm.test_deployment import FILES
from tests.harness.engines.tflm.trees import HARD
from tests.tflite_factory import ModelFactory, small_network, svdf

pytestmark = pytest.mark.tflm


@pytest.fixture(scope="module")
def engine(tflm_library: Library) -> TflmEngine:
    return TflmEngine(tflm_library)


@pytest.fixture(scope="module", params=["nucleo_l4r5zi", "nucleo_f412zg"])
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    with open_session(load_board(request.param), "virtual") as opened:
        yield opened


@pytest.mark.parametrize("name", ["ad", "ic", "kws", "vww"])
def test_reference_models_are_measured(name: str, session: Session, engine: TflmEngine) -> None:
    path = mlperf_tiny(name)
    if path is None:
        pytest.skip(NO_MODELS)
    got = measure(path.read_bytes(), session, name=name, engine=engine, repeats=2, layers=True)

    assert got.output.bit_exact
    assert len(set(got.cycles.raw)) == 1
    assert sum(layer.cycles for layer in got.layers) == pytest.approx(got.cycles.median, rel=0.01)
    assert (got.engine, got.engine_version) == ("tflm", engine.version)
    parts = got.sram.arena_parts
    assert parts is not None and parts.head_bytes > 0 and parts.tail_bytes > 0
    assert got.sram.arena_bytes - 16 < sum(vars(parts).values()) <= got.sram.arena_bytes
    # AD has so little to plan that setting up needs more than running.
    assert (parts.temporary_bytes > 0) == (name == "ad")
    assert ("do not suffice" in got.sram.arena_plan) == (name == "ad")


def test_sixteen_bytes_less_cannot_be_prepared_and_a_reset_helps(
    session: Session, engine: TflmEngine
) -> None:
    model = small_network()
    built = engine.build(model, session, name="m", options=DEFAULTS, on_step=lambda step: None)
    library = engine.library
    smaller = build_image(
        tflm_sources(model, built.graph, library, arena_bytes=built.arena_bytes - 16),
        session.board,
        engine="tflm",
        library=LinkedLibrary(
            library.archive, library.sha256, library.include_dirs, library.defines
        ),
    )
    session.flash(smaller)
    with pytest.raises(RequestRefusedError, match="refused Prepare: the engine failed, detail 2"):
        session.prepare(0xA5)
    with pytest.raises(RequestRefusedError, match="refused Run: not prepared"):
        session.run()
    with pytest.raises(RequestRefusedError, match="refused WriteInput: not prepared"):
        session.write_input(0, bytes(session.hello.input_bytes[0]))

    session.flash(built.image)
    session.prepare(0xA5)
    session.prepare(0x5A)


def test_a_model_with_state_starts_anew_each_time(session: Session, engine: TflmEngine) -> None:
    model = ModelFactory()
    model.outputs = [svdf(model, model.input((1, 20), scale=0.5), units=10, memory=4)]
    assert measure(model.build(), session, engine=engine).output.bit_exact


def test_a_profile_names_the_librarys_functions(session: Session, engine: TflmEngine) -> None:
    seen = profile_inference(small_network(), session, name="m", seed=0, engine=engine)
    assert "engine_invoke" in {function.name for function in seen.profile.functions}
    assert any("tflite" in function.name for function in seen.profile.functions)


def test_two_engines_are_not_compared(session: Session, engine: TflmEngine) -> None:
    aot, tflm = (measure(small_network(), session, engine=one) for one in (AOT, engine))
    with pytest.raises(NotComparableError, match=r"differ in engine \(expected aot, got tflm\)"):
        aot.comparable_with(tflm)
    assert tflm.flash.runtime_overhead_bytes > aot.flash.runtime_overhead_bytes


def test_what_is_shipped_links_with_the_users_library(engine: TflmEngine, tmp_path: Path) -> None:
    board = load_board("nucleo_l4r5zi")
    built = engine.ship(
        small_network(), board, tmp_path, name="m", options=DEFAULTS, on_step=lambda step: None
    )
    assert (tmp_path / "firmware.map").exists() and built.image.elf == tmp_path / "firmware.elf"
    deploy = tmp_path / "deploy"
    assert {path.name for path in deploy.iterdir()} == FILES
    flags = " ".join(HARD)
    configure = [
        *(tool("cmake"), "-S", deploy, "-B", tmp_path / "build", "-G", "Ninja"),
        f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}",
        f"-DCMAKE_TOOLCHAIN_FILE={FIRMWARE_DIR / 'cmake' / 'arm-none-eabi.cmake'}",
        f"-DTFLM_DIR={engine.library.tree}",
        f"-DTFLM_LIBRARY={engine.library.archive}",
        *(f"-DCMAKE_{language}_FLAGS={flags}" for language in ("C", "CXX")),
        "-DCMAKE_EXE_LINKER_FLAGS=--specs=nosys.specs -Wl,--gc-sections",
    ]
    for command in (
        configure,
        [tool("cmake"), "--build", tmp_path / "build", "-t", "model_example"],
    ):
        subprocess.run(command, check=True, timeout=300, capture_output=True)
    assert (tmp_path / "build" / "model_example").exists()


def test_the_graph_is_the_files_own(session: Session, engine: TflmEngine) -> None:
    model = small_network()
    built = engine.build(model, session, name="m", options=DEFAULTS, on_step=lambda step: None)
    assert built.graph == read_graph(model, where="m")
