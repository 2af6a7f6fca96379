"""How does any firmware run on a board, with the user at its console? Checks the file, boots it,
moves bytes until something ends the run, and says what that was. Knows nothing of terminals'
looks: harness/run_cli.py prints."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from harness.board import BOARDS_DIR, Board, with_console
from harness.chip import Chip, load_chip
from harness.errors import UnknownBoardError, UsageError
from harness.symbols import Symbols
from harness.virtual.board import TIMING_MODEL, Counters, VirtualBoard
from harness.virtual.loader import (
    Program,
    check_board,
    check_vectors,
    memories_of,
    read_program,
)
from harness.virtual.observed import Modes
from harness.virtual.profile import Profile, make_profile
from harness.virtual.report import (
    CFSR_UNDEFINSTR,
    Fault,
    Limits,
    Report,
    Uart,
    cfsr_bits,
    exception_name,
    hfsr_bits,
)
from harness.virtual.sram import SramUse, make_sram_use

UNTIL_SECONDS = 60.0  # of virtual time, where --until has no --for
MAX_TEXT_BYTES = 200  # LIMIT_TEXT_BYTES of the core
POLL_SECONDS = 0.05
WAITING = ("waiting for serial", "asleep")


class Line(Protocol):
    """What the user's end of the console is."""

    @property
    def interactive(self) -> bool: ...

    @property
    def input_over(self) -> bool:
        """Nothing more will come from the user, and all that came is on the line."""

    def prepare(self) -> None:
        """The board is loaded and has not started."""

    def pump(self, seconds: float) -> None:
        """Move bytes both ways for so long at most."""

    def finish(self) -> None:
        """The board has stopped: what it said before is still to come."""


OpenLine = Callable[[str], AbstractContextManager[Line]]


@dataclass(frozen=True)
class Request:
    """What is to be run. seconds and until: of virtual time, and what the console must say; pace:
    whether an idle core waits for the host's clock, None where a person is at the console;
    console: a UART of the chip, None for the board's; debug_port: a TCP port to serve a debugger
    at, 0 for any free one."""

    image: Path
    board: Board
    via: str = "virtual"
    base: int | None = None
    refuse_unmodelled: bool = False
    seconds: float | None = None
    until: str | None = None
    pace: bool | None = None
    console: str | None = None
    modes: Modes = Modes()
    debug_port: int | None = None


@dataclass(frozen=True)
class UninitialisedUse:
    """A read of bytes that nothing had written since reset, once an instruction."""

    address: int
    bytes: int
    variable: str | None
    pc: int
    place: str
    times: int


@dataclass(frozen=True)
class Outcome:
    """How a run ended. ended: user, deadline, text, refused, idle or locked up. failure: one
    sentence, None where the run did what was asked of it."""

    ended: str
    failure: str | None
    seconds: float
    counters: Counters
    report: Report
    program: Program
    symbols: Symbols
    console: str
    profile: Profile | None
    sram: SramUse | None
    uninitialised: tuple[UninitialisedUse, ...]

    @property
    def unheard(self) -> tuple[Uart, ...]:
        """Where a firmware that said nothing on the console is likely to have its own: the UARTs
        it wrote to, the busiest first, or else, where the console is off, those that are on."""
        console = next(uart for uart in self.report.uarts if uart.name == self.console)
        if console.sent_bytes:
            return ()
        spoke = [uart for uart in self.report.uarts if uart.sent_bytes]
        if spoke:
            return tuple(sorted(spoke, key=lambda uart: -uart.sent_bytes))
        return () if console.on else tuple(uart for uart in self.report.uarts if uart.on)

    def to_json(self, request: Request) -> dict[str, Any]:
        describe = self.symbols.describe
        fault = self.report.fault
        return {
            "image": str(request.image),
            "format": self.program.format,
            "board": request.board.name,
            "via": request.via,
            "ended": self.ended,
            "failure": self.failure,
            "virtual_seconds": self.seconds,
            "instructions": self.counters.instructions,
            "cycles": self.counters.cycles,
            "core_hz": self.report.core_hz,
            "timing": "modelled",
            "timing_model": TIMING_MODEL,
            "unmodelled": [
                {"address": n.address, "pc": n.pc, "place": describe(n.pc)}
                for n in self.report.notices
            ],
            "console": self.console,
            "uarts": [vars(uart) for uart in self.report.uarts],
            "faults": self.report.faults,
            "last_fault": None if fault is None else explain_fault(fault, self),
            "registers": self.report.registers,
            "profile": None if self.profile is None else self.profile.to_json(),
            "sram": None if self.sram is None else self.sram.to_json(),
            "uninitialised": [vars(use) for use in self.uninitialised],
        }


