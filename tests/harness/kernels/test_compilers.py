"""Kernels that are written as instructions compile however an application is compiled, and answer
the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from harness.compiler import compile_sources
from harness.deployment import write_deployment
from harness.kernel_files import needed_kernels
from harness.oracle import reference_outputs
from tests.deployed import ARM, run_on_a_cortex_m4
from tests.harness.kernels.windows import Windows, add_convolution
from tests.host_model import KERNELS
from tests.tflite_factory import NONE, SAME, ModelFactory

FRAME = "-fno-omit-frame-pointer"  # takes a register: what compiles with it compiles without
LEVELS = ["-O0", "-Og", "-O1", "-Os", "-O3", "-O2 -fPIC"]


def _compile(sources: list[Path], folder: Path, *flags: str) -> None:
    assert sources
    subprocess.run(
        [*ARM, "-std=c11", "-Wall", "-Wextra", "-Werror", *flags, "-c", *sources],
        check=True,
        cwd=folder,
        timeout=60,
    )


@pytest.mark.parametrize("level", LEVELS)
def test_instructions_find_their_registers(level: str, tmp_path: Path) -> None:
    written = [path for path in KERNELS.glob("*.c") if "__asm__" in path.read_text()]

    _compile(written, tmp_path, *level.split(), FRAME)


def test_every_kernel_with_instructions_leaves_a_register_for_the_frame(tmp_path: Path) -> None:
    """Those of headers, too."""
    reached = [path for path in KERNELS.glob("*.c") if _has_instructions(path)]

    _compile(reached, tmp_path, "-O2", FRAME)


def _has_instructions(kernel: Path) -> bool:
    reached = needed_kernels(f'#include "{kernel.name}"')
    return any("__asm__" in path.read_text() for path in (kernel, *reached))


def depthwise_chain() -> bytes:
    """Every loop of depthwise convolutions, with odd and even numbers of rows and columns."""
    model, rng, depth = ModelFactory(), np.random.default_rng(3), 6
    source = model.input((1, 14, 15, depth), scale=0.1, zero_point=-5)
    for size, kernel, stride in (
        ((14, 15), 3, 1),
        ((14, 15), 5, 1),
        ((14, 15), 3, 2),
        ((7, 8), 5, 2),
        ((4, 4), 3, 1),
    ):
        operands = [
            model.constant(
                rng.integers(-127, 128, (1, kernel, kernel, depth), dtype=np.int8),
                scale=rng.uniform(0.002, 0.01, depth).tolist(),
                axis=3,
            ),
            model.constant(rng.integers(-900, 900, depth, dtype=np.int32), scale=0.001),
        ]
        windows = Windows(size, (kernel, kernel), (stride, stride), padding=SAME)
        add_convolution(
            model,
            "DEPTHWISE_CONV_2D",
            windows,
            [source, *operands],
            depth,
            {"scale": 0.1, "zero_point": -5},
            multiplier=1,
            activation=NONE,
        )
        (source,) = model.outputs[-1:]
    model.outputs = [source]
    return model.build()


@pytest.mark.parametrize("level", ["-O3", "-Os"])
def test_a_register_for_the_frame_changes_no_result(level: str, tmp_path: Path) -> None:
    data = depthwise_chain()
    program = compile_sources(data, name="net")
    write_deployment(program, tmp_path)
    main = tmp_path / "main.c"
    text = main.read_text()
    assert "[i] = -5;" in text
    main.write_text(text.replace("[i] = -5;", "[i] = (int8_t)(37 * i);"))
    values = 37 * np.arange(14 * 15 * 6)
    (expected,) = reference_outputs(data, [values.astype(np.int8).reshape(1, 14, 15, 6)])

    printed = run_on_a_cortex_m4(tmp_path, level, FRAME)

    assert printed == expected.ravel().tolist()
    assert len(set(printed)) > 20
