"""Which unit measures next? Any that is free, there and healthy, of all units of a board in the
map, leased for one measurement. A unit that vanishes is left alone for a while and tried again;
one that is quarantined is left out until it is released."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from harness.board import Board
from harness.errors import (
    HilnasError,
    NoUnitError,
    QuarantinedError,
    UnitGoneError,
    UnitInUseError,
)
from harness.hardware_map import MappedUnit, load_hardware_map
from harness.lease import lease
from harness.ledger import ControlRun, Ledger, Measured, state_of
from harness.measure import measure
from harness.measurement import Measurement
from harness.pooled_unit import RELEASE_HINT, MeasureOn, PooledUnit
from harness.reach import Reach
from harness.recovery import rungs_of

CONTROL_EVERY = 20
PATIENCE_S = 300.0
_POLL_S = 0.1
# A model that fails on so many units, each with a good control run behind it, is to blame.
_WITNESSES = 2


class Pool:
    """The units of `board` in the map. `reach`, `control_on`: the seams.

    Args:
        run: what control runs are counted by: each unit has one at its first use in a run.
        control_every: measurements on a unit from one control run to the next.
        patience_s: how long one measurement may wait for units that are in use or away, and try
            those that come and go; what runs then is not cut short.

    Raises:
        ConfigError, UnknownBoardError: there is no map, or no unit of `board` in it.
    """

    def __init__(
        self,
        board: Board,
        *,
        run: str,
        map_file: Path | None = None,
        control_every: int = CONTROL_EVERY,
        patience_s: float = PATIENCE_S,
        reach: Reach | None = None,
        control_on: MeasureOn = measure,
    ) -> None:
        self.desk = load_hardware_map(map_file)
        self.units = self.desk.units_of(board.name)
        self._board, self._run, self._patience_s = board, run, patience_s
        self._every, self._control_on = control_every, control_on
        self._reach = reach or Reach(board, self.desk)
        self._ledgers = {unit.name: Ledger(unit) for unit in self.units}

    def measure(self, model: bytes, *, name: str, measure_on: MeasureOn = measure) -> Measurement:
        """`model`'s Measurement, on whichever unit can be had.

        Raises:
            NoUnitError: none can be had.
            HilnasError: what `measure_on` raises and no unit is to blame for.
        """
        blamed: dict[str, HilnasError] = {}
        end = time.monotonic() + self._patience_s
        while True:
            with self._lease_one(blamed, end) as unit:
                try:
                    return self._open(unit).measure(model, measure_on, name=name)
                except UnitGoneError as error:
                    self._ledgers[unit.name].append("vanished", said=str(error))
                except QuarantinedError:
                    pass  # another one
                except HilnasError as error:
                    if not rungs_of(error):
                        raise
                    blamed[unit.name] = error
                    if len(blamed) == _WITNESSES:
                        raise

    def confirm(self) -> None:
        """A last control run of each unit with measurements behind its last one: those of a unit
        that has none to show are suspect.

        Raises:
            NoUnitError: one is in use for too long.
        """
        for unit in self.units:
            ledger = self._ledgers[unit.name]
            if not ledger.history().unconfirmed:
                continue
            with self._lease(unit) as leased:
                try:
                    leased.control()
                except UnitGoneError as error:
                    ledger.append("vanished", said=str(error))
                    leased.suspect()
                except QuarantinedError:
                    pass  # which has said so

    def suspects(self) -> dict[str, set[Measured]]:
        """By unit: what was measured before control runs that failed."""
        return {name: ledger.history().suspects for name, ledger in self._ledgers.items()}

    def check(self, name: str) -> ControlRun:
        """A good control run of the unit `name`, which is returned.

        Raises:
            UsageError: there is no such unit. NoUnitError: it is in use.
            QuarantinedError: it is set aside already, or now. UnitGoneError: it is not there.
        """
        unit = self.desk.unit_of(self._board.name, name)
        with self._lease(unit) as leased:
            ledger = self._ledgers[name]
            if (quarantine := ledger.history().quarantine) is not None:
                raise QuarantinedError(
                    f"the unit is {quarantine}", where=name, hint=RELEASE_HINT.format(name)
                )
            try:
                return leased.control()
            except UnitGoneError as error:
                ledger.append("vanished", said=str(error))
                raise

    def release(self, name: str) -> ControlRun:
        """End the quarantine of the unit `name` with a good control run, which is returned.

        Raises:
            UsageError: there is no such unit. NoUnitError: it is in use.
            QuarantinedError: its control run failed. UnitGoneError: it is not there.
        """
        with self._lease(self.desk.unit_of(self._board.name, name)) as leased:
            return leased.release()

    def _open(self, unit: MappedUnit) -> PooledUnit:
        return PooledUnit(
            unit,
            self._reach,
            self._ledgers[unit.name],
            [ledger for name, ledger in self._ledgers.items() if name != unit.name],
            run=self._run,
            control_every=self._every,
            control_on=self._control_on,
        )

    @contextlib.contextmanager
    def _lease(self, unit: MappedUnit) -> Iterator[PooledUnit]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(lease(unit.probe, unit=unit.name, patience_s=self._patience_s))
            except UnitInUseError as error:
                raise NoUnitError(error.what, where=error.where, hint=error.hint) from None
            yield self._open(unit)

    @contextlib.contextmanager
    def _lease_one(self, blamed: dict[str, HilnasError], end: float) -> Iterator[MappedUnit]:
        """`blamed`: those that are not to try again, and with what they failed."""
        with contextlib.ExitStack() as stack:
            while (unit := self._try_all(blamed, stack)) is None:
                histories = {each.name: self._ledgers[each.name].history() for each in self.units}
                trusted = {name for name, each in histories.items() if each.quarantine is None}
                there = {name for name in trusted if not histories[name].vanished}
                if blamed and there <= blamed.keys():
                    raise next(iter(blamed.values()))
                if not trusted or time.monotonic() > end:
                    raise self._nobody()
                time.sleep(_POLL_S)
            yield unit

    def _try_all(self, without: Collection[str], stack: contextlib.ExitStack) -> MappedUnit | None:
        for unit in self.units:
            if unit.name in without or not self._may_be_used(unit):
                continue
            with contextlib.suppress(UnitInUseError):
                stack.enter_context(lease(unit.probe, unit=unit.name, patience_s=0.0))
                if self._may_be_used(unit):  # whoever had it may have set it aside
                    return unit
                stack.close()
        return None

    def _may_be_used(self, unit: MappedUnit) -> bool:
        history = self._ledgers[unit.name].history()
        return history.quarantine is None and not history.pause_left_s()

    def _nobody(self) -> NoUnitError:
        states = (f"{unit.name} {state_of(unit)}" for unit in self.units)
        return NoUnitError(
            f"no unit of {self._board.name} can be had",
            where=self.desk.path,
            got="; ".join(states),
            hint="mend one, `hilnas boards --release NAME` where it is quarantined, then go on",
        )
