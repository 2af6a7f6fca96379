"""What does a tree of upstream's look like from outside? Small ones, made by the real cross
compiler and ar: the headers' shape and the library's symbols without what they do."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp

from harness.engines.tflm.library import ARCHIVE, RESOLVER_HEADER
from harness.tflite.schema import OPERATORS

HARD = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
SOFT = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft")
RELEASE = "cortex_m_generic_cortex-m4+fp_release_gcc"
COMMIT = "0123456789abcdef0123456789abcdef01234567"

# Upstream has none of these.
ABSENT = ("RANGE", "REDUCE_PROD")
# Operators with registrations for one type, as the kernels for CMSIS-NN have them.
SPECIAL = ("ADD_INT8", "ADD_INT16", "CONV_2D_INT8", "CONV_2D_INT16", "SOFTMAX_INT8",
           "SOFTMAX_INT16", "SOFTMAX_INT8_INT16", "SVDF_INT8",
           "UNIDIRECTIONAL_SEQUENCE_LSTM_INT8")  # fmt: skip

_HEADER = """
#pragma once
#include "registration.h"
namespace tflite {{
class MicroOpResolver {{}};
enum BuiltinOperator {{ {codes} }};
{registers}
template <unsigned kinds>
class MicroMutableOpResolver : public MicroOpResolver {{
 public:
{methods}
 private:
  TfLiteStatus AddBuiltin(BuiltinOperator, const TFLMRegistration&) {{ return kTfLiteOk; }}
}};
}}  // namespace tflite
"""
_REGISTRATION = """
enum TfLiteStatus { kTfLiteOk };
struct TFLMRegistration {};
"""


def method_of(op: str) -> str:
    return "Add" + "".join(word.title() for word in op.split("_"))


def write_headers(tree: Path, *, absent: Sequence[str] = ABSENT) -> None:
    """What the resolver's generator reads, in a form that compiles."""
    names = [op for op in OPERATORS.values() if op not in absent]
    methods = (
        f"  TfLiteStatus {method_of(op)}(\n"
        f"      const TFLMRegistration& registration = tflite::Register_{op}()) {{\n"
        f"    return AddBuiltin(BuiltinOperator_{op}, registration);\n  }}"
        if op != "RESIZE_NEAREST_NEIGHBOR"
        else f"  TfLiteStatus {method_of(op)}() {{\n"
        f"    return AddBuiltin(BuiltinOperator_{op},\n      Register_{op}());\n  }}"
        for op in names
    )
    header = tree / RESOLVER_HEADER
    header.parent.mkdir(parents=True)
    header.write_text(
        _HEADER.format(
            codes=", ".join(f"BuiltinOperator_{op}" for op in names),
            registers="\n".join(f"TFLMRegistration Register_{op}();" for op in names),
            methods="\n".join(methods),
        )
    )
    (tree / "registration.h").write_text("#pragma once" + _REGISTRATION)
    kernels = header.parent / "kernels"
    kernels.mkdir()
    for name in SPECIAL:
        (kernels / f"{name.lower()}.h").write_text(
            '#include "registration.h"\n#if defined(CMSIS_NN)\nnamespace tflite {\n'
            f"TFLMRegistration Register_{name}();\n}}\n#endif\n"
        )
    downloads = header.parent / "tools/make/downloads"
    for name in ("flatbuffers/include", "gemmlowp"):
        (downloads / name).mkdir(parents=True)


def library_source(*, cmsis_nn: bool, logs: bool = False, absent: Sequence[str] = ABSENT) -> str:
    """C++ that defines what such a library defines."""
    names = [op for op in OPERATORS.values() if op not in absent]
    names += SPECIAL if cmsis_nn else ()
    parts = [f"TFLMRegistration Register_{name}() {{ return {{}}; }}" for name in names]
    text = _REGISTRATION + "namespace tflite {\n" + "\n".join(parts) + "\n}\n"
    if cmsis_nn:
        text += 'extern "C" int arm_convolve_s8() { return 0; }\n'
    if logs:
        text += "void MicroPrintf(const char*, ...) {}\n"
    return text


@functools.cache
def compiled(source: str, flags: tuple[str, ...], compiler: str = "arm-none-eabi-g++") -> bytes:
    """An object file of `source`."""
    with _folder() as folder:
        (folder / "x.cc").write_text(source)
        command = [compiler, *flags, "-Os", "-c", "x.cc", "-o", "x.o"]
        subprocess.run(command, cwd=folder, check=True, timeout=60)
        return (folder / "x.o").read_bytes()


def archived(
    objects: Mapping[str, bytes], options: str = "rcsD", *, ar: str = "arm-none-eabi-ar"
) -> bytes:
    """An archive of `objects`, name -> contents, as `ar` writes it."""
    with _folder() as folder:
        for name, data in objects.items():
            (folder / name).write_bytes(data)
        command = [ar, options, "x.a", *objects]
        subprocess.run(command, cwd=folder, check=True, timeout=60)
        return (folder / "x.a").read_bytes()


class _folder:
    """A folder that is gone afterwards."""

    def __enter__(self) -> Path:
        self._path = Path(mkdtemp())
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path)


def library_bytes(
    *, cmsis_nn: bool = True, logs: bool = False, flags: tuple[str, ...] = HARD, extra: str = ""
) -> bytes:
    source = library_source(cmsis_nn=cmsis_nn, logs=logs) + extra
    return archived({"kernels.o": compiled(source, flags)})


def put_library(tree: Path, data: bytes, build: str = RELEASE) -> Path:
    """The folder gen/<build> with `data` as its library."""
    folder = tree / "gen" / build
    (folder / ARCHIVE).parent.mkdir(parents=True, exist_ok=True)
    (folder / ARCHIVE).write_bytes(data)
    return folder


def make_tree(root: Path, data: bytes | None = None, build: str = RELEASE) -> Path:
    """A tree with headers, a commit and one library."""
    tree = root / "tflite-micro"
    write_headers(tree)
    (tree / ".git").mkdir()
    (tree / ".git/HEAD").write_text(f"{COMMIT}\n")
    put_library(tree, library_bytes() if data is None else data, build)
    return tree


def undefined_in(path: Path) -> set[str]:
    """Of upstream's functions those that an object calls."""
    command = ["arm-none-eabi-nm", "--undefined-only", str(path)]
    text = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout
    return {line.split()[-1] for line in text.splitlines() if "tflite" in line}
