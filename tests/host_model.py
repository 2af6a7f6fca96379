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
from harness.oracle import reference_sequence
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
    reset: Any
    invoke: Any

    def run(self, inputs: list[Array]) -> Run:
        return self.run_sequence([inputs])[0]

    def run_sequence(self, sequence: list[list[Array]]) -> list[Run]:
        """Consecutive inferences. Paints the arena with two patterns in turn, as the firmware
        does, and resets what state there is."""
        touched = [0] * len(sequence)
        outputs: list[list[Array]] = []
        layers: list[list[int]] = []
        for pattern in (0xA5, 0x5A):
            memory = np.full(self.plan.arena_bytes + _GUARD + 8, pattern, np.uint8)
            arena = memory[-memory.ctypes.data % 8 :]
            self.reset(arena.ctypes.data)
            outputs.clear()
            layers.clear()
            for position, inputs in enumerate(sequence):
                for index, values in zip(self.graph.inputs, inputs, strict=True):
                    raw = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
                    at = self.plan.offsets[index]
                    arena[at : at + len(raw)] = raw
                seen: list[int] = []
                callback = _ON_LAYER(lambda index, _, seen=seen: seen.append(index))
                assert self.invoke(arena.ctypes.data, callback, None) == 0
                end = 1 + int(np.flatnonzero(arena != pattern)[-1])
                touched[position] = max(touched[position], end)
                outputs.append([self._read(arena, index) for index in self.graph.outputs])
                layers.append(seen)
        return [Run(*each) for each in zip(outputs, touched, layers, strict=True)]

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
    libraries = {}
    for variant in VARIANTS:
        # ld itself: the compiler's driver would take longer than the linking.
        subprocess.run(
            ["ld", "-shared", "-o", f"{variant}.so", "model.o", f"-L{folder}", f"-l{variant}"]
            + [f"-rpath={folder}"],
            check=True,
            cwd=into,
            timeout=60,
        )
        library = ctypes.CDLL(str(into / f"{variant}.so"))
        library.model_reset.argtypes = [ctypes.c_void_p]
        library.model_reset.restype = None
        library.model_invoke.argtypes = [ctypes.c_void_p, _ON_LAYER, ctypes.c_void_p]
        library.model_invoke.restype = ctypes.c_int32
        libraries[variant] = library
    return libraries


def compile_variants(program: Program) -> dict[str, HostModel]:
    """`program` for each variant of the kernels; the libraries live as long as the process."""
    libraries = _compile(program.sources)
    return {
        variant: HostModel(program.graph, program.plan, library.model_reset, library.model_invoke)
        for variant, library in libraries.items()
    }


def check(
    data: bytes,
    seed: int = 0,
    optimise: Optimise = Optimise.SPEED,
    arena_limit_bytes: int | None = None,
) -> Program:
    """What check_program says, of the model compiled."""
    # Refuses what the interpreter would abort on.
    options = CompilerOptions(optimise, arena_limit_bytes)
    program = compile_sources(data, name="generated", options=options)
    check_program(program, seed)
    return program


def check_program(program: Program, seed: int = 0) -> None:
    """Outputs for inputs with many extremes equal the oracle's bit for bit, in exactly
    the planned arena, and every operator is reported; of a model with state several times."""
    graph = program.given
    rng = np.random.default_rng(seed)
    sequence = [
        [_values(rng, graph.tensor(i).shape, graph.tensor(i).dtype) for i in graph.inputs]
        for _ in range(3 if graph.states else 1)
    ]
    models = compile_variants(program)
    expected = reference_sequence(program.model, sequence)
    executed = [program.graph.operator(index).layer for index in program.plan.order]
    for variant, compiled in models.items():
        for time, run in enumerate(compiled.run_sequence(sequence)):
            for position, (got, want) in enumerate(zip(run.outputs, expected[time], strict=True)):
                message = f"{variant}: inference {time}: output {position}"
                np.testing.assert_array_equal(got, want, message)
            assert run.touched_bytes == compiled.plan.arena_bytes
            assert run.layers == executed


def _values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    if dtype == "float32":
        return (rng.standard_normal(shape) * 10.0 ** rng.uniform(-3, 3)).astype(np.float32)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(np.bool_)
    limits = np.iinfo(dtype)
    if rng.integers(4) == 0:
        return rng.choice(np.array([limits.min, limits.max], dtype), shape)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
