"""The library that the user has built: it fits every board, has every operator, and takes the
resolvers that are generated for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from harness.board import board_names, load_board
from harness.engines.tflm.abi import check_abi
from harness.engines.tflm.library import Library, find_library
from harness.engines.tflm.resolver import choose_registrations
from harness.engines.tflm.sources import tflm_sources
from harness.errors import UnsupportedModelError
from harness.tflite import read_graph
from harness.tflite.schema import OPERATORS
from tests.harness.engines.tflm.test_resolver import CONV_INT8, graph_of
from tests.harness.engines.tflm.trees import ABSENT, HARD, method_of, undefined_in
from tests.random_networks import networks
from tests.tflite_factory import ModelFactory

pytestmark = pytest.mark.tflm

CXX = ("arm-none-eabi-g++", *HARD, "-O0", "-std=c++17", "-Wall", "-Wextra", "-Werror",
       "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics")  # fmt: skip


def test_it_says_what_it_is(tflm_library: Library) -> None:
    assert tflm_library.kernels in ("cmsis_nn", "reference")
    assert tflm_library.compiler != "compiler unknown"
    assert "TF_LITE_STATIC_MEMORY" in tflm_library.defines
    assert tflm_library == find_library(tflm_library.archive.parents[1])


def test_it_fits_every_board(tflm_library: Library) -> None:
    for name in board_names():
        check_abi(tflm_library, load_board(name))


def test_every_operator_that_is_read_can_be_registered(tflm_library: Library) -> None:
    for op in set(OPERATORS.values()) - set(ABSENT):
        (registration,) = choose_registrations(graph_of((op, ("bool",), "bool")), tflm_library)
        assert registration.method.lower() == method_of(op).lower()


def test_what_upstream_has_never_had_is_refused(tflm_library: Library) -> None:
    for op in ABSENT:
        with pytest.raises(UnsupportedModelError, match=rf"\({op}\) is not in this TFLite Micro"):
            choose_registrations(graph_of((op, ("int32",), "int32")), tflm_library)


def test_kernels_of_cmsis_nn_come_with_registrations_for_int8(tflm_library: Library) -> None:
    (registration,) = choose_registrations(graph_of(CONV_INT8), tflm_library)

    expected = {"cmsis_nn": "CONV_2D_INT8", "reference": ""}[tflm_library.kernels]
    assert registration.special == expected


@pytest.fixture(scope="module")
def compiler(tflm_library: Library, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    """A folder, and a command that compiles resolver.cc in it. Upstream's headers are compiled
    beforehand: they take five seconds."""
    folder = tmp_path_factory.mktemp("resolver")
    command = [*CXX, *(f"-D{name}" for name in tflm_library.defines)]
    command += [word for path in tflm_library.include_dirs for word in ("-isystem", str(path))]
    header = '#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"\n'
    (folder / "upstream.h").write_text(header)
    compiled = [*command, "-x", "c++-header", "upstream.h", "-o", "upstream.h.gch"]
    subprocess.run(compiled, cwd=folder, check=True, timeout=300)
    return folder, [*command, "-Winvalid-pch", "-include", "upstream.h", "-c", "resolver.cc"]


@given(model=networks())
@settings(
    max_examples=6,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_resolvers_of_random_networks_compile_and_link(
    tflm_library: Library, compiler: tuple[Path, list], model: ModelFactory
) -> None:
    folder, command = compiler
    data = model.build()
    try:
        sources = tflm_sources(data, read_graph(data, where="m"), tflm_library, arena_bytes=1024)
    except UnsupportedModelError:
        return
    for name in ("resolver.h", "resolver.cc"):
        (folder / name).write_text(sources[name])

    subprocess.run(command, cwd=folder, check=True, timeout=300)
    assert undefined_in(folder / "resolver.o") <= tflm_library.symbols