def run_image(
    request: Request, open_line: OpenLine, tell: Callable[[str], None] = lambda text: None
) -> Outcome:
    """Run until the user interrupts, a limit is reached or the board fails.

    `tell` hears where a debugger can connect, and of the first fault when it comes, since
    firmware tends to be silent then.

    Raises:
        UsageError, ImageError, WrongImageError: the image cannot be used.
        BoardError: the process that plays the board failed.
    """
    request, chip, program = _check(request)
    symbols = Symbols(program.elf)
    limits = Limits(
        seconds=UNTIL_SECONDS if request.until and request.seconds is None else request.seconds,
        text=(request.until or "").encode(),
        refuse_unmodelled=request.refuse_unmodelled,
    )
    with VirtualBoard(request.board) as unit:
        if request.modes:
            unit.observe(request.modes, symbols.boundaries())
        unit.load(request.image, base=request.base, start=False)
        if request.debug_port is not None:
            tell(f"debug port: {unit.debug_port(request.debug_port)}")
        with open_line(unit.port) as line:
            pace = line.interactive if request.pace is None else request.pace
            unit.limit(replace(limits, pace=pace))
            run = _Run(unit, line, limits, program, symbols, tell)
            ended = run.follow()
            report = unit.report()
            counters = unit.counters()
            line.finish()
        seen = unit.observed() if request.modes else None
    outcome = Outcome(
        ended=ended,
        failure=None,
        seconds=report.seconds,
        counters=counters,
        report=report,
        program=program,
        symbols=symbols,
        console=request.board.console.uart,
        profile=make_profile(seen, symbols, title=request.image.name)
        if seen and request.modes.profile
        else None,
        sram=make_sram_use(seen, symbols) if seen and request.modes.trace else None,
        uninitialised=_uninitialised(seen.uninitialised if seen else (), symbols),
    )
    return replace(outcome, failure=_failure(outcome, request, limits, chip))


def _check(request: Request) -> tuple[Request, Chip, Program]:
    if request.via != "virtual":
        raise UnknownBoardError(
            f"{request.board.name} cannot be run via {request.via!r}",
            expected="virtual",
            hint="use --via virtual",
        )
    if request.until is not None and not 0 < len(request.until.encode()) <= MAX_TEXT_BYTES:
        raise UsageError(
            "--until cannot wait for that",
            expected=f"1 to {MAX_TEXT_BYTES} bytes of text",
            got=len(request.until.encode()),
        )
    if request.seconds is not None and not 0 < request.seconds < 1e9:
        raise UsageError("--for needs virtual seconds above 0", got=f"{request.seconds:g}")
    chip = load_chip(request.board.chip, BOARDS_DIR)
    if request.console is not None:
        board = with_console(request.board, chip, request.console)
        request = replace(request, board=board)
    program = read_program(request.image, memories_of(chip), base=request.base)
    check_board(program, request.board.name)
    check_vectors(program, chip)
    return request, chip, program


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM, gathered and not raised: no question to the board is torn apart."""
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Run:
    """The time between start and end."""

    def __init__(
        self,
        unit: VirtualBoard,
        line: Line,
        limits: Limits,
        program: Program,
        symbols: Symbols,
        tell: Callable[[str], None],
    ) -> None:
        self._unit, self._line, self._limits = unit, line, limits
        self._program, self._symbols, self._tell = program, symbols, tell
        self._told_fault = self._told_input = False
        self._idle_seconds = 0.0
        self._before: Counters | None = None

    def follow(self) -> str:
        """What ended the run."""
        self._line.prepare()
        self._tell_input()
        self._unit.go()
        since = time.monotonic()
        with _interrupts() as interrupted:
            while not interrupted:
                self._line.pump(POLL_SECONDS)
                counters = self._unit.counters()
                self._tell_fault(counters)
                if counters.state == "locked up":
                    return "locked up"
                if counters.state == "stopped":
                    return self._unit.report().ended
                self._tell_input()
                now = time.monotonic()
                if self._waited_long_enough(counters, now - since):
                    return "deadline" if self._line.interactive else "idle"
                since = now
        return "user"

    def _tell_input(self) -> None:
        limited = self._limits.seconds is not None
        if limited and self._line.input_over and not self._told_input:
            self._told_input = True
            self._unit.end_input()

    def _tell_fault(self, counters: Counters) -> None:
        if not counters.faults or self._told_fault or counters.state in ("stopped", "locked up"):
            return
        self._told_fault = True
        fault = self._unit.report().fault
        self._unit.go()
        if fault is not None:
            self._tell(f"fault: {describe_fault(fault, self._program, self._symbols)}")

    def _waited_long_enough(self, counters: Counters, seconds: float) -> bool:
        """While the core waits for the host, virtual time stands still: the host's counts."""
        before, self._before = self._before, counters
        if counters.state in WAITING and before and before.instructions == counters.instructions:
            self._idle_seconds += seconds
        limit = self._limits.seconds
        return limit is not None and counters.virtual_seconds + self._idle_seconds >= limit


