"""C programs that test the firmware's parts, and an engine whose every effect is known."""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).parent
FIRMWARE = HERE.parents[1] / "firmware"
ENGINE_DIR = HERE / "engine"

TENSOR_BYTES = 1000  # of the test engine's one input and one output
ARENA_USED_BYTES = 2 * TENSOR_BYTES
ARENA_BYTES = 2400  # more than it uses, so that a mark cannot be right by chance
BIAS = 1


def model_sources(
    *,
    arena_bytes: int = ARENA_BYTES,
    weights_words: int = 4,
    bias: int = BIAS,
    input_count: int = 1,
    reset_code: int = 0,
) -> dict[str, str]:
    """A "generated model" for the test engine: output = reversed(input + bias). One with a
    `reset_code` cannot be set up."""
    words = ", ".join(str(word) for word in [bias] + [0x01020304] * (weights_words - 1))
    return {
        "model.h": "#include <stdint.h>\n"
        f"#define MODEL_TENSOR_BYTES {TENSOR_BYTES}\n"
        f"#define MODEL_ARENA_BYTES {arena_bytes}\n"
        f"#define MODEL_INPUT_COUNT {input_count}\n"
        f"#define MODEL_RESET_CODE {reset_code}\n"
        "uint8_t model_step(uint32_t index, uint8_t value);\n",
        "model.c": '#include "model.h"\n'
        f"static const uint32_t bias[{weights_words}] = {{{words}}};\n"
        "uint8_t model_step(uint32_t index, uint8_t value) {\n"
        # Always bias[0], which the compiler cannot know: the table stays.
        "    return (uint8_t)(value + bias[index / MODEL_TENSOR_BYTES]);\n"
        "}\n",
    }


def compile_program(source: str, firmware_sources: list[str], folder: Path) -> Path:
    """tests/firmware/<source> linked with parts of the firmware, under the sanitizers."""
    program = folder / Path(source).stem
    subprocess.run(
        [
            *("cc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"),
            *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
            *(f"-I{FIRMWARE / part}" for part in ("app", "port", "engine")),
            str(HERE / source),
            *(str(FIRMWARE / name) for name in firmware_sources),
            *("-o", str(program)),
        ],
        check=True,
        timeout=60,
    )
    return program


def run_program(program: Path, data: bytes) -> bytes:
    """What it prints when `data` is its standard input."""
    result = subprocess.run(
        [program],
        input=data,
        capture_output=True,
        timeout=60,
        env={"ASAN_OPTIONS": "detect_leaks=0"},
    )
    assert result.returncode == 0, result.stderr.decode(errors="replace")
    return result.stdout
