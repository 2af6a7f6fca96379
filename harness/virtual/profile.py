"""Where did the cycles go, by name? Turns what the core observed into functions, source lines and
a call tree that speedscope (https://www.speedscope.app) opens. Every table adds up to the cycle
count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from harness.symbols import SourceLine, Symbols
from harness.virtual.observed import EXCEPTION_ROOT, REASONS, Block, Call, Cycles, Observed
from harness.virtual.report import exception_name

SPEEDSCOPE_SCHEMA = "https://www.speedscope.app/file-format-schema.json"
BRANCH, SLEEP = REASONS.index("branch"), REASONS.index("sleep")
NOTHING: Cycles = (0,) * len(REASONS)


@dataclass(frozen=True)
class FunctionCost:
    """cycles: the function's own, by reason; total_cycles: with what it called, each counted once
    where it called itself."""

    name: str
    calls: int
    cycles: dict[str, int]
    own_cycles: int
    total_cycles: int


@dataclass(frozen=True)
class LineCost:
    file: str
    line: int
    function: str
    cycles: dict[str, int]
    own_cycles: int


@dataclass(frozen=True)
class Profile:
    """functions and lines: the most expensive first."""

    cycles: int
    functions: tuple[FunctionCost, ...]
    lines: tuple[LineCost, ...]
    speedscope: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {
            "cycles": self.cycles,
            "functions": [asdict(function) for function in self.functions],
            "lines": [asdict(line) for line in self.lines],
        }


def make_profile(
    seen: Observed, symbols: Symbols, *, title: str, root: str | None = None
) -> Profile:
    """`root`: only what this function calls, itself included; lines are then left out, because
    blocks do not know who called them."""
    namer = _Namer(symbols)
    calls = list(seen.calls)
    inside = [root is None] * len(calls)
    for number, call in enumerate(calls):
        if root is not None:
            inside[number] = (number > 0 and inside[call.parent]) or (
                namer.of(call.function) == root
            )
    kept = [call if inside[k] else None for k, call in enumerate(calls)]
    cycles = sum(sum(call.cycles) for call in kept if call)
    return Profile(
        cycles,
        tuple(_functions(calls, kept, namer)),
        tuple(_lines(seen.blocks, symbols, namer)) if root is None else (),
        _speedscope(calls, kept, namer, title),
    )


class _Namer:
    """Names of functions by their address; exceptions have names, too."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self._known: dict[int, str] = {0: "(reset)"}

    def of(self, function: int) -> str:
        if function not in self._known:
            if function >= EXCEPTION_ROOT:
                name = f"[{exception_name(function - EXCEPTION_ROOT)}]"
            else:
                span = self.symbols.function_at(function)
                name = span.name if span else f"0x{function:08x}"
            self._known[function] = name
        return self._known[function]


def _path(calls: list[Call], number: int) -> Iterator[int]:
    """Numbers from a call up to the root, which is left out."""
    while number:
        yield number
        number = calls[number].parent


def _functions(
    calls: list[Call], kept: list[Call | None], namer: _Namer
) -> Iterable[FunctionCost]:
    own: dict[str, Cycles] = defaultdict(lambda: NOTHING)
    total: dict[str, int] = defaultdict(int)
    times: dict[str, int] = defaultdict(int)
    for number, call in enumerate(kept):
        if call is None:
            continue
        name = namer.of(call.function)
        own[name] = _sum(own[name], call.cycles)
        times[name] += call.calls
        spent = sum(call.cycles)
        callers = {namer.of(calls[k].function) for k in _path(calls, number) if kept[k]}
        for caller in callers | {name}:
            total[caller] += spent
    costs = [
        FunctionCost(name, times[name], _by_reason(own[name]), sum(own[name]), total[name])
        for name in own
        if times[name] or sum(own[name])
    ]
    return sorted(costs, key=lambda cost: (-cost.own_cycles, cost.name))


def _lines(blocks: Iterable[Block], symbols: Symbols, namer: _Namer) -> Iterable[LineCost]:
    spent: dict[tuple[SourceLine, str], Cycles] = defaultdict(lambda: NOTHING)
    names: dict[int, tuple[SourceLine, str]] = {}
    for block in blocks:
        for address, cycles in _spread(block):
            if address not in names:
                function = symbols.function_at(address)
                line = symbols.line_at(address) or SourceLine("?", 0)
                names[address] = line, function.name if function else namer.of(address)
            if any(cycles):
                spent[names[address]] = _sum(spent[names[address]], cycles)
    costs = [
        LineCost(line.file, line.line, function, _by_reason(cycles), sum(cycles))
        for (line, function), cycles in spent.items()
    ]
    return sorted(costs, key=lambda cost: (-cost.own_cycles, cost.file, cost.line, cost.function))


def _spread(block: Block) -> Iterator[tuple[int, Cycles]]:
    """A block's cycles over its instructions, by what each costs by itself; a taken branch and
    whatever follows a block belong to the last one. Nothing is lost by rounding."""
    if not block.instructions:
        yield block.start, block.cycles
        return
    weights = [weight for _, weight in block.instructions]
    whole, rest = sum(weights) or 1, list(block.cycles)
    parts = []
    for weight in weights:
        part = [0] * len(REASONS)
        for reason, cycles in enumerate(block.cycles):
            if reason < SLEEP - 1 and reason != BRANCH:
                part[reason] = cycles * weight // whole
                rest[reason] -= part[reason]
        parts.append(part)
    parts[-1] = [a + b for a, b in zip(parts[-1], rest, strict=True)]
    for (address, _), part in zip(block.instructions, parts, strict=True):
        yield address, tuple(part)


def _speedscope(
    calls: list[Call], kept: list[Call | None], namer: _Namer, title: str
) -> dict[str, Any]:
    """A sampled profile with one sample a call path, which weighs its own cycles."""
    frames: dict[str, int] = {}
    samples: list[list[int]] = []
    weights: list[int] = []
    places: list[dict[str, Any]] = []

    def frame(name: str, function: int | None) -> int:
        if name not in frames:
            frames[name] = len(frames)
            line = namer.symbols.line_at(function) if function else None
            places.append(
                {"name": name, **({"file": line.file, "line": line.line} if line else {})}
            )
        return frames[name]

    for number, call in enumerate(kept):
        if call is None or not any(call.cycles):
            continue
        path = [k for k in _path(calls, number) if kept[k]][::-1]
        stack = [frame(namer.of(calls[k].function), calls[k].function) for k in path]
        stack = stack or [frame(namer.of(0), None)]
        awake = sum(call.cycles) - call.cycles[SLEEP]
        for weight, tail in ((awake, []), (call.cycles[SLEEP], ["(asleep)"])):
            if weight:
                samples.append(stack + [frame(name, None) for name in tail])
                weights.append(weight)
    return {
        "$schema": SPEEDSCOPE_SCHEMA,
        "exporter": "hilnas",
        "name": title,
        "activeProfileIndex": 0,
        "shared": {"frames": places},
        "profiles": [
            {
                "type": "sampled",
                "name": f"{title}: cycles",
                "unit": "none",
                "startValue": 0,
                "endValue": sum(weights),
                "samples": samples,
                "weights": weights,
            }
        ],
    }


def _sum(a: Cycles, b: Cycles) -> Cycles:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _by_reason(cycles: Cycles) -> dict[str, int]:
    return {name: value for name, value in zip(REASONS, cycles, strict=True) if value}
