"""What do people see of the units on this desk, and of the probes that may become some? The part
of `hilnas boards` that is about hardware; parses nothing, decides nothing."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from harness import discovery
from harness.board import load_board
from harness.cli import console, errors, write_json
from harness.errors import ProbeError, UsageError
from harness.hardware_map import HardwareMap
from harness.ledger import state_of
from harness.serial_ports import attached_ports
from harness.tables import print_table
from harness.usb import attached_probes

_PATIENCE_S = 5.0  # for a unit that is in use


def print_units(desk: HardwareMap) -> None:
    """The map's units: who has them, and which are set aside."""
    table = Table(title="Units")
    for heading in ("unit", "board", "probe", "serial", "state"):
        table.add_column(heading, overflow="fold")
    for unit in desk.units:
        table.add_row(
            unit.name,
            unit.board,
            unit.probe,
            escape(unit.serial) or "the probe's",
            escape(state_of(unit)),
        )
    print_table(console, table)
    console.print(f"by {escape(str(desk.path))}", soft_wrap=True, highlight=False)


def release_unit(desk: HardwareMap | None, name: str) -> None:
    """End the quarantine of the unit `name` with a good control run.

    Raises:
        UsageError: there is no map, or no such unit.
        NoUnitError, UnitGoneError, QuarantinedError: it is in use, away, or stays set aside.
    """
    from harness.pool import Pool

    unit = next((unit for unit in desk.units if unit.name == name), None) if desk else None
    if desk is None or unit is None:
        raise UsageError(
            f"no unit is called {name!r}",
            where=None if desk is None else desk.path,
            expected=", ".join(each.name for each in desk.units) if desk else "a hardware map",
            hint="`hilnas boards` shows them",
        )
    pool = Pool(load_board(unit.board), run="release", map_file=desk.path, patience_s=_PATIENCE_S)
    with errors.status("a control run"):
        control = pool.release(name)
    drift = "its first" if control.drift_ppm is None else f"drift {control.drift_ppm:+,.1f} ppm"
    console.print(
        f"unit {escape(name)}: a good control run, {control.cycles:,.0f} cycles, {drift}; "
        "it may be used",
        highlight=False,
        soft_wrap=True,
    )


def list_probes(desk: HardwareMap | None, out: Path, json_file: Path | None) -> None:
    """What is attached; of those that are no unit of `desk`, a draft of a map in the file `out`.

    Raises:
        ProbeError: no probe is attached.
        UsageError: `out` is there already.
    """
    units = {} if desk is None else {unit.probe: unit.name for unit in desk.units}
    found = discovery.discover(attached_probes(), attached_ports(), units)
    if not found:
        raise ProbeError("no debug probe is attached", hint="check cable and power of the board")
    table = Table(title="Attached probes")
    for heading in ("probe", "kind", "serial ports", "unit"):
        table.add_column(heading, overflow="fold")
    for one in found:
        ports = ", ".join(port.device for port in one.ports)
        table.add_row(one.probe.unique_id, one.probe.kind, ports or "none", one.unit or "none")
    if str(json_file) != "-":
        print_table(console, table)
    write_json(
        json_file,
        [
            {
                "probe": one.probe.unique_id,
                "kind": one.probe.kind,
                "serial": [port.device for port in one.ports],
                "unit": one.unit,
            }
            for one in found
        ],
    )
    text, missing = discovery.draft(found)
    if not text:
        errors.print("all of them are units of the hardware map", highlight=False)
        return
    try:
        with out.open("x") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(
            "is there already, and is not overwritten",
            where=out,
            hint="name another file with --out",
        ) from None
    lines = "\n".join(f"- {what}" for what in missing)
    errors.print(
        f"{escape(str(out))} is a draft; to be filled in:\n{escape(lines)}",
        soft_wrap=True,
        highlight=False,
    )
