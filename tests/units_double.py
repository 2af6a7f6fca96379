"""Doubles of units on the desk: a map of them, and a Reach whose units fail as they are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.board import load_board
from harness.control import control_model
from harness.errors import HilnasError, NoReplyError
from harness.hardware_map import MappedUnit
from harness.measurement import Measurement
from harness.pool import Pool
from tests.measurements import make_measurement

BOARD = load_board("nucleo_f412zg")


@dataclass
class Double:
    """One unit. missing: what of it is not there. failures: what the next measurements on it end
    with, before they succeed. cycles: of the control model. dies_after: so many measurements;
    None: never. away_at: when it is looked for these times, it is not there. log: what was done
    to it."""

    missing: str | None = None
    failures: list[HilnasError] = field(default_factory=list)
    cycles: int = 100_000
    dies_after: int | None = None
    away_at: frozenset[int] = frozenset()
    looks: int = 0
    log: list[str] = field(default_factory=list)


class DoubleReach:
    """See harness.reach.Reach."""

    def __init__(self, units: dict[str, Double]) -> None:
        self.units = units

    def missing(self, unit: MappedUnit) -> str | None:
        double = self.units[unit.name]
        double.looks += 1
        return "there is no port" if double.looks in double.away_at else double.missing

    @contextmanager
    def open(self, unit: MappedUnit) -> Iterator[Any]:
        yield self.units[unit.name]

    def reset(self, unit: MappedUnit) -> None:
        self.units[unit.name].log.append("reset")

    def power_cycle(self, unit: MappedUnit) -> None:
        self.units[unit.name].log.append("power cycle")


def measure_on(model: bytes, session: Any, *, name: str = "") -> Measurement:
    """As harness.measure.measure, of a double."""
    is_control = model == control_model()
    session.log.append("control" if is_control else name)
    if session.dies_after is not None and len(session.log) > session.dies_after:
        raise NoReplyError("no reply", where="the double")
    if session.failures:
        raise session.failures.pop(0)
    cycles = session.cycles if is_control else 5_000
    started_at = f"{datetime.now(UTC)}"
    return make_measurement(cycles=cycles, model_sha256=model.hex()[:16], started_at=started_at)


class Desk:
    """Units of these names in a map in `folder`, and pools of them."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.path = folder / "map.toml"
        self.units = {name: Double() for name in names}
        self.path.write_text(
            "".join(
                f'[[unit]]\nname = "{name}"\nboard = "{BOARD.name}"\nprobe = "{folder.name}{i}"\n'
                'power_cycle = ["true"]\n'
                for i, name in enumerate(names)
            )
        )

    def pool(self, run: str = "a", *, control_every: int = 20, patience_s: float = 0.0) -> Pool:
        return Pool(
            BOARD,
            run=run,
            map_file=self.path,
            control_every=control_every,
            patience_s=patience_s,
            reach=DoubleReach(self.units),  # type: ignore[arg-type]
            control_on=measure_on,
        )

    def measure(self, pool: Pool, name: str = "model") -> Measurement:
        return pool.measure(name.encode(), name=name, measure_on=measure_on)

    def log(self, name: str) -> list[str]:
        """What was done to a unit since the last look."""
        log, self.units[name].log = self.units[name].log, []
        return log
