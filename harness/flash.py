"""What does `hilnas flash` do? Adds the command to the harness's; parses, calls, prints."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from harness.board import BOARDS_DIR, Board, load_board
from harness.chip import load_chip
from harness.cli import BoardOption, JsonOption, app, console, errors, write_json
from harness.errors import UsageError

VIAS = ("virtual", "hardware")


@app.command()
def flash(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help=".elf, .hex or .bin")],
    board: BoardOption,
    via: Annotated[
        str, typer.Option("--via", help="virtual, or hardware with --probe.")
    ] = "virtual",
    probe: Annotated[
        str | None,
        typer.Option("--probe", metavar="UID", help="A probe's unique id, or remote:HOST:PORT."),
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
    from harness.virtual.loader import check_board, check_vectors, memories_of, read_program

    described = load_board(board)
    if pack is not None and not pack.is_file():
        raise UsageError("there is no such pack", where=pack, hint="check the path")
    chip = load_chip(described.chip, BOARDS_DIR)
    program = read_program(image, memories_of(chip))
    check_board(program, described.name)
    check_vectors(program, chip)
    with _unique_id(described, via, probe) as unique_id, _bars() as bars:
        task = bars.add_task("connecting", total=1.0)
        done = flash_through_probe(
            program.segments,
            target=described.pyocd.target,
            probe=unique_id,
            pack=pack,
            on_progress=lambda step, part: bars.update(task, description=step, completed=part),
        )
    if str(json_file) != "-":
        console.print(
            f"{escape(str(image))}: {done.image_bytes:,} bytes in the flash of "
            f"{described.name}, read back and equal; {done.sectors} sectors erased, "
            f"{done.unchanged_bytes:,} bytes were there already; {done.seconds:.1f} s through "
            f"{escape(unique_id)}",
            soft_wrap=True,
            highlight=False,
        )
    write_json(json_file, {"board": described.name, "probe": unique_id, **asdict(done)})


@contextlib.contextmanager
def _unique_id(board: Board, via: str, probe: str | None) -> Iterator[str]:
    if via not in VIAS:
        raise UsageError(
            f"{board.name} cannot be flashed via {via!r}",
            expected=" or ".join(VIAS),
            hint="use --via virtual",
        )
    if probe is not None:
        yield probe
    elif via == "virtual":
        from harness.virtual.board import VirtualBoard

        with VirtualBoard(board) as unit:
            yield unit.debug_port()
    else:
        raise UsageError(
            f"no probe is named for {board.name} via {via!r}",
            hint="give its unique id with --probe, or use --via virtual",
        )


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
