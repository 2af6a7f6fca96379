"""What `hilnas build` leaves compiles and runs on its own: here, and on a virtual board that knows
nothing of hilnas's firmware."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from harness.compiler import Program, compile_sources
from harness.deployment import write_deployment
from harness.errors import BuildError, UsageError
from harness.options import CompilerOptions, Optimise
from harness.oracle import reference_outputs
from harness.workspace import tool
from tests.deployed import ARM, STRICT, code, run_on_a_cortex_m4
from tests.tflite_factory import ModelFactory, fully_connected_model, small_network


def compiled(data: bytes, optimise: Optimise = Optimise.SPEED) -> Program:
    return compile_sources(data, name="net", options=CompilerOptions(optimise))


def run_on_host(folder: Path, *flags: str) -> str:
    command = ["gcc", *STRICT, *flags, "-o", "example", *code(folder)]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    run = subprocess.run(
        ["./example"], cwd=folder, check=True, timeout=60, capture_output=True, text=True
    )
    return run.stdout


def expected_of_small_network(data: bytes) -> list[int]:
    zero = compiled(data).given.tensor(0).q.zero_point
    (expected,) = reference_outputs(data, [np.full((1, 9, 9, 3), zero, np.int8)])
    return [int(value) for value in expected.ravel()]


@pytest.mark.parametrize("optimise", Optimise)
def test_it_compiles_and_runs_on_its_own(tmp_path: Path, optimise: Optimise) -> None:
    data = small_network()

    write_deployment(compiled(data, optimise), tmp_path / "deploy", name="classifier")

    printed = run_on_host(tmp_path / "deploy")
    assert [int(value) for value in printed.split()] == expected_of_small_network(data)


@pytest.mark.parametrize("optimise", Optimise)
def test_it_runs_on_a_cortex_m4(tmp_path: Path, optimise: Optimise) -> None:
    data = small_network()
    write_deployment(compiled(data, optimise), tmp_path)

    printed = run_on_a_cortex_m4(tmp_path, "-O2")

    assert printed == expected_of_small_network(data)


def test_it_compiles_for_arm_without_optimisation_and_its_header_as_cpp(tmp_path: Path) -> None:
    """The instructions' operands must not depend on the optimiser."""
    write_deployment(compiled(small_network()), tmp_path)
    (tmp_path / "all.cpp").write_text('#include "model.h"\n')

    for command in (
        [*ARM, *STRICT, "-O0", "-c", *code(tmp_path)],
        ["g++", "-std=c++17", *STRICT[1:], "-c", "all.cpp"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)


def test_an_application_sees_one_header(tmp_path: Path) -> None:
    write_deployment(compiled(small_network()), tmp_path)

    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["CMakeLists.txt", "README.md", "SHA256SUMS", "main.c", "model.h", "src"]
    assert re.findall(r'#include "(.*)"', (tmp_path / "main.c").read_text()) == ["model.h"]


def test_it_holds_the_kernels_it_needs_and_no_others(tmp_path: Path) -> None:
    write_deployment(compiled(fully_connected_model()), tmp_path)

    names = {path.name for path in (tmp_path / "src").iterdir()}
    assert {"model.c", "fully_connected_s8.c", "kernels.h"} < names
    assert not any(re.search("conv|softmax", name) and name.endswith(".c") for name in names)
    listed = re.findall(r"\w+\.c", (tmp_path / "CMakeLists.txt").read_text())
    assert set(listed) == {"main.c", *(name for name in names if name.endswith(".c"))}


def test_another_model_in_the_same_folder_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    again, alone = tmp_path / "again", tmp_path / "alone"
    write_deployment(compiled(small_network()), again, name="first")
    write_deployment(compiled(fully_connected_model()), again)
    write_deployment(compiled(fully_connected_model()), alone)

    left = {path.relative_to(again): path.read_bytes() for path in again.rglob("*.*")}
    assert left == {path.relative_to(alone): path.read_bytes() for path in alone.rglob("*.*")}
    assert run_on_host(again)


def test_what_is_not_as_it_was_written_is_not_deleted(tmp_path: Path) -> None:
    folder, outside = tmp_path / "deploy", tmp_path / "outside.c"
    write_deployment(compiled(small_network()), folder, name="first")
    outside.write_text("")
    changed, own, link = (folder / "src" / name for name in ("softmax_s8.c", "own.c", "first.c"))
    changed.write_text("/* mine */\n")
    own.write_text("")
    link.rename(tmp_path / "moved.c")
    link.symlink_to(tmp_path / "moved.c")
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{hashlib.sha256(b'').hexdigest()}  ../outside.c\n")
        sums.write(f"{hashlib.sha256(b'').hexdigest()}  {outside}\nno sum at all\n")

    write_deployment(compiled(fully_connected_model()), folder)

    assert all(path.exists() for path in (changed, own, link, outside))
    assert not (folder / "first.h").exists()


def test_its_files_can_be_checked(tmp_path: Path) -> None:
    write_deployment(compiled(small_network()), tmp_path)

    checked = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"],
        cwd=tmp_path,
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert checked.stdout.count(": OK\n") == len(files) - 1


def test_it_builds_with_cmake(tmp_path: Path) -> None:
    write_deployment(compiled(fully_connected_model()), tmp_path)

    cmake = str(tool("cmake"))
    for command in ([cmake, "-B", "build"], [cmake, "--build", "build"]):
        subprocess.run(command, cwd=tmp_path, check=True, timeout=120, capture_output=True)

    assert subprocess.run([tmp_path / "build" / "model_example"], timeout=60).returncode == 0


def test_it_says_how_to_read_its_tensors(tmp_path: Path) -> None:
    program = compiled(fully_connected_model())
    write_deployment(program, tmp_path)

    text, header = (tmp_path / "README.md").read_text(), (tmp_path / "model.h").read_text()

    assert "- 0: int8 1x12, 12 bytes, real = 0.5 * (value - 3)" in text
    assert f"**{program.plan.arena_bytes} bytes**" in text
    assert "#define MODEL_INPUT_0_SCALE 5.000000000e-01f\n" in header
    assert "#define MODEL_INPUT_0_ZERO_POINT (3)\n" in header


def test_floats_are_read_as_floats(tmp_path: Path) -> None:
    model = ModelFactory()
    source = model.input((4,), dtype="float32")
    quantised = model.tensor((4,), scale=0.5, zero_point=7)
    model.outputs = [model.tensor((4,), dtype="float32")]
    model.operator("QUANTIZE", [source], [quantised])
    model.operator("DEQUANTIZE", [quantised], model.outputs)

    write_deployment(compiled(model.build()), tmp_path)

    assert run_on_host(tmp_path).split() == ["0", "0", "0", "0"]


def test_a_bool_is_a_byte(tmp_path: Path) -> None:
    model = ModelFactory()
    source = model.input((3,), dtype="bool")
    model.outputs = [model.tensor((3,), dtype="int16")]
    model.operator("CAST", [source], model.outputs)

    write_deployment(compiled(model.build()), tmp_path)

    assert run_on_host(tmp_path).split() == ["0", "0", "0"]


def test_into_a_file_fails_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")

    with pytest.raises(BuildError, match="taken: deployment cannot be written: .*choose a folder"):
        write_deployment(compiled(fully_connected_model()), tmp_path / "taken")


def test_it_is_not_named_like_a_kernel(tmp_path: Path) -> None:
    for name in ("kernels", "main", "matmul_s8"):
        with pytest.raises(UsageError, match="names another file of the deployment"):
            write_deployment(compiled(fully_connected_model()), tmp_path, name=name)
