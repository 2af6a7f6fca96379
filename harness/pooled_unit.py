"""What is done with one unit of a pool while it is leased? It is checked with a control run,
measured on, brought back where it fails, and set aside where it cannot be trusted. All of it
stands in the unit's ledger. Knows nothing of other units but their ledgers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from harness.control import DRIFT_BOUND_PPM, control_model, key_of, ppm_beside
from harness.errors import (
    HilnasError,
    MeasurementRefusedError,
    QuarantinedError,
    UnitGoneError,
)
from harness.hardware_map import MappedUnit
from harness.ledger import ControlRun, Ledger
from harness.measure import measure
from harness.measurement import Measurement, UnitCheck
from harness.reach import Reach
from harness.recovery import Rung, Taken, climb, rungs_of

# measure(model, session, name=...) with all else bound.
MeasureOn = Callable[..., Measurement]

RELEASE_HINT = "mend it, then `hilnas boards --release {}`"


class PooledUnit:
    """`unit`, leased by the caller. peers: ledgers of the other units of its board. run: what
    control runs are counted by; `control_every` measurements of a run want one.

    Besides what a measurement raises, every call may raise UnitGoneError (the unit is not there),
    QuarantinedError (it has just been set aside) and JournalError (of its ledger).
    """

    def __init__(
        self,
        unit: MappedUnit,
        reach: Reach,
        ledger: Ledger,
        peers: Sequence[Ledger],
        *,
        run: str,
        control_every: int,
        control_on: MeasureOn = measure,
    ) -> None:
        self.unit, self._reach, self._ledger, self._peers = unit, reach, ledger, peers
        self._run, self._every, self._control_on = run, control_every, control_on

    def measure(self, model: bytes, measure_on: MeasureOn, *, name: str) -> Measurement:
        """`model`'s Measurement, with what the unit's last control run said.

        Raises:
            HilnasError: one that the unit may be blamed for is raised only when a control run
                behind it was good: then the model is to blame, or both together.
        """
        if self._ledger.history().is_control_due(self._run, self._every):
            self.control()
        try:
            measured = self._climb(model, measure_on, name)
        except UnitGoneError:
            raise
        except HilnasError as error:
            if rungs_of(error):
                self.control(is_spent=True)
            raise
        self._ledger.append(
            "measured",
            run=self._run,
            model_sha256=measured.model_sha256,
            image_sha256=measured.image_sha256,
            started_at=measured.started_at,
        )
        last = self._ledger.history().controls[-1]
        check = UnitCheck(self.unit.name, last.cycles, last.drift_ppm, last.deviation_ppm)
        return replace(measured, unit=check)

    def control(self, *, is_spent: bool = False) -> ControlRun:
        """Measure the control model. is_spent: the ladder has just been climbed; once must do.

        Raises:
            QuarantinedError: it failed, or drifted beyond DRIFT_BOUND_PPM.
        """
        try:
            measured = self._climb(
                control_model(), self._control_on, "the control model", is_spent=is_spent
            )
        except UnitGoneError:
            raise
        except HilnasError as error:
            if rungs_of(error) or isinstance(error, MeasurementRefusedError):
                raise self._quarantine(f"its control run failed: {error}") from None
            raise
        key, cycles = key_of(measured), measured.cycles.median
        controls = self._ledger.history().controls
        drift = ppm_beside(cycles, [each.cycles for each in controls if each.key == key])
        if drift is not None and abs(drift) > DRIFT_BOUND_PPM:
            raise self._quarantine(
                f"its control run took {cycles:,.0f} cycles, {drift:+,.0f} ppm beside its earlier "
                f"ones, and the bound is {DRIFT_BOUND_PPM:,.0f} ppm"
            )
        found = ControlRun(self._run, key, cycles, drift, self._deviation(key, cycles))
        self._ledger.append("control", **found._asdict())
        return found

    def release(self) -> ControlRun:
        """End the unit's quarantine with a good control run."""
        found = self.control()
        self._ledger.append("released")
        return found

    def _deviation(self, key: str, cycles: float) -> float | None:
        """From the median of this unit and its peers, each with its last control run."""
        found = [
            [each.cycles for each in peer.history().controls if each.key == key]
            for peer in self._peers
        ]
        others = [controls[-1] for controls in found if controls]
        return ppm_beside(cycles, [*others, cycles]) if others else None

    def _climb(
        self, model: bytes, measure_on: MeasureOn, name: str, *, is_spent: bool = False
    ) -> Measurement:
        take: dict[Rung, Callable[[], None]] = {}
        if not is_spent:
            take[Rung.RETRY] = lambda: None
            take[Rung.RESET] = partial(self._reach.reset, self.unit)
            if self.unit.power_cycle:
                take[Rung.POWER_CYCLE] = partial(self._reach.power_cycle, self.unit)

        def attempt() -> Measurement:
            with self._told(name), self._reach.open(self.unit) as session:
                return measure_on(model, session, name=name)

        return climb(attempt, take, partial(self._record, name))

    @contextlib.contextmanager
    def _told(self, during: str) -> Iterator[None]:
        """A failure stands in the ledger; one of a unit that is not there says so."""
        try:
            if (what := self._reach.missing(self.unit)) is not None:
                raise self._gone(what)
            yield
        except HilnasError as error:
            if not rungs_of(error):
                raise
            kind = type(error).__name__
            self._ledger.append("failure", during=during, error=kind, said=str(error))
            what = None if isinstance(error, UnitGoneError) else self._reach.missing(self.unit)
            if what is not None:
                raise self._gone(what) from error
            raise

    def _gone(self, what: str) -> UnitGoneError:
        return UnitGoneError(what, where=self.unit.name, hint="check the cable and power")

    def _record(self, during: str, taken: Taken) -> None:
        self._ledger.append(
            "rung",
            during=during,
            rung=taken.rung.label,
            error=type(taken.error).__name__,
            result=taken.result,
            seconds=taken.seconds,
        )

    def _quarantine(self, why: str) -> QuarantinedError:
        self.suspect()
        self._ledger.append("quarantined", why=why)
        return QuarantinedError(
            f"the unit is quarantined: {why}",
            where=self.unit.name,
            hint=RELEASE_HINT.format(self.unit.name),
        )

    def suspect(self) -> None:
        """What was measured since the last good control run is not to be trusted."""
        doubted = self._ledger.history().unconfirmed
        if doubted:
            self._ledger.append("suspect", measured=[each._asdict() for each in doubted])
