"""What `hilnas build --engine tflm` leaves for an application of the user's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.engines.tflm.deployment import write_deployment
from harness.engines.tflm.library import Library
from harness.engines.tflm.sources import tflm_sources
from harness.errors import BuildError
from harness.tflite import read_graph
from tests.tflite_factory import small_network

FILES = {
    *("model.h", "model_data.c", "resolver.h", "resolver.cc"),
    *("main.cc", "CMakeLists.txt", "README.md", "SHA256SUMS"),
}


def deploy(library: Library, folder: Path) -> Path:
    model = small_network()
    graph = read_graph(model, where="m")
    sources = tflm_sources(model, graph, library, arena_bytes=4_096)
    write_deployment(sources, graph, library, folder)
    return folder


def test_there_are_the_model_its_resolver_and_an_example(cmsis_nn, tmp_path) -> None:
    folder = deploy(cmsis_nn, tmp_path / "deploy")
    assert {path.name for path in folder.iterdir()} == FILES
    assert "#define MODEL_ARENA_BYTES 4096u" in (folder / "model.h").read_text()
    assert not [text for text in map(Path.read_text, folder.iterdir()) if "@" in text]


def test_the_readme_says_what_was_measured_with_which_library(cmsis_nn, tmp_path) -> None:
    text = (deploy(cmsis_nn, tmp_path) / "README.md").read_text()
    assert cmsis_nn.version in text and "int8" in text


def test_the_users_tree_is_named_by_one_variable_and_compiled_as_the_library_was(
    cmsis_nn, tmp_path
) -> None:
    text = (deploy(cmsis_nn, tmp_path) / "CMakeLists.txt").read_text()
    assert str(cmsis_nn.tree) not in text
    assert set(cmsis_nn.defines) <= set(re.findall(r"\w+", text))
    for path in cmsis_nn.include_dirs[1:]:
        assert f"${{TFLM_DIR}}/{path.relative_to(cmsis_nn.tree)}" in text


def test_a_folder_that_cannot_be_written_is_named(cmsis_nn, tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match="deployment cannot be written"):
        deploy(cmsis_nn, tmp_path / "file")
