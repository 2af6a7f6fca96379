"""How large are the parts of a linked image? Reads ELF files and linker maps; knows nothing of how
they were made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from harness.errors import BuildError


@dataclass(frozen=True)
class Footprint:
    """Bytes an image takes.

    flash_bytes: all of it, padding included. weights_bytes: the model's constants (weights,
    biases, scales, operator parameters). runtime_overhead_bytes: kernels, engine, the model's
    instructions, and what libraries contribute. static_bytes: .data and .bss.
    arena_bytes: the tensor arena with its guard.
    """

    flash_bytes: int
    weights_bytes: int
    runtime_overhead_bytes: int
    static_bytes: int
    arena_bytes: int
    stack_reserve_bytes: int


_PLACED = "\nLinker script and memory map\n"  # discarded sections stand before
# " .text.model_invoke\n   0x08001050  0x4a8 CMakeFiles/model.dir/...": address and size. Comments
# and attributes have addresses, too: 0, where some chips have their flash.
_RUNTIME_SECTION = re.compile(
    r"^ \.(?:text|rodata|data)\S*\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) "
    r"(?:CMakeFiles/(?:model|engine|kernels)\.dir/|\S+\.a\()",
    re.MULTILINE | re.ASCII,
)


def read_footprint(elf: Path, link_map: Path) -> Footprint:
    """Sizes of the image `elf`, linked by a port's link.ld.in.

    Raises:
        BuildError: not an ELF file.
    """
    with _opened(elf) as file:
        loaded = [
            (segment["p_paddr"], segment["p_paddr"] + segment["p_filesz"])
            for segment in file.iter_segments()
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"] > 0
        ]
        sizes = {section.name: section["sh_size"] for section in file.iter_sections()}
    first, last = min(start for start, _ in loaded), max(end for _, end in loaded)
    _, _, text = link_map.read_text(errors="replace").partition(_PLACED)
    weights_bytes = sizes.get(".weights", 0)
    in_flash = sum(
        int(size, 16)
        for address, size in _RUNTIME_SECTION.findall(text)
        if first <= int(address, 16) < last
    )
    return Footprint(
        flash_bytes=last - first,
        weights_bytes=weights_bytes,
        runtime_overhead_bytes=max(0, in_flash - weights_bytes),
        static_bytes=sizes.get(".data", 0) + sizes.get(".bss", 0),
        arena_bytes=sizes.get(".arena", 0),
        stack_reserve_bytes=sizes.get(".stack", 0),
    )


class _opened:
    """The ELF file as a context."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Any:
        try:
            self._stream = self._path.open("rb")
        except OSError as error:
            raise BuildError(f"cannot be opened: {error.strerror}", where=self._path) from None
        try:
            return ELFFile(self._stream)
        except ELFError as error:
            self._stream.close()
            raise BuildError(f"is no ELF file: {error}", where=self._path) from None

    def __exit__(self, *_: object) -> None:
        self._stream.close()
