"""A generated model as a shared library on this machine: its outputs, the layers it reported, and
how much of its arena it touched."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.compiler import Program, compile_sources
from harness.options import CompilerOptions, Optimise
from harness.oracle import reference_outputs
from harness.planner import ArenaPlan
from harness.tflite import Graph

KERNELS = Path(__file__).resolve().parents[1] / "firmware" / "kernels"
VARIANTS = {"reference": [], "dsp": ["-DHILNAS_EMULATE_DSP"]}
_FLAGS = ["-std=c11", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{KERNELS}"]
_GUARD = 16

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Run:
    outputs: list[Array]
    touched_bytes: int
    layers: list[int]


@dataclass(frozen=True)
class HostModel:
    graph: Graph
    plan: ArenaPlan
    invoke: Any

    def run(self, inputs: list[Array]) -> Run:
        """Paints the arena with two patterns in turn, as the firmware does."""
        touched = 0
        outputs: list[Array] = []
        layers: list[int] = []
        for pattern in (0xA5, 0x5A):
            memory = np.full(self.plan.arena_bytes + _GUARD + 8, pattern, np.uint8)
            arena = memory[-memory.ctypes.data % 8 :]
            for index, values in zip(self.graph.inputs, inputs, strict=True):
                raw = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
                at = self.plan.offsets[index]
                arena[at : at + len(raw)] = raw
            layers.clear()
            callback = _ON_LAYER(lambda index, _: layers.append(index))
            assert self.invoke(arena.ctypes.data, callback, None) == 0
            touched = max(touched, 1 + int(np.flatnonzero(arena != pattern)[-1]))
            outputs = [self._read(arena, index) for index in self.graph.outputs]
        return Run(outputs, touched, list(layers))

    def _read(self, arena: Array, index: int) -> Array:
        tensor, at = self.graph.tensor(index), self.plan.offsets[index]
        raw = arena[at : at + tensor.bytes].tobytes()
        return np.frombuffer(raw, tensor.dtype).reshape(tensor.shape)


_ON_LAYER = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_void_p)


@functools.cache
def _workshop() -> tempfile.TemporaryDirectory[str]:
    """A folder with the kernels of each variant as a library lib<variant>.so."""
    folder = tempfile.TemporaryDirectory(prefix="hilnas-kernels-")
    # Overflow and out-of-bounds accesses of the kernels themselves end the test.
    checks = ["-fsanitize=undefined", "-fno-sanitize-recover=undefined"]
    sources = [str(path) for path in sorted(KERNELS.glob("*.c"))]
    for variant, defines in VARIANTS.items():
        subprocess.run(
            ["gcc", "-O1", "-shared", *_FLAGS, *checks, *defines, *sources]
            + ["-o", f"lib{variant}.so"],
            check=True,
            cwd=folder.name,
            timeout=120,
        )
    return folder


_compiled = 0


def _compile(sources: dict[str, str]) -> dict[str, Any]:
    global _compiled
    _compiled += 1
    folder = _workshop().name
    into = Path(folder) / f"model_{_compiled}"
    into.mkdir()
    for name, text in sources.items():
        (into / name).write_text(text)
    subprocess.run(["gcc", "-O0", *_FLAGS, "-c", "model.c"], check=True, cwd=into, timeout=60)
    functions = {}
    for variant in VARIANTS:
        # ld itself: the compiler's driver would take longer than the linking.
        subprocess.run(
            ["ld", "-shared", "-o", f"{variant}.so", "model.o", f"-L{folder}", f"-l{variant}"]
            + [f"-rpath={folder}"],
            check=True,
            cwd=into,
            timeout=60,
        )
        function = ctypes.CDLL(str(into / f"{variant}.so")).model_invoke
        function.argtypes = [ctypes.c_void_p, _ON_LAYER, ctypes.c_void_p]
        function.restype = ctypes.c_int32
        functions[variant] = function
    return functions


def compile_variants(program: Program) -> dict[str, HostModel]:
    """`program` for each variant of the kernels; the libraries live as long as the process."""
    functions = _compile(program.sources)
    return {
        variant: HostModel(program.graph, program.plan, function)
        for variant, function in functions.items()
    }


def check(data: bytes, seed: int = 0, optimise: Optimise = Optimise.SPEED) -> None:
    """Outputs for inputs with many extremes equal the oracle's bit for bit, in exactly
    the planned arena, and every layer is reported once."""
    # Refuses what the interpreter would abort on.
    program = compile_sources(data, name="generated", options=CompilerOptions(optimise))
    graph = program.given
    rng = np.random.default_rng(seed)
    inputs = [_values(rng, graph.tensor(index).shape, graph.tensor(index).dtype)
              for index in graph.inputs]  # fmt: skip
    models = compile_variants(program)
    expected = reference_outputs(data, inputs)
    for variant, compiled in models.items():
        run = compiled.run(inputs)
        for position, (got, want) in enumerate(zip(run.outputs, expected, strict=True)):
            np.testing.assert_array_equal(got, want, f"{variant}: output {position}")
        assert run.touched_bytes == compiled.plan.arena_bytes
        assert run.layers == list(compiled.plan.order)


def _values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    if dtype == "float32":
        return (rng.standard_normal(shape) * 10.0 ** rng.uniform(-3, 3)).astype(np.float32)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(np.bool_)
    limits = np.iinfo(dtype)
    if rng.integers(4) == 0:
        return rng.choice(np.array([limits.min, limits.max], dtype), shape)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
