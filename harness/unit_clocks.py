"""Do the clocks of the units on this desk run as fast as they say? Each unit that is free is
leased, flashed with the control image and timed. Without a desk there is nothing to ask: a virtual
board's time is not the host's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from harness.board import load_board
from harness.clock_deviation import INTERVAL_S, measure_deviation
from harness.control import control_model
from harness.doctor import Check
from harness.engines import AOT
from harness.errors import HilnasError, UnitInUseError
from harness.hardware import open_leased
from harness.hardware_map import HardwareMap, MappedUnit, load_hardware_map
from harness.lease import lease
from harness.ledger import Ledger
from harness.options import DEFAULTS
from harness.reach import Reach
from harness.session import Session


def examine_clocks(
    map_file: Path | None = None, on_step: Callable[[str], None] = lambda step: None
) -> Iterator[Check]:
    """One check a unit of the map, in its order. What is flashed stays in the unit. A unit that is
    quarantined, away or in use is left alone, and the check says so."""
    try:
        desk = load_hardware_map(map_file)
    except HilnasError as error:
        yield _failed("clocks of the units", error, required=True)
        return
    for unit in desk.units:
        name = f"clock of unit {unit.name}"
        try:
            reason = _reason_to_leave_alone(desk, unit)
            if reason is not None:
                yield Check(name, True, False, f"left alone: {reason}", "")
                continue
            with lease(unit.probe, unit=unit.name):
                yield _examine(name, desk, unit, on_step)
        except UnitInUseError as error:
            yield Check(name, True, False, f"left alone: {error.what}", "")
        except HilnasError as error:
            yield _failed(name, error, required=False)


def _reason_to_leave_alone(desk: HardwareMap, unit: MappedUnit) -> str | None:
    quarantine = Ledger(unit).history().quarantine
    if quarantine is not None:
        return str(quarantine)
    return Reach(load_board(unit.board), desk).missing(unit)


def _examine(
    name: str, desk: HardwareMap, unit: MappedUnit, on_step: Callable[[str], None]
) -> Check:
    board = load_board(unit.board)
    with open_leased(board, desk, unit) as session:
        _flash_control(session, lambda step: on_step(f"unit {unit.name}: {step}"))
        on_step(f"unit {unit.name}: timing its clock for {INTERVAL_S:g} s")
        deviation = measure_deviation(session, session.hello.sysclk_hz)
    source = board.oscillator
    found = (
        f"{board.name}, {board.sysclk_hz / 1e6:g} MHz by its registers, {deviation} by this "
        f"host's clock; from {source.name}, good to {source.tolerance_ppm / 1e4:g} %"
    )
    if not deviation.exceeds(source.tolerance_ppm):
        return Check(name, True, False, found, "")
    fix = (
        f"latencies of this unit are wrong by this much: do not use it; check {source.check} "
        f"({unit.board}/board.toml, oscillator)"
    )
    return Check(name, False, True, found, fix)


def _flash_control(session: Session, on_step: Callable[[str], None]) -> None:
    built = AOT.build(
        control_model(), session, name="the control model", options=DEFAULTS, on_step=on_step
    )
    on_step("flashing")
    session.flash(built.image)


def _failed(name: str, error: HilnasError, *, required: bool) -> Check:
    found = str(error).removesuffix(f"; {error.hint}")
    return Check(name, False, required, found, error.hint or "`hilnas measure` says more")
