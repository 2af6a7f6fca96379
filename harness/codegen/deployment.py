"""How does a model leave hilnas? As a folder of plain C11 that compiles on its own."""

from __future__ import annotations

import re
from pathlib import Path

from harness.codegen.model import generate
from harness.errors import BuildError, UsageError
from harness.planner import ArenaPlan
from harness.tflite import Graph

KERNELS_DIR = Path(__file__).resolve().parents[2] / "firmware" / "kernels"


def write_deployment(graph: Graph, plan: ArenaPlan, out_dir: Path, *, name: str = "model") -> None:
    """Write <name>.h, <name>.c, the kernels they need, main.c, CMakeLists.txt and README.md into
    `out_dir`, which is created; files of the same names are replaced.

    Raises:
        BuildError: the folder cannot be written.
        UsageError: `name` is no C identifier, or taken by a kernel.
        UnsupportedModelError: see generate.
    """
    files = generate(graph, plan, name=name)
    if name == "main" or any(path.stem == name for path in KERNELS_DIR.iterdir()):
        raise UsageError(
            "names another file of the deployment", where=repr(name), hint="choose another name"
        )
    kernels = needed_kernels(files[f"{name}.c"])
    sources = sorted(path.name for path in kernels if path.suffix == ".c")
    values = {
        "name": name,
        "upper": name.upper(),
        "sha256": graph.sha256,
        "arena": plan.arena_bytes,
        "macs": graph.total_macs,
        "sources": "\n".join(f"    {source}" for source in sources),
        "inputs": _describe(graph, graph.inputs),
        "outputs": _describe(graph, graph.outputs),
    }
    for path in kernels:
        files[path.name] = path.read_text()
    files["main.c"] = _fill(_MAIN, values)
    files["CMakeLists.txt"] = _fill(_CMAKE, values)
    files["README.md"] = _fill(_README, values)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        for file_name, text in files.items():
            (out_dir / file_name).write_text(text)
    except OSError as error:
        raise BuildError(
            f"deployment cannot be written: {error.strerror}",
            where=out_dir,
            hint="choose a folder that is writable",
        ) from None


def needed_kernels(source: str) -> list[Path]:
    """The kernel files that `source` reaches: a file is needed where a function of its name is
    called, or where a needed file includes or calls it."""
    known = {path.stem: path for path in KERNELS_DIR.glob("*.c")}
    found: dict[str, Path] = {}
    waiting = [source]
    while waiting:
        text = waiting.pop()
        names = {f"{stem}.c" for stem in re.findall(r"\b(\w+_s8|\w+_f32)\(", text)}
        names |= {f"{stem}_dsp.c" for stem in re.findall(r"\b(\w+_s8)\(", text)}
        names = {file for file in names if file.removesuffix(".c") in known}
        names |= set(re.findall(r'#include "(\w+\.h)"', text))
        for file in sorted(names - set(found)):
            path = KERNELS_DIR / file
            if path.is_file():
                found[file] = path
                # A header declares kernels without needing them.
                text = path.read_text()
                waiting.append(text if path.suffix == ".c" else _includes(text))
    return sorted(found.values())


def _includes(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.startswith("#include"))


def _describe(graph: Graph, indices: tuple[int, ...]) -> str:
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


def _fill(template: str, values: dict[str, object]) -> str:
    return re.sub(r"@(\w+)@", lambda match: str(values[match[1]]), template)


_MAIN = """\
/* Runs the model once on zeros and prints the outputs' bytes. */
#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>

#include "@name@.h"

static alignas(8) uint8_t arena[@upper@_ARENA_BYTES];

int main(void) {
    static const uint32_t offsets[] = @upper@_OUTPUT_OFFSETS;
    static const uint32_t sizes[] = @upper@_OUTPUT_BYTES;

    /* Fill the inputs: arena + @upper@_INPUT_OFFSETS[i], @upper@_INPUT_BYTES[i] bytes each. */
    if (@name@_invoke(arena, NULL, NULL) != 0) {
        return 1;
    }
    for (uint32_t i = 0; i < @upper@_OUTPUT_COUNT; i++) {
        for (uint32_t j = 0; j < sizes[i]; j++) {
            printf("%d ", (int8_t)arena[offsets[i] + j]);
        }
        printf("\\n");
    }
    return 0;
}
"""

_CMAKE = """\
cmake_minimum_required(VERSION 3.16)
project(@name@ C)

add_library(@name@ STATIC
    @name@.c
@sources@)
target_include_directories(@name@ PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_features(@name@ PUBLIC c_std_11)
target_compile_options(@name@ PRIVATE -O3)

add_executable(@name@_example main.c)
target_link_libraries(@name@_example PRIVATE @name@)
"""

_README = """\
# @name@

A neural network as plain C11, generated by hilnas from the .tflite with sha256
`@sha256@`.
No heap, no libm, no writable globals: everything an inference writes lies in an arena of
**@arena@ bytes** that you give it (4-byte aligned). @macs@ multiply-accumulates.

```c
#include "@name@.h"

static _Alignas(8) uint8_t arena[@upper@_ARENA_BYTES];
static const uint32_t inputs[] = @upper@_INPUT_OFFSETS, outputs[] = @upper@_OUTPUT_OFFSETS;

/* write the input to arena + inputs[0] */
@name@_invoke(arena, NULL, NULL);
/* read the output from arena + outputs[0] */
```

Inputs are overwritten during an inference: write them anew before each.

Inputs
@inputs@

Outputs
@outputs@

`cmake -B build && cmake --build build` compiles the library and an example; or compile `*.c`
yourself. For a Cortex-M4: `-O3 -mcpu=cortex-m4 -mthumb`; DSP instructions are used where the
core has them, and the results are the same bit for bit.
"""
