"""How does a model leave hilnas? As a folder of plain C11 that compiles on its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from harness.codegen import generate
from harness.compiler import Program
from harness.errors import BuildError, UsageError
from harness.kernel_files import KERNELS_DIR, needed_kernels
from harness.options import Optimise
from harness.tflite import Graph


def write_deployment(program: Program, out_dir: Path, *, name: str = "model") -> None:
    """Write <name>.h, main.c, CMakeLists.txt, README.md, src/ with the model and the kernels it
    needs, and SHA256SUMS of all of them into `out_dir`, which is created. Files of the same names
    are replaced. What else an earlier deployment left is deleted, if nobody has changed it: src/
    is compiled as a whole.

    Raises:
        BuildError: the folder cannot be written.
        UsageError: `name` is no C identifier, or taken by a kernel.
        UnsupportedModelError: see generate.
    """
    if name == "main" or any(path.stem == name for path in KERNELS_DIR.iterdir()):
        raise UsageError(
            "names another file of the deployment", where=repr(name), hint="choose another name"
        )
    generated = generate(program.graph, program.plan, name=name)
    model = generated[f"{name}.c"].replace(f'"{name}.h"', f'"../{name}.h"')
    kernels = {path.name: path.read_text() for path in needed_kernels(model)}
    sources = {f"src/{file}": text for file, text in {f"{name}.c": model, **kernels}.items()}
    graph = program.graph
    values = {
        "name": name,
        "upper": name.upper(),
        "sha256": program.given.sha256,
        "arena": program.plan.arena_bytes,
        "reset": _STATEFUL if graph.states else _STATELESS,
        "macs": program.given.total_macs,
        "level": "-Os" if program.plan.optimise is Optimise.SIZE else "-O3",
        "sources": "\n".join(f"    {path}" for path in sorted(sources) if path.endswith(".c")),
        "inputs": describe_tensors(graph, graph.inputs),
        "outputs": describe_tensors(graph, graph.outputs),
        "fill": "\n".join(
            fill_in(_FILL, v) for v in _tensors(graph, graph.inputs, f"{name}_INPUT")
        ),
        "print": "\n".join(
            fill_in(_PRINT, v) for v in _tensors(graph, graph.outputs, f"{name}_OUTPUT")
        ),
    }
    files = {
        **sources,
        f"{name}.h": generated[f"{name}.h"],
        "main.c": fill_in(_MAIN, values),
        "CMakeLists.txt": fill_in(_CMAKE, values),
        "README.md": fill_in(_README, values),
    }
    write_files(out_dir, files)


def write_files(out_dir: Path, files: Mapping[str, str]) -> None:
    """Texts by their paths in `out_dir`, which is created. What an earlier call left there and
    nobody has changed since is deleted.

    Raises:
        BuildError: the folder cannot be written.
    """
    sums = {name: _digest(text.encode()) for name, text in files.items()}
    listed = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        for stale in _left_in(out_dir) - {out_dir / name for name in (*files, _SUMS)}:
            stale.unlink()
        for name, text in {**files, _SUMS: listed}.items():
            path = out_dir / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    except OSError as error:
        raise BuildError(
            f"deployment cannot be written: {error.strerror}",
            where=out_dir,
            hint="choose a folder that is writable",
        ) from None


def _left_in(folder: Path) -> set[Path]:
    """What an earlier deployment wrote into `folder` and is as it was then. Its list is no more
    trusted than any other file: it names files of a deployment and nothing outside."""
    sums = folder / _SUMS
    if not sums.is_file():
        return set()
    listed = re.findall(
        r"^([0-9a-f]{64})  ((?:src/)?\w[\w.]*)$", sums.read_text(errors="replace"), re.M
    )
    return {
        path
        for digest, name in listed
        if (path := folder / name).is_file()
        and not path.is_symlink()
        and _digest(path.read_bytes()) == digest
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _tensors(graph: Graph, indices: tuple[int, ...], prefix: str) -> list[dict[str, object]]:
    """What the example's loops need to know of each."""
    tensors = []
    for position, index in enumerate(indices):
        tensor = graph.tensor(index)
        zero = 0 if tensor.quantisation is None else tensor.q.zero_point
        tensors.append(
            {
                "tensor": f"{prefix.upper()}_{position}",
                "zero": zero,
                "format": "%g" if tensor.dtype.startswith("float") else "%ld",
                "value": "" if tensor.dtype.startswith("float") else "(long)",
            }
        )
    return tensors


