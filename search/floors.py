"""What does a candidate need at least, as far as the networks measured so far tell? One that would
break a bound even at the least rates that were ever measured needs no board to be turned down.
Must not know how candidates are chosen or measured.

No datum of a chip enters: the rates are those of this run, on its board, with its engine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from search.config import Bounds
from search.evaluation import Cost, Outcome
from search.fitness import Quantity, first_broken, measured_quantities

# Fewer networks say little about rates: those of small ones are high.
LEAST_MEASURED = 8
# Of the least rate. Who may come out at that little is measured: otherwise the first networks
# would keep out those that show how low a rate can be.
MARGIN = 0.8

_NAMES = {
    "latency_us": ("least expected latency", "us"),
    "sram_bytes": ("least expected SRAM", "bytes"),
    "flash_bytes": ("least expected flash", "bytes"),
    "energy_uj": ("least expected energy", "uJ"),
}


class Floors:
    """Of one run. A rate is microseconds or microjoules for a MAC, bytes of SRAM beyond what one
    operator's tensors take, bytes of flash beyond weights and biases."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._measured = 0
        self._least: dict[str, float] = {}

    def told(self, outcome: Outcome) -> None:
        """What its untrained export was measured with, if it came so far."""
        if outcome.untrained is None:
            return
        self._measured += 1
        for quantity in measured_quantities(outcome.untrained):
            if quantity.name in _NAMES:
                known, size = _parts(quantity.name, outcome.cost)
                rate = (quantity.value - known) / size if size else math.inf
                self._least[quantity.name] = min(rate, self._least.get(quantity.name, math.inf))

    def broken_by(self, cost: Cost) -> str | None:
        """The first hard bound that a candidate of this cost breaks at MARGIN of the least rates
        measured, as a sentence; None where it keeps them all, or too few were measured."""
        if self._measured < LEAST_MEASURED:
            return None
        return first_broken(self._bounds, self._expected(cost))

    def _expected(self, cost: Cost) -> Iterator[Quantity]:
        for name, rate in self._least.items():
            known, size = _parts(name, cost)
            what, unit = _NAMES[name]
            if math.isfinite(rate):
                yield Quantity(name, what, round(known + MARGIN * rate * size, 1), unit)


def _parts(name: str, cost: Cost) -> tuple[int, int]:
    """What arithmetic knows of the quantity, and what the rest of it grows with."""
    match name:
        case "sram_bytes":
            return cost.memory_floor_bytes, 1
        case "flash_bytes":
            return cost.model_size_bytes, 1
        case _:
            return 0, cost.macs
