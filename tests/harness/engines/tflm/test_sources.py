"""What is generated for a model compiles and links, and follows from model and library alone."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from harness.engines.tflm.library import Library
from harness.engines.tflm.sources import tflm_sources
from harness.errors import UnsupportedModelError, UsageError
from harness.tflite import read_graph
from tests.harness.engines.tflm.trees import HARD, method_of, undefined_in
from tests.movement_network import movement_network
from tests.random_networks import networks
from tests.tflite_factory import small_network

FLAGS = (*HARD, "-O2", "-Wall", "-Wextra", "-Werror")
CXX_FLAGS = ("-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics")


def tflm(library: Library, model: bytes, **how: object) -> dict[str, str]:
    graph = read_graph(model, where="model")
    return tflm_sources(model, graph, library, arena_bytes=4096, **how)


def build(folder: Path, library: Library, sources: dict[str, str]) -> Path:
    """resolver.o, beside the objects of the C files."""
    for name, text in sources.items():
        (folder / name).write_text(text)
    defines = [f"-D{name}" for name in library.defines]
    includes = [word for path in library.include_dirs for word in ("-isystem", str(path))]
    gcc = ["arm-none-eabi-gcc", *FLAGS, "-std=c11"]
    gxx = ["arm-none-eabi-g++", *FLAGS, *CXX_FLAGS, *defines, *includes]
    for name in sources:
        if not name.endswith(".h"):
            command = [*(gcc if name.endswith(".c") else gxx), "-c", name]
            subprocess.run(command, cwd=folder, check=True, timeout=300)
    return folder / "resolver.o"


def test_the_file_itself_is_what_is_linked_16_byte_aligned(tmp_path, reference):
    model = small_network()
    build(tmp_path, reference, tflm(reference, model))

    command = ["arm-none-eabi-objcopy", "-O", "binary", "-j", ".rodata"]
    command += ["model_data.o", "x.bin"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "x.bin").read_bytes() == model
    header = subprocess.run(
        ["arm-none-eabi-objdump", "-h", "-j", ".rodata", "model_data.o"],
        cwd=tmp_path, check=True, timeout=60, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "2**4" in header


def test_the_header_says_what_the_model_and_the_library_are(tmp_path, cmsis_nn):
    model = small_network()
    graph = read_graph(model, where="model")
    header = tflm(cmsis_nn, model)["model.h"]

    assert "#define MODEL_ARENA_BYTES 4096u\n" in header
    assert f"#define MODEL_DATA_BYTES {len(model)}u\n" in header
    assert f"#define MODEL_LAYER_COUNT {len(graph.operators)}u\n" in header
    assert f"#define MODEL_INPUT_BYTES {{{graph.tensor(graph.inputs[0]).bytes}}}\n" in header
    assert f'#define MODEL_ENGINE_VERSION "{cmsis_nn.version}"\n' in header
    assert '#define MODEL_ENGINE_KERNELS "cmsis_nn"\n' in header


def test_a_compilers_name_cannot_break_out_of_its_string(tmp_path, reference):
    told = replace(reference, compiler='a"; int b; "\\ \n é ??/')
    sources = tflm(told, small_network())

    build(tmp_path, reference, sources)
    assert "int b" in sources["model.h"]


@pytest.mark.parametrize("model", [small_network(), movement_network()])
def test_the_resolver_links_against_the_library(tmp_path, cmsis_nn, model):
    resolver = build(tmp_path, cmsis_nn, tflm(cmsis_nn, model))

    assert undefined_in(resolver) <= cmsis_nn.symbols


def test_kinds_alone_decide_the_resolvers_text(cmsis_nn):
    one, other = (
        tflm(cmsis_nn, small_network(seed=seed, size=size)) for seed, size in ((0, 9), (1, 12))
    )
    assert one["model.h"] != other["model.h"]
    assert (one["resolver.cc"], one["resolver.h"]) == (
        other["resolver.cc"],
        other["resolver.h"],
    )


@given(networks())
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
def test_the_same_model_gives_the_same_text(cmsis_nn, model):
    data = model.build()
    try:
        sources = tflm(cmsis_nn, data)
    except UnsupportedModelError:
        return
    assert sources == tflm(cmsis_nn, data)
    kinds = {f"->{method_of(operator.op)}(" for operator in model.operators}
    assert all(call in sources["resolver.cc"] for call in kinds)


def test_another_name_is_used_throughout(tmp_path, cmsis_nn):
    sources = tflm(cmsis_nn, small_network(), symbol="keyword")
    build(tmp_path, cmsis_nn, sources)

    assert set(sources) == {"keyword.h", "keyword_data.c", "resolver.cc", "resolver.h"}
    assert "model_" not in sources["resolver.h"] + sources["resolver.cc"]


def test_a_name_that_c_does_not_take_is_refused(cmsis_nn):
    with pytest.raises(UsageError, match="'a b': is no name for a C function"):
        tflm(cmsis_nn, small_network(), symbol="a b")
