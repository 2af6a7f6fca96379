"""What is a measurement? The immutable value, its JSON, and when two may be compared.

Schema history
    1   first form
    2   runtime_overhead_bytes leaves out the app that measures; layers say which bytes they move;
        since the second engine sram may name the arena's parts; since the chips' sensors are
        read there may be conditions; where the unit has a meter there is energy
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.energy import Energy
from harness.errors import NotComparableError, UsageError

SCHEMA = 2

# Cycles of silicon, of the virtual board's model, and mere instruction counts never mix.
TIMINGS = ("measured", "modelled", "instructions")

# Two measurements may meet only where all of these agree.
_MUST_AGREE = (
    "board",
    "via",
    "timing",
    "timing_model",
    "engine",
    "engine_version",
    "compiler",
    "flags",
    "sysclk_hz",
    "flash_wait_states",
)
_ENERGY_MUST_AGREE = ("meter_kind", "volts", "method")


@dataclass(frozen=True)
class Spread:
    """Raw values and views of them."""

    raw: tuple[float, ...]
    median: float
    min: float
    max: float

    @classmethod
    def of(cls, raw: Sequence[float]) -> Spread:
        return cls(tuple(raw), statistics.median(raw), min(raw), max(raw))

    @property
    def relative(self) -> float:
        """How far apart the middle half of the values is, as a share of the median: the
        interquartile range, which a single outlier does not move. 0 for one value."""
        if len(self.raw) < 2:
            return 0.0
        lower, _, upper = statistics.quantiles(self.raw, n=4, method="inclusive")
        return (upper - lower) / self.median


@dataclass(frozen=True)
class ArenaParts:
    """Of an arena that fills up from both ends while the model is set up. head_bytes: tensors and
    scratch buffers of the inference, planned over each other. tail_bytes: what lives as long as
    the interpreter. temporary_bytes: how much more setting up needs than these two."""

    head_bytes: int
    tail_bytes: int
    temporary_bytes: int

    def __str__(self) -> str:
        head, tail, temporary = self.head_bytes, self.tail_bytes, self.temporary_bytes
        return f"head {head:,} + tail {tail:,} + temporary {temporary:,}"


@dataclass(frozen=True)
class Sram:
    """static_bytes: .data + .bss without the arena and the stack reserve. stack_bytes: painted
    high-water mark. total_bytes: everything the image really needs. arena_plan: how the arena came
    to its size; arena_lower_bound_bytes: what no placement of that order's tensors can undercut,
    None where the engine knows no bound; arena_parts: where the engine has such parts."""

    arena_bytes: int
    stack_bytes: int
    static_bytes: int
    total_bytes: int
    arena_lower_bound_bytes: int | None = None
    arena_plan: str = ""
    arena_parts: ArenaParts | None = None


@dataclass(frozen=True)
class Flash:
    """code_bytes: instructions and constants that are not weights. total_bytes: the image.
    runtime_overhead_bytes: what the engine adds to the weights in any application: kernels,
    engine, generated instructions, the C library's share (not the app that measures)."""

    code_bytes: int
    weights_bytes: int
    total_bytes: int
    runtime_overhead_bytes: int


@dataclass(frozen=True)
class Layer:
    """moved_bytes: operands and results, each once; what a kernel moves at least."""

    index: int
    op: str
    name: str
    macs: int
    moved_bytes: int
    cycles: int


@dataclass(frozen=True)
class Output:
    """sha256 of all output tensors' bytes in order; `reference`: what they were compared to."""

    sha256: str
    bit_exact: bool
    reference: str


@dataclass(frozen=True)
class UnitCheck:
    """Which unit of a pool it was, and what its last control run said (harness.control). cycles:
    of the control model. drift_ppm: from the unit's own earlier control runs; None: the first.
    deviation_ppm: from the median of equal units; None: no other has had one."""

    unit: str
    cycles: float
    drift_ppm: float | None
    deviation_ppm: float | None


