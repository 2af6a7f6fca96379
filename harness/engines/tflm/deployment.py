"""How does a model leave hilnas for TFLite Micro? As sources to be compiled with the user's own
tree: the model, its resolver and an example. Nothing of the library itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.deployment import describe_tensors, fill_in, write_files
from harness.engines.tflm.library import Library
from harness.tflite import Graph


def write_deployment(
    sources: Mapping[str, str], graph: Graph, library: Library, out_dir: Path
) -> None:
    """Write `sources` (harness.engines.tflm.sources, of the symbol "model"), main.cc,
    CMakeLists.txt and README.md into `out_dir`, which is created; files of the same names are
    replaced.

    Raises:
        BuildError: the folder cannot be written.
    """
    tree_dirs = [path.relative_to(library.tree) for path in library.include_dirs]
    values = {
        "sha256": graph.sha256,
        "macs": f"{graph.total_macs:,}",
        "version": library.version,
        "defines": "\n".join(f"    {name}" for name in library.defines),
        "includes": "\n".join(f"    ${{TFLM_DIR}}/{path.as_posix()}" for path in tree_dirs),
        "archive": library.archive.relative_to(library.tree).as_posix(),
        "inputs": describe_tensors(graph, graph.inputs),
        "outputs": describe_tensors(graph, graph.outputs),
    }
    templates = {name: fill_in(text, values) for name, text in _TEMPLATES.items()}
    write_files(out_dir, {**sources, **templates})


_MAIN = """\
/* Sets the model up and runs it once, with zeros for its inputs. */
#include <string.h>

#include "model.h"
#include "resolver.h"
#include "tensorflow/lite/micro/micro_interpreter.h"

alignas(16) static uint8_t arena[MODEL_ARENA_BYTES];

int main() {
    const tflite::MicroOpResolver *resolver = model_resolver();
    if (resolver == nullptr) {
        return 1;
    }
    tflite::MicroInterpreter interpreter(tflite::GetModel(model_data), *resolver, arena,
                                         MODEL_ARENA_BYTES);
    if (interpreter.AllocateTensors() != kTfLiteOk) {
        return 2;
    }
    for (size_t i = 0; i < MODEL_INPUT_COUNT; i++) {
        memset(interpreter.input(i)->data.raw, 0, interpreter.input(i)->bytes);
    }
    if (interpreter.Invoke() != kTfLiteOk) {
        return 3;
    }
    /* interpreter.output(i)->data holds the outputs until the next Invoke(). */
    return 0;
}
"""

_CMAKE = """\
# TFLM_DIR: upstream's tree, in which the library was built.
cmake_minimum_required(VERSION 3.16)
project(model C CXX)

set(TFLM_DIR "" CACHE PATH "the tree of TFLite Micro")
set(TFLM_LIBRARY ${TFLM_DIR}/@archive@ CACHE FILEPATH "its library")

add_library(model STATIC model_data.c resolver.cc)
target_include_directories(model PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_include_directories(model SYSTEM PUBLIC
@includes@)
# What the library was built with decides what its headers declare.
target_compile_definitions(model PUBLIC
@defines@)
target_compile_features(model PUBLIC cxx_std_17)
target_compile_options(model PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti>)
target_link_libraries(model PUBLIC ${TFLM_LIBRARY})

# A firmware of your own links the same; start-up code and linker script are yours.
add_executable(model_example EXCLUDE_FROM_ALL main.cc)
target_link_libraries(model_example PRIVATE model)
"""

_README = """\
# model

A neural network for TFLite Micro, written by hilnas from the .tflite with sha256
`@sha256@`: the file as constants (`model_data.c`), a resolver that registers only the
operators it has, in their smallest form (`resolver.cc`), and the size of its arena, proved by
running it in one of exactly that size (`MODEL_ARENA_BYTES` of `model.h`). @macs@
multiply-accumulates. Measured with

    @version@

With other commits, kernels or build types of the library, arena and registrations may be others:
build this folder again then.

`main.cc` shows the calls. Compile `model_data.c` and `resolver.cc` into your firmware with your
tree of TFLite Micro, whose headers and library this folder does not contain:

    cmake -B build -DCMAKE_TOOLCHAIN_FILE=... -DTFLM_DIR=/path/to/tflite-micro
    cmake --build build

The toolchain file is yours and compiles for the core as the library was compiled: for a Cortex-M4
with an FPU `-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16`.

Inputs are overwritten during an inference: write them anew before each.

Inputs
@inputs@

Outputs
@outputs@
"""

_TEMPLATES = {"main.cc": _MAIN, "CMakeLists.txt": _CMAKE, "README.md": _README}
