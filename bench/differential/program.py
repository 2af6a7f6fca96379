"""How does C become a program that every executor runs, and that stops by itself? Linked with
runner.S; .data lies in the SRAM image, so that nothing needs to be copied at start."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from elftools.elf.elffile import ELFFile

from bench.differential.image import CODE, FLASH, HEADER_BYTES, RUNNER, SRAM, Image
from harness.compiler import compile_sources
from harness.deployment import write_deployment

WORKLOADS = Path(__file__).parents[1] / "workloads"
DEADLINE_S = 120
FLAGS = [
    *("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-std=gnu11"),
    *("-nostartfiles", "--specs=nosys.specs", "-Wl,--no-warn-rwx-segments", "-Wl,--build-id=none"),
    *("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-Wl,--no-warnings"),
]
SCRIPT = f"""
ENTRY(reset)
SECTIONS {{
  .text {FLASH:#x} : {{ KEEP(*(.vectors)) }}
  .code {CODE:#x} : {{
    *(.text*) *(.rodata*) . = ALIGN(8); *(.ARM.exidx*)
  }}
  . = {SRAM + HEADER_BYTES:#x};
  .data : {{ *(.data*) . = ALIGN(8); }}
  .bss : {{ *(.bss*) *(COMMON) . = ALIGN(8); }}
  end = .;
}}"""


def build_program(sources: Sequence[Path], elf: Path, *flags: str) -> Image:
    """`void program(uint32_t rounds)` of `sources`, as an ELF and as what executors take.

    Raises:
        subprocess.CalledProcessError: the compiler refuses.
    """
    script = elf.with_suffix(".ld")
    script.write_text(SCRIPT)
    subprocess.run(
        ["arm-none-eabi-gcc", *FLAGS, *flags, "-Wl,-uprogram", "-T", script, RUNNER]
        + [*sources, "-o", elf, "-lm"],
        check=True,
        timeout=DEADLINE_S,
    )
    with elf.open("rb") as file:
        image = ELFFile(file)
        symbols = image.get_section_by_name(".symtab")
        program, end = (
            symbols.get_symbol_by_name(name)[0]["st_value"] for name in ("program", "end")
        )
        segments = [
            (segment["p_vaddr"], segment.data())
            for segment in image.iter_segments()
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]
        ]
    flash = bytearray()
    sram = bytearray(end - SRAM)
    for address, data in segments:
        memory, base = (sram, SRAM) if address >= SRAM else (flash, FLASH)
        memory.extend(bytes(max(0, address - base + len(data) - len(memory))))
        memory[address - base : address - base + len(data)] = data
    struct.pack_into("<II", sram, 24, program | 1, 1)
    return Image(bytes(flash), bytes(sram))


def build_network(model: bytes, name: str, folder: Path, level: str) -> tuple[Image, Path]:
    """The inferences of a `.tflite`, by the library that `hilnas build` hands out; and its ELF."""
    sources = folder / f"{name}{level}"
    write_deployment(compile_sources(model, name=name), sources)
    code = sorted((sources / "src").glob("*.c"))
    elf = sources / "network.elf"
    return build_program([WORKLOADS / "network.c", *code], elf, level, f"-I{sources}"), elf
