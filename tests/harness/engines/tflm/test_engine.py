"""Two images and a proof: what the engine builds, and what it does where the proof fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.board import load_board
from harness.engines.tflm import engine as engine_module
from harness.engines.tflm.arena import ArenaSize
from harness.engines.tflm.engine import TflmEngine
from harness.engines.tflm.library import Library
from harness.errors import (
    FirmwareFaultError,
    MeasurementRefusedError,
    ModelError,
    RequestRefusedError,
    ToolchainError,
    UsageError,
)
from harness.measurement import ArenaParts
from harness.options import DEFAULTS, CompilerOptions, Optimise
from tests.harness.engines.tflm.trees import SOFT, library_bytes, make_tree
from tests.tflite_factory import small_network

BOARD = load_board("nucleo_f412zg")
SIZE = ArenaSize(3_024, 2_580, ArenaParts(768, 1_812, 444))


class Unit:
    """Refuses to be prepared until `refusals` are used up."""

    board = BOARD

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)
        self.flashed: list[int] = []

    def flash(self, image: SimpleNamespace) -> None:
        self.flashed.append(image.arena_bytes)

    def prepare(self, pattern: int) -> None:
        if self.refusals:
            raise self.refusals.pop(0)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """What was built, in order, instead of images: their arenas and how they were asked for."""
    calls: list[SimpleNamespace] = []

    def build_image(sources: dict[str, str], board: object, **options: object) -> SimpleNamespace:
        text = sources["model.h"].split("MODEL_ARENA_BYTES ")[1]
        calls.append(
            SimpleNamespace(
                arena_bytes=int(text.split("u")[0]), sources=sources, board=board, **options
            )
        )
        return calls[-1]

    monkeypatch.setattr(engine_module, "build_image", build_image)
    monkeypatch.setattr(engine_module, "size_arena", lambda session, **_: SIZE)
    return calls


def build(
    library: Library, unit: Unit, options: CompilerOptions = DEFAULTS
) -> engine_module.Built:
    return TflmEngine(library).build(
        small_network(),
        unit,  # type: ignore[arg-type]
        name="m.tflite",
        options=options,
        on_step=lambda step: None,
    )


def test_the_image_that_is_measured_has_the_arena_that_was_found(cmsis_nn, built) -> None:
    unit = Unit()
    result = build(cmsis_nn, unit)
    assert unit.flashed == [0, 3_024] and result.image is built[-1]
    assert (result.arena_bytes, result.arena_parts) == (3_024, SIZE.parts)
    assert result.arena_plan == SIZE.plan and result.arena_lower_bound_bytes is None
    assert result.graph.total_macs > 0


def test_both_images_are_built_with_the_library_and_nothing_else(cmsis_nn, built) -> None:
    build(cmsis_nn, Unit(), CompilerOptions(Optimise.SIZE))
    for image in built:
        assert (image.engine, image.optimise, image.board) == ("tflm", Optimise.SIZE, BOARD)
        assert image.library.archive == cmsis_nn.archive
        assert image.library.sha256 == cmsis_nn.sha256
        assert image.library.defines == cmsis_nn.defines
        assert image.library.include_dirs == cmsis_nn.include_dirs
    sizing, measured = (image.sources for image in built)
    assert {name for name in sizing if sizing[name] != measured[name]} == {"model.h"}


@pytest.mark.parametrize(
    "error",
    [
        RequestRefusedError("the unit refused Prepare: the engine failed, detail 2"),
        FirmwareFaultError("BusFault", kind="BusFault", registers={}),
    ],
)
def test_an_arena_that_fails_its_proof_grows_and_says_so(cmsis_nn, built, error) -> None:
    unit = Unit(error, error)
    result = build(cmsis_nn, unit)
    assert unit.flashed == [0, 3_024, 3_040, 3_056]
    assert result.arena_bytes == 3_056 and result.arena_parts == ArenaParts(768, 1_812, 476)
    assert "do not suffice: with temporary allocations it needs 3,056" in result.arena_plan


def test_a_proof_that_always_fails_ends_in_one_sentence(cmsis_nn, built) -> None:
    errors = [RequestRefusedError("the unit refused Prepare: the engine failed")] * 50
    with pytest.raises(
        MeasurementRefusedError,
        match=r"m\.tflite: TFLite Micro does not set the model up in the arena that it did "
        r"before: the unit refused Prepare: the engine failed \(expected at most 3,136 bytes\)",
    ):
        build(cmsis_nn, Unit(*errors))


def test_a_limit_of_the_arena_is_for_aot(cmsis_nn, built) -> None:
    with pytest.raises(UsageError, match="--arena-limit: TFLite Micro places the tensors itself"):
        build(cmsis_nn, Unit(), CompilerOptions(arena_limit_bytes=1000))
    assert built == []


def test_a_library_for_another_float_abi_is_refused_before_anything_is_built(
    tmp_path: Path, built
) -> None:
    from harness.engines.tflm.library import find_library

    library = find_library(make_tree(tmp_path, library_bytes(flags=SOFT)))
    with pytest.raises(ToolchainError, match="another float ABI"):
        build(library, Unit())
    assert built == []


def test_nonsense_is_no_model(cmsis_nn, built) -> None:
    with pytest.raises(ModelError, match=r"m\.tflite"):
        TflmEngine(cmsis_nn).build(
            b"nonsense",
            Unit(),  # type: ignore[arg-type]
            name="m.tflite",
            options=DEFAULTS,
            on_step=lambda step: None,
        )


def test_two_libraries_are_two_versions(cmsis_nn, reference) -> None:
    versions = {TflmEngine(library).version for library in (cmsis_nn, reference)}
    assert len(versions) == 2
    assert TflmEngine(replace(cmsis_nn, sha256="0" * 64)).version not in versions
