"""What do people see of the units on this desk, and of the probes that may become some? The part
of `hilnas boards` that is about hardware; parses nothing, decides nothing."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from harness import discovery
from harness.cli import console, errors, write_json
from harness.errors import ProbeError, UsageError
from harness.hardware_map import HardwareMap
from harness.lease import holder_of
from harness.serial_ports import attached_ports
from harness.tables import print_table
from harness.usb import attached_probes


def print_units(desk: HardwareMap) -> None:
    """The map's units, and who has them."""
    table = Table(title="Units")
    for heading in ("unit", "board", "probe", "serial", "state"):
        table.add_column(heading, overflow="fold")
    for unit in desk.units:
        holder = holder_of(unit.probe)
        table.add_row(
            unit.name,
            unit.board,
            unit.probe,
            escape(unit.serial) or "the probe's",
            "free" if holder is None else escape(f"in use by {holder}"),
        )
    print_table(console, table)
    console.print(f"by {escape(str(desk.path))}", soft_wrap=True, highlight=False)


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
