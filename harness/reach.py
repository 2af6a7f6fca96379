"""What can be done to a unit of the map from outside: is it there, open it, reset it, take its
power away? The pool's only way to its units; tests and benchmarks put doubles in its place."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from harness.board import Board
from harness.errors import BoardError, ConfigError, ToolchainError, UnitGoneError
from harness.hardware import open_leased
from harness.hardware_map import HardwareMap, MappedUnit
from harness.probe import reset
from harness.serial_ports import plain_id
from harness.session import Session
from harness.usb import AttachedProbe, attached_probes
from harness.workspace import run_killable

_REMOTE_S = 2.0
_POWER_CYCLE_S = 60.0  # uhubctl waits 2 s with the power off, and tries again
_RETURN_S = 30.0  # until a unit with new power has its USB devices
_POLL_S = 0.2


class Reach:
    """The units of `board` on the desk, which the caller has leased. Nothing waits without a
    deadline."""

    def __init__(self, board: Board, desk: HardwareMap) -> None:
        self.board, self.desk = board, desk

    def missing(self, unit: MappedUnit) -> str | None:
        """What of `unit` is not there; None: probe and port are."""
        probes = () if unit.is_remote else attached_probes()
        if (found := missing_probe(unit, probes)) is not None:
            return found[0]
        try:
            port = self.desk.port_of(unit)
        except ConfigError as error:
            return str(error)
        return None if Path(port).exists() else f"there is no port {port}"

    def open(self, unit: MappedUnit) -> AbstractContextManager[Session]:
        return open_leased(self.board, self.desk, unit)

    def reset(self, unit: MappedUnit) -> None:
        """Take hold of the chip while its reset line is down, then let it run.

        Raises:
            ProbeError: it cannot be done.
        """
        access = self.desk.access_to(unit, self.board)
        reset(replace(access, reset_type="hardware", connect_mode="under-reset"))

    def power_cycle(self, unit: MappedUnit) -> None:
        """Run the unit's command and await its return.

        Raises:
            BoardError: the command failed or was killed at its deadline.
            UnitGoneError: the unit did not come back.
        """
        try:
            code, said = run_killable(unit.power_cycle, deadline_s=_POWER_CYCLE_S)
        except ToolchainError as error:
            raise BoardError(
                f"power_cycle {error.what}",
                where=unit.name,
                got=" ".join(unit.power_cycle),
                hint="try the command by hand, correct the map",
            ) from None
        if code != 0:
            raise BoardError(
                f"power_cycle ended with exit status {code}",
                where=unit.name,
                got=said.strip()[-200:] or "no word of it",
                hint="try the command by hand, correct the map",
            )
        end = time.monotonic() + _RETURN_S
        while (what := self.missing(unit)) is not None:
            if time.monotonic() > end:
                raise UnitGoneError(
                    f"did not come back within {_RETURN_S:g} s of its power cycle: {what}",
                    where=unit.name,
                    hint="check the cable and power",
                )
            time.sleep(_POLL_S)


def missing_probe(unit: MappedUnit, probes: Sequence[AttachedProbe]) -> tuple[str, str] | None:
    """What was found instead of the unit's probe, and the fix; None: it is there. `probes`: those
    attached here."""
    if unit.is_remote:
        _, host, port = unit.probe.split(":")
        try:
            socket.create_connection((host, int(port)), _REMOTE_S).close()
        except OSError as error:
            what = error.strerror or str(error)
            return f"{unit.probe} does not answer: {what}", "start the probe's server"
        return None
    if any(plain_id(probe.unique_id) == plain_id(unit.probe) for probe in probes):
        return None
    attached = ", ".join(probe.unique_id for probe in probes) or "none"
    fix = "check the cable and power, correct probe in the map"
    return f"probe {unit.probe} is not attached; attached: {attached}", fix