@dataclass(frozen=True)
class Conditions:
    """What the chip's own sensors said: temperature_c of the die, degrees Celsius, vdd_v of the
    supply, volts; None where it cannot tell."""

    temperature_c: float | None
    vdd_v: float | None

    def __str__(self) -> str:
        known = []
        if self.temperature_c is not None:
            known.append(f"{self.temperature_c:.1f} °C")
        if self.vdd_v is not None:
            known.append(f"{self.vdd_v:.2f} V")
        return ", ".join(known)


@dataclass(frozen=True)
class Measurement:
    """One model on one board. `timing` says what a cycle is: measured, modelled, instructions, in
    which case latency_us is no time; `timing_model` names its version ("" on silicon).
    `conditions`: behind the measured runs, of silicon only; no label, so that what was measured
    in the cold may be compared with what was measured in the warm."""

    board: str
    via: str
    timing: str
    timing_model: str
    engine: str
    engine_version: str
    compiler: str
    flags: str
    sysclk_hz: int
    flash_wait_states: int
    model_sha256: str
    image_sha256: str
    macs: int
    cycles: Spread
    latency_us: Spread
    sram: Sram
    flash: Flash
    layers: tuple[Layer, ...]
    output: Output
    started_at: str
    duration_s: float
    build_s: float = 0.0  # of duration_s, until there was an image; 0 in older files
    unit: UnitCheck | None = None  # None: no unit of a pool, or an older file
    conditions: Conditions | None = None  # None: not silicon, or an older file
    energy: Energy | None = None  # of one inference; None where the unit has no meter
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.timing not in TIMINGS:
            raise ValueError(f"timing {self.timing!r} is not one of {', '.join(TIMINGS)}")
        if self.conditions is not None and self.timing != "measured":
            raise ValueError(f"only silicon has conditions, not what is {self.timing}")

    @property
    def label(self) -> str:
        """What must stand beside any of these numbers."""
        timing = f"{self.timing} ({self.timing_model})" if self.timing_model else self.timing
        engine = f"{self.engine} ({self.engine_version})"
        return (
            f"{self.board}, via {self.via}, {timing}, engine {engine}, "
            f"{self.sysclk_hz / 1e6:g} MHz, {self.flash_wait_states} WS, {self.flags}"
        )

    def comparable_with(self, other: Measurement) -> None:
        """Raises NotComparableError naming the first label that differs; of energies, where both
        have one."""
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in _MUST_AGREE]
        if self.energy is not None and other.energy is not None:
            pairs += [
                (f"energy's {name}", getattr(self.energy, name), getattr(other.energy, name))
                for name in _ENERGY_MUST_AGREE
            ]
        for name, mine, theirs in pairs:
            if mine != theirs:
                raise NotComparableError(
                    f"measurements differ in {name}",
                    expected=mine,
                    got=theirs,
                    hint="compare only runs of one board, via, timing, engine, build and clock",
                )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> Measurement:
        """Raises KeyError, TypeError or ValueError on anything else than to_json() gives."""
        table = dict(table)
        if table["schema"] != SCHEMA:
            raise ValueError(f"measurement schema {table['schema']!r} is not {SCHEMA}")
        for key in ("cycles", "latency_us"):
            table[key] = Spread(**{**table[key], "raw": tuple(table[key]["raw"])})
        parts = table["sram"].get("arena_parts")
        table["sram"] = Sram(
            **{**table["sram"], "arena_parts": None if parts is None else ArenaParts(**parts)}
        )
        table["flash"] = Flash(**table["flash"])
        unit = table.get("unit")
        table["unit"] = None if unit is None else UnitCheck(**unit)
        told = table.get("conditions")
        table["conditions"] = None if told is None else Conditions(**told)
        table["layers"] = tuple(Layer(**layer) for layer in table["layers"])
        table["output"] = Output(**table["output"])
        if table.get("energy") is not None:
            table["energy"] = Energy.from_json(table["energy"])
        return cls(**table)


def load_measurement(path: Path) -> Measurement:
    """Raises UsageError when `path` holds no measurement."""
    try:
        return Measurement.from_json(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"is not a measurement: {error!r}", where=path) from None
