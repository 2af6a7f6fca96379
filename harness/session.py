"""How does the harness talk to one unit? Flash an image, see that it is the one that answers, run
it. Knows nothing of models; a Session moves bytes and numbers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from harness import wire
from harness.board import BOARDS_DIR, Board
from harness.chip import load_chip
from harness.energy import EnergyMeter
from harness.errors import (
    BoardError,
    FrameError,
    LinkError,
    NoReplyError,
    RequestRefusedError,
    UnknownBoardError,
    UsageError,
    WrongImageError,
)
from harness.hostboard import HostBoard
from harness.link import Link
from harness.measurement import Conditions
from harness.qemu import QemuBoard
from harness.renode import RenodeBoard
from harness.renode_platform import can_play
from harness.symbols import Symbols

if TYPE_CHECKING:
    from harness.virtual.board import VirtualBoard

M = TypeVar("M", bound=wire.Message)


class Unit(Protocol):
    """One board, real or played, behind a serial port.

    load() writes an image, resets the unit and lets it run; reset() starts the loaded one anew.
    explain_silence() says what became of a unit that does not answer, None when it cannot tell;
    a BoardError is an explanation as well.
    """

    port: str

    def load(self, elf: Path) -> None: ...
    def reset(self) -> None: ...
    def explain_silence(self) -> str | None: ...


class Firmware(Protocol):
    """What can be flashed: harness.image's Image or HostProgram."""

    @property
    def elf(self) -> Path: ...
    @property
    def board(self) -> str: ...
    @property
    def nonce(self) -> bytes: ...


@dataclass(frozen=True)
class Deadlines:
    """Seconds that a unit may take: from its reset to its greeting, for the reply to a request,
    for an inference."""

    boot_s: float = 10.0
    reply_s: float = 10.0
    run_s: float = 120.0  # a second of board time is some seconds of emulation


@dataclass(frozen=True)
class RunResult:
    """One inference. layers: (operator index, cycles) of a profiled run, else empty."""

    cycles: int
    arena_used_bytes: int
    stack_used_bytes: int
    guard_intact: bool
    layers: tuple[tuple[int, int], ...]


