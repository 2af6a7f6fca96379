"""What does a machine with boards do for a search that runs elsewhere? It measures on its units,
with its hardware map and its ledgers, as a search on its own desk would. Knows nothing of Ray."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

from harness.errors import HilnasError
from harness.ledger import Measured
from harness.measurement import Measurement
from harness.pool import Pool
from search.asking import Answer, Wanted
from search.config import SearchConfig
from search.environment import identity
from search.evaluation import NOT_THE_CANDIDATES
from search.workplace import check_units, measuring, open_pool

# Whoever asks waits longer, and asks other machines meanwhile.
_PATIENCE_S = 10.0

Suspects = dict[str, set[Measured]]
Measure = Callable[..., Measurement]


@dataclass(frozen=True)
class Order:
    """What all that is asked for one command has in common. identity: of the machine that asks.
    run: see Pool. open_pool, measuring: the seams; importable by name."""

    config: SearchConfig
    run: str
    identity: Mapping[str, str]
    open_pool: Callable[..., Pool] = open_pool
    measuring: Callable[..., Measure] = measuring

    def measure(self, wanted: Wanted) -> Answer:
        """On whichever unit can be had here; a unit is called NAME@HOST in what comes of it. An
        error that is the network's own is returned.

        Raises:
            NoUnitError: none can be had here.
            HilnasError: no network can be measured here; this is another version than that which
                asks, for one.
        """
        self._check()
        try:
            pool = self.open_pool(self.config, self.run, patience_s=_PATIENCE_S)
            measure_on = self.measuring(self.config.device)
            measured = pool.measure(wanted.model, name=wanted.name, measure_on=measure_on)
        except NOT_THE_CANDIDATES as error:
            raise error.on(platform.node()) from None
        except HilnasError as error:
            return error
        assert measured.unit is not None
        return replace(measured, unit=replace(measured.unit, unit=_full(measured.unit.unit)))

    def confirm(self) -> Suspects:
        """A last control run of each unit that wants one; then what is suspect here, by unit, with
        an empty set for a unit of which nothing is.

        Raises:
            NoUnitError: a unit is in use for too long. HilnasError: as measure.
        """
        self._check()
        try:
            pool = self.open_pool(self.config, self.run)
            pool.confirm()
            return {_full(unit): found for unit, found in pool.suspects().items()}
        except HilnasError as error:
            raise error.on(platform.node()) from None

    def _check(self) -> None:
        check_identity(platform.node(), _own_identity(), self.identity)
        try:
            check_units(self.config)
        except HilnasError as error:
            raise error.on(platform.node()) from None


def check_identity(host: str, found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Raises HilnasError where outcomes of `host` need not be those of this machine."""
    for name, version in expected.items():
        if found[name] != version:
            raise HilnasError(
                f"node {host} has another {name}",
                expected=version,
                got=found[name],
                hint="install the same on every node, then resume the run",
            )


@cache
def _own_identity() -> Mapping[str, str]:
    return identity()


def _full(unit: str) -> str:
    """Units of two desks may have one name."""
    return f"{unit}@{platform.node()}"
