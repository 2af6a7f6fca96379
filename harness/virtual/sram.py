"""Which bytes of RAM did a run need, by name? Turns what the core observed into regions, sections,
variables and stacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.symbols import Span, Symbols
from harness.virtual.observed import Extent, Observed, Touched


@dataclass(frozen=True)
class Use:
    """Bytes of a piece of RAM that were read, written, and either."""

    name: str
    base: int
    size: int
    read_bytes: int
    written_bytes: int
    touched_bytes: int


@dataclass(frozen=True)
class Stack:
    """used_bytes: from the highest to the lowest address that the stack pointer was seen at, or
    that was pushed to."""

    name: str
    lowest: int
    highest: int
    used_bytes: int


@dataclass(frozen=True)
class SramUse:
    """regions: the chip's RAMs. sections and variables: what the ELF file names in them, where any
    byte was touched; the largest first."""

    regions: tuple[Use, ...]
    sections: tuple[Use, ...]
    variables: tuple[Use, ...]
    stacks: tuple[Stack, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def make_sram_use(seen: Observed, symbols: Symbols) -> SramUse:
    return SramUse(
        regions=tuple(
            _use(memory, Span(memory.base, memory.base + memory.size, f"0x{memory.base:08x}"))
            for memory in seen.memories
        ),
        sections=_uses(seen.memories, symbols.sections),
        variables=_uses(seen.memories, symbols.variables),
        stacks=tuple(
            _stack(name, extent)
            for name, extent in (("main", seen.main_stack), ("process", seen.process_stack))
            if extent is not None
        ),
    )


def _stack(name: str, extent: Extent) -> Stack:
    return Stack(name, extent.lowest, extent.highest, extent.highest - extent.lowest)


def _uses(memories: Sequence[Touched], spans: Sequence[Span]) -> tuple[Use, ...]:
    found = [
        _use(memory, span)
        for memory in memories
        for span in spans
        if memory.base <= span.start and span.end <= memory.base + memory.size
    ]
    return tuple(
        sorted(
            (use for use in found if use.touched_bytes),
            key=lambda use: (-use.touched_bytes, use.base),
        )
    )


def _use(memory: Touched, span: Span) -> Use:
    first, size = span.start - memory.base, span.end - span.start
    read, written = _bits(memory.read, first, size), _bits(memory.written, first, size)
    return Use(
        span.name,
        span.start,
        size,
        read.bit_count(),
        written.bit_count(),
        (read | written).bit_count(),
    )


def _bits(bitmap: bytes, first: int, size: int) -> int:
    whole = int.from_bytes(bitmap[first // 8 : (first + size + 7) // 8], "little")
    return whole >> (first % 8) & ((1 << size) - 1)