class Session:
    """A unit with an open line to it. Every call may raise NoReplyError, FrameError, LinkError,
    RequestRefusedError, FirmwareFaultError, BoardError or ProbeError; none waits without a
    deadline, see `deadlines`. `note`: what people may want to know of the unit and how it is
    reached. meter: in the unit's supply, where there is one."""

    def __init__(
        self,
        board: Board,
        via: str,
        unit: Unit,
        link: Link,
        *,
        timing: str,
        timing_model: str,
        note: str = "",
        deadlines: Deadlines = Deadlines(),  # noqa: B008, frozen
        meter: EnergyMeter | None = None,
    ) -> None:
        self.board = board
        self.via = via
        self.unit = unit
        self.link = link
        self.timing = timing
        self.timing_model = timing_model
        self.note = note
        self.deadlines = deadlines
        self._nonce = secrets.token_bytes(wire.NONCE_BYTES)
        self.meter = meter
        self._hello: wire.Greeting | None = None

    @property
    def hello(self) -> wire.Greeting:
        """What the flashed image says of itself.

        Raises:
            UsageError: nothing was flashed yet.
        """
        if self._hello is None:
            raise UsageError(
                "the session has no image yet", where=self.link.port, hint="call flash() first"
            )
        return self._hello

    def flash(self, image: Firmware) -> None:
        """Load `image`, reset the unit and await the greeting of this very build, to this very
        session.

        Raises:
            WrongImageError: other firmware answers, or an image for another board.
            BoardError: the chip's registers say that it runs otherwise than its board.toml does.
        """
        if image.board != self.board.name:
            raise WrongImageError(
                "the image was built for another board",
                where=image.elf,
                expected=self.board.name,
                got=image.board,
                hint="build it for the board of this session",
            )
        self._hello = None
        self.link.find_function = Symbols(image.elf).name_at
        self.link.discard()
        self.unit.load(image.elf)
        self._hello = self._expect(image.nonce)

    def restart(self) -> None:
        """Reset the unit, after a fault for example; memory marks and inputs are gone then.

        Raises:
            WrongImageError: other firmware answers than was flashed.
        """
        nonce = self.hello.nonce
        self.link.discard()
        self.unit.reset()
        self._hello = self._expect(nonce)

    def _expect(self, nonce: bytes) -> wire.Greeting:
        greeting = self._await_greeting()
        for what, expected, got in (
            ("build nonce", nonce.hex(), greeting.nonce.hex()),
            ("board", self.board.name, greeting.board),
            ("session", self._nonce.hex(), greeting.session.hex()),
        ):
            if got != expected:
                raise WrongImageError(
                    f"the unit runs other firmware than was flashed: its {what} differs",
                    where=self.link.port,
                    expected=expected,
                    got=got,
                    hint="is another program flashing this unit?",
                )
        self._require_speed(greeting)
        return greeting

    def _require_speed(self, greeting: wire.Greeting) -> None:
        """A chip that missed its clock or its caches would measure something else."""
        board = self.board
        wanted = [name for name, is_on in vars(board.caches).items() if is_on]
        switched_on = [str(cache.name).lower() for cache in greeting.caches]
        for what, expected, got in (
            ("clock (Hz)", board.sysclk_hz, greeting.sysclk_hz),
            ("flash wait states", board.flash_wait_states, greeting.flash_wait_states),
            ("flash caches", ", ".join(wanted) or "none", ", ".join(switched_on) or "none"),
        ):
            if got != expected:
                raise BoardError(
                    f"by its registers, the chip runs otherwise than board.toml says: its {what}",
                    where=self.board.name,
                    expected=expected,
                    got=got,
                    hint="reset the unit, or flash it again; else board.toml is wrong",
                )

    def _await_greeting(self) -> wire.Greeting:
        half_s = self.deadlines.boot_s / 2
        with suppress(NoReplyError), self._explained():  # the line may have eaten it
            self.link.await_boot(half_s)
        return self._request(wire.Hello(self._nonce), wire.Greeting, half_s)

    def prepare(self, pattern: int) -> None:
        """Paint the free stack and the arena with the byte `pattern`: inputs are gone then."""
        self._request(wire.Prepare(pattern), wire.Prepared)

    def write_input(self, index: int, data: bytes) -> None:
        """Fill input tensor `index`.

        Raises:
            UsageError: no such input, or `data` has another size.
        """
        size = _size_of(self.hello.input_bytes, index, "input")
        if len(data) != size:
            raise UsageError(f"input {index} has another size", expected=size, got=len(data))
        for at in range(0, size, wire.CHUNK_MAX):
            chunk = data[at : at + wire.CHUNK_MAX]
            self._request(wire.WriteInput(index, at, chunk), wire.InputWritten)

    def run(self, *, profile: bool = False, deadline_s: float | None = None) -> RunResult:
        """One inference on what the inputs hold. Memory marks count from the last prepare();
        with `profile` they and the cycles contain the reporting, so take them without. The layers
        are those that came: the line may have lost some."""
        layers: list[tuple[int, int]] = []
        done = self._request(
            wire.Run(profile),
            wire.RunDone,
            deadline_s,
            lambda layer: layers.append((layer.index, layer.cycles)),
        )
        return RunResult(
            cycles=done.cycles,
            arena_used_bytes=done.arena_used_bytes,
            stack_used_bytes=done.stack_used_bytes,
            guard_intact=done.guard_intact,
            layers=tuple(layers),
        )

    def read_output(self, index: int) -> bytes:
        """The bytes of output tensor `index`.

        Raises:
            UsageError: no such output.
        """
        size = _size_of(self.hello.output_bytes, index, "output")
        parts = []
        for at in range(0, size, wire.CHUNK_MAX):
            length = min(wire.CHUNK_MAX, size - at)
            chunk = self._request(wire.ReadOutput(index, at, length), wire.OutputChunk)
            if (chunk.tensor, chunk.offset, len(chunk.data)) != (index, at, length):
                raise FrameError(
                    "another piece of output came than was asked for",
                    where=self.link.port,
                    expected=f"output {index}, {length} bytes from {at}",
                    got=f"output {chunk.tensor}, {len(chunk.data)} bytes from {chunk.offset}",
                )
            parts.append(chunk.data)
        return b"".join(parts)

    def conditions(self) -> Conditions:
        """What the chip's sensors say now; of a played board, what its model makes up."""
        told = self._request(wire.ReadConditions(), wire.ConditionsRead)
        return Conditions(
            temperature_c=None if told.temperature is None else told.temperature / 100,
            vdd_v=None if told.vdd_mv is None else told.vdd_mv / 1000,
        )

    def cycles(self) -> int:
        """What the core's counter of cycles has come to, modulo 2^32: at some moment between the
        call and its return."""
        return self._request(wire.ReadCycles(), wire.CyclesRead).cycles

    def provoke(self, kind: int) -> None:
        """Raise fault `kind` in an image built for tests; returns only if it did not come."""
        self._request(wire.Provoke(kind), wire.Provoked)

    def _request(
        self,
        message: wire.Request,
        reply: type[M],
        deadline_s: float | None = None,
        on_layer: Callable[[wire.LayerDone], None] | None = None,
    ) -> M:
        if deadline_s is None:
            own = isinstance(message, wire.Run)
            deadline_s = self.deadlines.run_s if own else self.deadlines.reply_s
        with self._explained():
            answer = self.link.request(message, deadline_s=deadline_s, on_layer=on_layer)
        assert isinstance(answer, reply)  # the link has compared the types
        return answer

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Where silence or a broken line has a cause that the unit knows, that is the error."""
        try:
            yield
        except LinkError as silence:
            answered = isinstance(silence, FrameError | RequestRefusedError)
            reason = None if answered else self.unit.explain_silence()
            if reason is None:
                raise
            raise BoardError(
                f"{silence.what}: {reason}",
                where=self.board.name,
                hint="reset the unit or flash it again",
            ) from None


def _size_of(sizes: tuple[int, ...], index: int, what: str) -> int:
    if not 0 <= index < len(sizes):
        raise UsageError(f"no such {what}", expected=f"0 to {len(sizes) - 1}", got=index)
    return sizes[index]


class ProbedUnit:
    """A virtual board whose images go into flash as they do on silicon: through a debug probe,
    the vendor's flash algorithm and the chip's flash controller."""

    def __init__(self, unit: VirtualBoard, board: Board) -> None:
        self.port = unit.port
        self.reset = unit.reset
        self.explain_silence = unit.explain_silence
        self._board = board
        self._probe = unit.debug_port()

    def load(self, elf: Path) -> None:
        from harness.probe import Access, flash
        from harness.virtual.loader import read_program

        program = read_program(elf, [self._board.memory.flash])
        flash(program.segments, Access(self._board.pyocd.target, self._probe))


@dataclass(frozen=True)
class Way:
    """What else there is to say of how a board is reached. through: how images get into the flash
    of a virtual one, "memory" or "probe". unit, hardware_map: which one on the desk, by its name
    in the map; None: the only one, and the map that is found."""

    through: str = "memory"
    unit: str | None = None
    hardware_map: Path | None = None


@contextmanager
def _open_virtual(board: Board, way: Way) -> Iterator[Session]:
    from harness.virtual.board import TIMING_MODEL, VirtualBoard
    from harness.virtual.nursery import NURSERY

    probed = way.through == "probe"
    # A debug port is served by a process of its own, not by a fork.
    opened = VirtualBoard(board) if probed else NURSERY.open(board)
    with opened as played, Link(played.port, board.console.baud) as link:
        unit: Unit = ProbedUnit(played, board) if probed else played
        yield Session(board, "virtual", unit, link, timing="modelled", timing_model=TIMING_MODEL)


def _open_hardware(board: Board, way: Way) -> AbstractContextManager[Session]:
    from harness.hardware import open_unit

    return open_unit(board, way.unit, way.hardware_map)


def _refuse_probe(emulator: str, board: Board, way: Way) -> None:
    if way.through != "memory":
        raise UsageError(
            f"{emulator}'s boards have no debug probe",
            where=board.name,
            expected="--through memory",
            got=f"--through {way.through}",
        )


@contextmanager
def _open_qemu(board: Board, way: Way) -> Iterator[Session]:
    _refuse_probe("QEMU", board, way)
    assert board.qemu is not None  # open_session() has looked
    with QemuBoard(board.qemu) as played, Link(played.port, board.console.baud) as link:
        model = f"QEMU {played.version}"
        yield Session(board, "qemu", played, link, timing="instructions", timing_model=model)


@contextmanager
def _open_renode(board: Board, way: Way) -> Iterator[Session]:
    _refuse_probe("Renode", board, way)
    opened = RenodeBoard(board, load_chip(board.chip, BOARDS_DIR))
    with opened as played, Link(played.port, board.console.baud) as link:
        model = f"Renode {played.version}"
        yield Session(board, "renode", played, link, timing="instructions", timing_model=model)


@contextmanager
def open_host_session(board: Board) -> Iterator[Session]:
    """A session with the firmware's host port (harness.image.build_host_program), for tests; its
    timing is "host" and no Measurement may hold it."""
    with HostBoard() as unit, Link(unit.port, board.console.baud) as link:
        yield Session(board, "host", unit, link, timing="host", timing_model="")


VIAS: dict[str, Callable[[Board, Way], AbstractContextManager[Session]]] = {
    "virtual": _open_virtual,
    "hardware": _open_hardware,
    "qemu": _open_qemu,
    "renode": _open_renode,
}
TIMED = ("virtual", "hardware")  # their cycles are a time; the others' are instructions
THROUGH = ("memory", "probe")


def vias_of(board: Board) -> tuple[str, ...]:
    """The ways by which `board` can be reached."""
    cannot = {"qemu": board.qemu is None, "renode": not can_play(board)}
    return tuple(via for via in VIAS if not cannot.get(via))


def open_session(
    board: Board,
    via: str,
    through: str = "memory",
    *,
    unit: str | None = None,
    hardware_map: Path | None = None,
) -> AbstractContextManager[Session]:
    """A session with a unit of `board`, closed on leaving the context. `through`, `unit` and
    `hardware_map`: see Way.

    Raises:
        UnknownBoardError: `via` is no way to reach it.
        UsageError: `through` is no way into flash, or a unit is named where none has a name.
        ToolchainError: on entering, when QEMU or Renode is not installed.
        BoardError, LinkError, ProbeError, UsageError: on entering, when there is no such unit or
            it does not start.
    """
    ways = vias_of(board)
    if via not in ways:
        raise UnknownBoardError(
            f"{board.name} cannot be measured via {via!r}",
            expected=" or ".join(ways),
            hint=f"use --via {ways[0]}",
        )
    if through not in THROUGH:
        raise UsageError(
            f"an image does not get into flash through {through!r}",
            expected=" or ".join(THROUGH),
            hint="use --through memory",
        )
    if unit is not None and via != "hardware":
        raise UsageError(
            "only boards on the desk have units",
            expected="--via hardware",
            got=f"--via {via} --unit {unit}",
        )
    return VIAS[via](board, Way(through, unit, hardware_map))
