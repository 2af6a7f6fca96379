"""`hilnas run`: parses, calls, prints; decides nothing. Adds its command to the harness's."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from harness.cli import BoardOption, JsonOption, ViaOption, app, errors, write_json
from harness.errors import UsageError
from harness.outputs import require_writable, write_text
from harness.tables import print_table

if TYPE_CHECKING:
    from harness.run import Outcome, Request
    from harness.virtual.sram import SramUse

TOP = 20  # rows of a table; --json has all of them


class Uart(StrEnum):
    STDIO = "stdio"
    PTY = "pty"


class Unmodelled(StrEnum):
    TOLERATE = "tolerate"
    REFUSE = "refuse"


class Pace(StrEnum):
    AUTO = "auto"
    HOST = "host"
    FREE = "free"


@app.command()
def run(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="Firmware: .elf, .hex, or raw .bin.")
    ],
    board: BoardOption,
    via: ViaOption = "virtual",
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="ADDRESS",
            help="Where a .bin goes; the start of flash when left out.",
        ),
    ] = None,
    uart: Annotated[
        Uart, typer.Option(help="The console: on this terminal, or on a pty that is named.")
    ] = Uart.STDIO,
    console: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The chip's UART that is the console; if not the board's."
        ),
    ] = None,
    unmodelled: Annotated[
        Unmodelled, typer.Option(help="What becomes of accesses to peripherals without a model.")
    ] = Unmodelled.TOLERATE,
    seconds: Annotated[
        float | None,
        typer.Option("--for", metavar="SECONDS", help="End after so much virtual time."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="End when the console says it; fail if it does not."),
    ] = None,
    pace: Annotated[
        Pace,
        typer.Option(
            help="An idle core waits for the host's clock: when a person is at the console, "
            "always, or never."
        ),
    ] = Pace.AUTO,
    profile: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            callback=require_writable,
            help="Cycles by function and line; FILE for speedscope.",
        ),
    ] = None,
    trace_sram: Annotated[
        bool, typer.Option("--trace-sram", help="Bytes of SRAM and stack really touched.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Reads of SRAM that nothing has written.")
    ] = False,
    debug_port: Annotated[
        int | None,
        typer.Option(
            "--debug-port", metavar="PORT", min=0, max=65535, help="Serve a debugger; 0: any port."
        ),
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Any firmware, unmodified, with its console; Ctrl-C ends it."""
    from harness.board import load_board
    from harness.console import PtyLine, open_stdio
    from harness.profile_tables import print_profile
    from harness.run import Request, run_image
    from harness.virtual.observed import Modes

    request = Request(
        image=image,
        board=load_board(board),
        via=via,
        base=_address(base),
        refuse_unmodelled=unmodelled is Unmodelled.REFUSE,
        seconds=seconds,
        until=until,
        pace={Pace.AUTO: None, Pace.HOST: True, Pace.FREE: False}[pace],
        console=console,
        modes=Modes(profile=profile is not None, trace=trace_sram, watch=watch),
        debug_port=debug_port,
    )

    @contextmanager
    def open_pty(port: str) -> Iterator[PtyLine]:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        yield PtyLine()

    if uart is Uart.PTY or sys.stdin.isatty():
        _say("Ctrl-C ends the run")
    outcome = run_image(
        request,
        open_stdio if uart is Uart.STDIO else open_pty,
        tell=lambda text: _say(escape(text)),
    )
    _print_summary(outcome, request)
    if outcome.profile is not None and profile is not None:
        write_text(profile, json.dumps(outcome.profile.speedscope))
        print_profile(outcome.profile, errors)
    if outcome.sram is not None:
        _print_sram(outcome.sram)
    if watch:
        _print_uninitialised(outcome)
    write_json(json_file, outcome.to_json(request))
    if outcome.failure is not None:
        errors.print(
            f"[bold red]hilnas:[/] {escape(outcome.failure)}", soft_wrap=True, highlight=False
        )
        raise typer.Exit(1)


def _address(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        address = int(text, 0)
    except ValueError:
        address = -1
    if not 0 <= address < 1 << 32:
        raise UsageError("--base is no address", expected="0x08000000, say", got=repr(text))
    return address


def _say(text: str) -> None:
    errors.print(f"hilnas run: {text}", soft_wrap=True, highlight=False)


_ENDED = {
    "user": "ended by the user",
    "deadline": "ended by --for",
    "text": "ended by --until",
    "idle": "ended: the firmware waits for input, and there is no more",
    "refused": "ended by --unmodelled refuse",
    "locked up": "ended by lock-up",
}


def _print_summary(outcome: Outcome, request: Request) -> None:
    from harness.run import explain_fault
    from harness.virtual.board import TIMING_MODEL

    counters, report = outcome.counters, outcome.report
    ended = _ENDED[outcome.ended]
    if outcome.ended == "deadline" and request.seconds is None:
        ended = "ended: --until waits no longer"
    _say(
        f"{ended}; {outcome.seconds:.6f} s of virtual time, {counters.instructions:,} "
        f"instructions, {counters.cycles:,} cycles, {report.core_hz / 1e6:g} MHz at the end "
        f"({request.board.name}, {request.via}, timing modelled: {TIMING_MODEL})"
    )
    for notice in report.notices:
        _say(
            f"not modelled: 0x{notice.address:08x}, first accessed at "
            f"{escape(outcome.symbols.describe(notice.pc))}"
        )
    for line in outcome.unheard:
        did = f"was written {line.sent_bytes} bytes" if line.sent_bytes else "was switched on"
        _say(f"{outcome.console} was silent, {line.name} {did}: --console {line.name}")
    if report.fault is not None and outcome.failure is None:
        times = f"the last of {report.faults} faults: " if report.faults > 1 else "fault: "
        _say(escape(f"{times}{explain_fault(report.fault, outcome)}"))


def _print_sram(sram: SramUse) -> None:
    table = Table(title="SRAM touched, bytes", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("what", overflow="fold")
    for heading in ("address", "size", "touched", "read", "written"):
        table.add_column(heading, justify="right", no_wrap=True)
    for uses in (sram.regions, sram.sections, sram.variables[:TOP]):
        for use in uses:
            table.add_row(
                escape(use.name),
                f"0x{use.base:08x}",
                f"{use.size:,}",
                f"{use.touched_bytes:,}",
                f"{use.read_bytes:,}",
                f"{use.written_bytes:,}",
            )
        table.add_section()
    print_table(errors, table)
    for stack in sram.stacks:
        _say(
            f"{stack.name} stack: {stack.used_bytes:,} bytes, from 0x{stack.highest:08x} down to "
            f"0x{stack.lowest:08x}"
        )


def _print_uninitialised(outcome: Outcome) -> None:
    if not outcome.uninitialised:
        _say("no read of SRAM that nothing had written")
    for use in outcome.uninitialised[:TOP]:
        variable = f", {use.variable}" if use.variable else ""
        times = f", {use.times} times" if use.times > 1 else ""
        _say(
            escape(
                f"uninitialised: {use.bytes} bytes at 0x{use.address:08x}{variable}, read at "
                f"{use.place}{times}"
            )
        )
    if len(outcome.uninitialised) > TOP:
        _say(f"and {len(outcome.uninitialised) - TOP} more places: --json has them all")
