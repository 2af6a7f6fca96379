"""What does `hilnas flash` do? Adds the command to the harness's; parses, calls, prints."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from harness.board import BOARDS_DIR, Board, load_board
from harness.chip import load_chip
from harness.cli import (
    BoardOption,
    HardwareMapOption,
    JsonOption,
    UnitOption,
    ViaOption,
    app,
    console,
    errors,
    write_json,
)
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.probe import Access

VIAS = ("virtual", "hardware")


@app.command()
def flash(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help=".elf, .hex or .bin")],
    board: BoardOption,
    via: ViaOption = "virtual",
    unit: UnitOption = None,
    hardware_map: HardwareMapOption = None,
    probe: Annotated[
        str | None,
        typer.Option(
            "--probe",
            metavar="UID",
            help="A probe's unique id, or remote:HOST:PORT, whatever the hardware map says.",
        ),
    ] = None,
    pack: Annotated[
        Path | None,
        typer.Option("--pack", metavar="FILE", help="CMSIS pack of a chip pyOCD does not know."),
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Erase, program and verify an image through a debug probe, then run it.

    Via virtual and without --probe a virtual board is started and flashed through its debug port,
    by exactly the code that flashes silicon.
    """
    from harness.probe import flash as flash_through_probe
    from harness.probe import pyocd_version
    from harness.virtual.loader import check_board, check_vectors, memories_of, read_program

    described = load_board(board)
    if pack is not None and not pack.is_file():
        raise UsageError("there is no such pack", where=pack, hint="check the path")
    if unit is not None and (probe is not None or via != "hardware"):
        raise UsageError(
            "--unit names a unit of the hardware map", expected="--via hardware without --probe"
        )
    chip = load_chip(described.chip, BOARDS_DIR)
    program = read_program(image, memories_of(chip))
    check_board(program, described.name)
    check_vectors(program, chip)
    with _leased(described, via, probe, unit, hardware_map) as found, _bars() as bars:
        access = found if pack is None else replace(found, pack=pack)
        task = bars.add_task("connecting", total=1.0)
        done = flash_through_probe(
            program.segments,
            access,
            on_progress=lambda step, part: bars.update(task, description=step, completed=part),
        )
    if str(json_file) != "-":
        console.print(
            f"{escape(str(image))}: {done.image_bytes:,} bytes in the flash of "
            f"{described.name}, read back and equal; {done.sectors} sectors erased, "
            f"{done.unchanged_bytes:,} bytes were there already; {done.seconds:.1f} s through "
            f"{escape(access.probe)}, pyOCD {pyocd_version()}",
            soft_wrap=True,
            highlight=False,
        )
    facts = {"board": described.name, "probe": access.probe, "pyocd": pyocd_version()}
    write_json(json_file, {**facts, **asdict(done)})


@contextlib.contextmanager
def _leased(
    board: Board, via: str, probe: str | None, unit: str | None, map_file: Path | None
) -> Iterator[Access]:
    """How pyOCD reaches the unit that was asked for, which nobody else has meanwhile."""
    from harness.hardware import check_pyocd
    from harness.hardware_map import load_hardware_map
    from harness.lease import lease
    from harness.probe import Access

    if via not in VIAS:
        raise UsageError(
            f"{board.name} cannot be flashed via {via!r}",
            expected=" or ".join(VIAS),
            hint="use --via virtual",
        )
    check_pyocd(board)
    if probe is None and via == "virtual":
        from harness.virtual.board import VirtualBoard

        with VirtualBoard(board) as played:
            yield Access(board.pyocd.target, played.debug_port())
        return
    if probe is not None:
        name, options = probe, board.pyocd
        access = Access(options.target, probe, None, options.reset_type, options.connect_mode)
    else:
        desk = load_hardware_map(map_file)
        chosen = desk.unit_of(board.name, unit)
        name, access = chosen.name, desk.access_to(chosen, board)
    with lease(access.probe, unit=name):
        yield access


def _bars() -> Progress:
    """On stderr: stdout may carry JSON."""
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
    )