def _uninitialised(reads: Sequence[Any], symbols: Symbols) -> tuple[UninitialisedUse, ...]:
    return tuple(
        UninitialisedUse(
            read.address,
            read.bytes,
            symbols.variable_at(read.address),
            read.pc,
            symbols.describe(read.pc),
            read.times,
        )
        for read in reads
    )


def describe_fault(fault: Fault, program: Program, symbols: Symbols) -> str:
    """`UsageFault at 0x08000124, main+0x4 (main.c:3): an instruction that ...`"""
    text = f"{fault.name} at {symbols.describe(fault.pc)}: {fault.meaning}"
    if fault.cfsr & CFSR_UNDEFINSTR:
        encoding = program.encoding(fault.pc)
        if encoding is not None:
            text += f" ({encoding})"
    if fault.address is not None:
        text += f" (0x{fault.address:08x})"
    return text


def explain_fault(fault: Fault, outcome: Outcome) -> str:
    """The same with the registers that say how it came."""
    described = describe_fault(fault, outcome.program, outcome.symbols)
    return (
        f"{described}; lr {outcome.symbols.describe(fault.lr)}; sp 0x{fault.sp:08x}; "
        f"cfsr {cfsr_bits(fault.cfsr)}; hfsr {hfsr_bits(outcome.report.registers['hfsr'])}"
    )


def _where(outcome: Outcome) -> str:
    """Where the core was when the run ended."""
    registers, number = outcome.report.registers, outcome.report.exception
    text = f"the core was at {outcome.symbols.describe(registers['pc'])}"
    if number:
        text += f", handling {exception_name(number)}"
    fault = outcome.report.fault
    if fault is not None:
        text += f"; the last fault was a {explain_fault(fault, outcome)}"
    return text


def _failure(outcome: Outcome, request: Request, limits: Limits, chip: Chip) -> str | None:
    name = request.board.name
    if outcome.ended == "locked up":
        fault = outcome.report.fault
        why = explain_fault(fault, outcome) if fault else _where(outcome)
        return f"{name}: the core locked up, by a fault inside a fault handler: {why}"
    if outcome.ended == "refused":
        notice = outcome.report.notices[-1]
        return (
            f"{name}: no model of {chip.name} answers at 0x{notice.address:08x}, accessed at "
            f"{outcome.symbols.describe(notice.pc)}; --unmodelled tolerate goes on with registers "
            "that only remember"
        )
    if request.until is None or outcome.ended in ("text", "user"):
        return None
    if outcome.ended == "idle":
        return (
            f"{name}: the firmware waits for input and will not say {request.until!r}; "
            f"{_where(outcome)}"
        )
    return (
        f"{name}: the console did not say {request.until!r} within {limits.seconds:g} s of "
        f"virtual time; {_where(outcome)}"
    )