def describe_tensors(graph: Graph, indices: tuple[int, ...]) -> str:
    """A line of Markdown for each: type, shape, quantisation."""
    lines = []
    for position, index in enumerate(indices):
        tensor = graph.tensor(index)
        shape = "x".join(str(size) for size in tensor.shape) or "scalar"
        line = f"- {position}: {tensor.dtype} {shape}, {tensor.bytes} bytes"
        if tensor.quantisation is not None:
            q = tensor.quantisation
            line += f", real = {q.scale:.9g} * (value - {q.zero_point})"
        lines.append(line)
    return "\n".join(lines)


def fill_in(template: str, values: Mapping[str, object]) -> str:
    """`template` with `values` in the place of each @name@."""
    return re.sub(r"@(\w+)@", lambda match: str(values[match[1]]), template)


_SUMS = "SHA256SUMS"  # as sha256sum writes and checks it
_STATEFUL = "once, and wherever a new sequence begins"
_STATELESS = "does nothing: this model has no state"

_MAIN = """\
/* Runs the model once on inputs that stand for 0.0 and prints the outputs' values. */
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>

#include "@name@.h"

static alignas(8) uint8_t arena[@upper@_ARENA_BYTES];

int main(void) {
    @name@_reset(arena);
@fill@

    if (@name@_invoke(arena, NULL, NULL) != 0) {
        return 1;
    }
@print@
    return 0;
}
"""

_FILL = """\
    for (size_t i = 0; i < @tensor@_COUNT; i++) {
        @tensor@(arena)[i] = @zero@;
    }"""

_PRINT = """\
    for (size_t i = 0; i < @tensor@_COUNT; i++) {
        printf("@format@ ", @value@@tensor@(arena)[i]);
    }
    printf("\\n");"""

_CMAKE = """\
cmake_minimum_required(VERSION 3.16)
project(@name@ C)

add_library(@name@ STATIC
@sources@)
target_include_directories(@name@ PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_features(@name@ PUBLIC c_std_11)
target_compile_options(@name@ PRIVATE @level@)

add_executable(@name@_example main.c)
target_link_libraries(@name@_example PRIVATE @name@)
"""

_README = """\
# @name@

A neural network as plain C11, generated by hilnas from the .tflite with sha256
`@sha256@`.
No heap, no libm, no writable globals: everything an inference writes lies in an arena of
**@arena@ bytes** that you give it (4-byte aligned). @macs@ multiply-accumulates.

`@name@.h` is all that an application includes:

```c
#include "@name@.h"

static _Alignas(8) uint8_t arena[@upper@_ARENA_BYTES];

@name@_reset(arena); /* @reset@ */

/* fill @upper@_INPUT_0(arena)[0 .. @upper@_INPUT_0_COUNT - 1] */
@name@_invoke(arena, NULL, NULL);
/* read @upper@_OUTPUT_0(arena)[0 .. @upper@_OUTPUT_0_COUNT - 1] */
```

Inputs are overwritten during an inference: write them anew before each.

Inputs
@inputs@

Outputs
@outputs@

`cc @level@ main.c src/*.c` compiles the example, `cmake -B build && cmake --build build` the
library and the example. For a Cortex-M4: `@level@ -mcpu=cortex-m4 -mthumb`; DSP instructions are
used where the core has them, and the results are the same bit for bit.

`SHA256SUMS` lists these files. The next model that is built into this folder replaces them, and
what it does not need is deleted; files that you have changed or added in `src/` stay.
"""
