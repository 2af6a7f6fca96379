"""How does one case go, and what is wrong with its outcome? Measured through the proxy by the real
`measure`, then measured once more without faults if there was an error."""

from __future__ import annotations

import dataclasses
import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.board import load_board
from harness.engines import AOT, Built
from harness.errors import (
    BoardError,
    HilnasError,
    LinkError,
    MeasurementRefusedError,
    WrongImageError,
)
from harness.lease import holder_of, lease
from harness.link import Link
from harness.measure import measure
from harness.measurement import Measurement
from harness.options import DEFAULTS
from harness.session import Deadlines, RunResult, Session
from harness.virtual.board import TIMING_MODEL, VirtualBoard
from harness.virtual.nursery import NURSERY
from harness.wire import CHUNK_MAX, Greeting
from tests.campaign.faults import FLASH, PREPARE, REPORT, RUN, WRITE, Case, Counts, Fault, draw
from tests.campaign.proxy import Proxy
from tests.tflite_factory import ModelFactory, small_network, svdf

BOARD = load_board("nucleo_f412zg")
DEADLINES = Deadlines(boot_s=0.6, reply_s=0.6, run_s=0.6)
BOARD_REPLY_S, BOARD_QUIT_S = 1.0, 0.5
SLACK_S = 1.0
SAME = "same"
_HANG_S = 120.0
_FLASH_TAKES_S = 0.02  # about; a fault while flashing comes within
_TIDY_S = 5.0
# What may be said of a line or a board that failed. A refused measurement blames the model.
_ALLOWED = (LinkError, BoardError, WrongImageError)


@dataclass(frozen=True)
class Model:
    """built: as the engine makes it. truth: its undisturbed measurement, without times."""

    data: bytes
    built: Built
    truth: Measurement
    counts: Counts
    greeting: Greeting


@dataclass(frozen=True)
class Operation:
    """What took longest against its deadline."""

    name: str
    seconds: float
    deadline_s: float


@dataclass(frozen=True)
class Outcome:
    """result: SAME, or the name of the error; where: the phase it came in. again: the same
    of a second attempt on the same session, empty where there was none. problems: what must not
    be, in words."""

    case: Case
    fired: tuple[Fault, ...]
    result: str
    where: str
    again: str
    problems: tuple[str, ...]
    slowest: Operation


@dataclass(frozen=True)
class _Ready:
    """An engine that has built already."""

    built: Built
    name: str = AOT.name
    version: str = AOT.version

    def build(self, *_: Any, **__: Any) -> Built:
        return self.built

    def ship(self, *_: Any, **__: Any) -> Built:
        return self.built


class _TimedSession(Session):
    """Knows the phase it is in, and how long each took."""

    phase = FLASH

    def __init__(self, *words: Any, **details: Any) -> None:
        super().__init__(*words, **details)
        self.operations: list[Operation] = []

    @contextmanager
    def _timed(self, phase: str, deadline_s: float) -> Iterator[None]:
        self.phase, start = phase, time.monotonic()
        try:
            yield
        finally:
            # A board that is silent is asked for the reason, and ended if it does not answer.
            allowed = deadline_s + BOARD_REPLY_S + BOARD_QUIT_S
            self.operations.append(Operation(phase, time.monotonic() - start, allowed))

    def flash(self, image: Any) -> None:
        with self._timed(FLASH, BOARD_REPLY_S + self.deadlines.boot_s):
            super().flash(image)

    def prepare(self, pattern: int) -> None:
        with self._timed(PREPARE, self.deadlines.reply_s):
            super().prepare(pattern)

    def write_input(self, index: int, data: bytes) -> None:
        with self._timed(WRITE, -(-len(data) // CHUNK_MAX) * self.deadlines.reply_s):
            super().write_input(index, data)

    def run(self, *, profile: bool = False, deadline_s: float | None = None) -> RunResult:
        with self._timed(RUN, self.deadlines.run_s):
            return super().run(profile=profile, deadline_s=deadline_s)

    def read_output(self, index: int) -> bytes:
        size = self.hello.output_bytes[index]
        with self._timed(REPORT, -(-size // CHUNK_MAX) * self.deadlines.reply_s):
            return super().read_output(index)


@dataclass
class _FaultyUnit:
    """The board that faults befall, those of flashing by itself and the others by the proxy."""

    played: VirtualBoard
    old_elf: Path
    faults: tuple[Fault, ...]
    port: str = ""
    fired: list[Fault] = field(default_factory=list)
    _turn: threading.Lock = field(default_factory=threading.Lock)  # the control channel has one
    _timers: list[threading.Timer] = field(default_factory=list)

    def load(self, elf: Path) -> None:
        for fault in self.faults:
            if fault.phase != FLASH:
                continue
            self.fired.append(fault)
            if fault.kind == "old image":
                elf = self.old_elf
            else:
                self._later(fault.at * _FLASH_TAKES_S, self.befall, fault)
        with self._turn:
            self.played.load(elf)

    def reset(self) -> None:
        with self._turn:
            self.played.reset()

    def explain_silence(self) -> str | None:
        with self._turn:
            return self.played.explain_silence()

    def befall(self, fault: Fault) -> None:
        if fault.kind == "restart":
            with suppress(HilnasError):
                self.reset()
        elif fault.kind == "kill":
            self._signal(signal.SIGKILL)
        else:
            self._signal(signal.SIGSTOP)
            if fault.seconds < _HANG_S:
                self._later(fault.seconds, self._signal, signal.SIGCONT)

    def settle(self) -> None:
        """Nothing befalls it any more."""
        for timer in self._timers:
            timer.cancel()
            timer.join()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.played._process.pid, number)

    def _later(self, seconds: float, do: Callable[..., None], *words: Any) -> None:
        timer = threading.Timer(seconds, do, words)
        self._timers.append(timer)
        timer.start()


@contextmanager
def _opened(case: Case, models: list[Model]) -> Iterator[tuple[_TimedSession, _FaultyUnit, Proxy]]:
    old = models[case.model - 1]
    with ExitStack() as stack:
        stack.enter_context(lease(_lease_name(), unit="campaign"))
        played = stack.enter_context(NURSERY.open(BOARD))
        played.reply_s, played.quit_s = BOARD_REPLY_S, BOARD_QUIT_S
        unit = _FaultyUnit(played, old.built.image.elf, case.faults)
        stack.callback(unit.settle)
        proxy = stack.enter_context(Proxy(played.port, case.faults, unit.befall, old.greeting))
        unit.port = proxy.port
        link = stack.enter_context(Link(proxy.port, BOARD.console.baud, write_s=DEADLINES.reply_s))
        session = _TimedSession(
            *(BOARD, "virtual", unit, link),
            timing="modelled",
            timing_model=TIMING_MODEL,
            deadlines=DEADLINES,
        )
        yield session, unit, proxy


def build_models() -> list[Model]:
    """Some small models, built and measured undisturbed."""
    return [
        _build(data)
        for data in (small_network(), small_network(seed=1, size=15), _stateful_network())
    ]


def _build(data: bytes) -> Model:
    with (
        NURSERY.open(BOARD) as played,
        Proxy(played.port) as proxy,
        Link(proxy.port, BOARD.console.baud) as link,
    ):
        session = Session(
            BOARD, "virtual", played, link, timing="modelled", timing_model=TIMING_MODEL
        )
        built = AOT.build(data, session, name="model", options=DEFAULTS, on_step=lambda step: None)
        truth = measure(data, session, engine=_Ready(built), repeats=1, layers=True)
        return Model(data, built, _timeless(truth), dict(proxy.counts), session.hello)


def draw_case(seed: int, number: int, models: list[Model]) -> Case:
    return draw(seed, number, [model.counts for model in models])


def run_case(case: Case, models: list[Model]) -> Outcome:
    model = models[case.model]
    faulthandler.dump_traceback_later(_HANG_S, exit=True)
    before = _open_files()
    problems: list[str] = []
    again = ""
    with _opened(case, models) as (session, unit, proxy):
        pid = unit.played._process.pid
        result = _attempt(session, model, problems)
        failed = result != SAME
        where = session.phase if failed else ""
        fired = (*unit.fired, *proxy.fired)
        if failed:
            proxy.faults = unit.faults = ()
            again = _attempt(session, model, problems)
    if proxy.failure:
        problems.append(f"the proxy failed: {proxy.failure}")
    for operation in session.operations:
        if operation.seconds > operation.deadline_s + SLACK_S:
            problems.append(
                f"late: {operation.name} took {operation.seconds:.2f} s of "
                f"{operation.deadline_s:.2f} s"
            )
    problems.extend(_left_behind(pid, before))
    faulthandler.cancel_dump_traceback_later()
    slowest = max(session.operations, key=lambda one: one.seconds / one.deadline_s)
    return Outcome(case, fired, result, where, again, tuple(problems), slowest)


def _attempt(session: Session, model: Model, problems: list[str]) -> str:
    """SAME, or the name of the error."""
    try:
        got = measure(model.data, session, engine=_Ready(model.built), repeats=1, layers=True)
    except MeasurementRefusedError as error:
        problems.append(f"blamed on the model: {error}")
        return type(error).__name__
    except _ALLOWED as error:
        return type(error).__name__
    except Exception as error:
        problems.append(f"unclassified: {error!r}")
        return type(error).__name__
    got = _timeless(got)
    if got == model.truth:
        return SAME
    problems.append(f"wrong number: {got} instead of {model.truth}")
    return "wrong number"


def _left_behind(pid: int, files_before: int) -> list[str]:
    end = time.monotonic() + _TIDY_S
    while True:
        left = []
        if Path(f"/proc/{pid}").exists():
            left.append(f"left behind: process {pid}")
        if holder_of(_lease_name()) is not None:
            left.append("left behind: the lease")
        if _open_files() > files_before:
            left.append(f"left behind: {_open_files() - files_before} open files")
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.01)


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def _lease_name() -> str:
    return f"campaign-{os.getpid()}"


def _timeless(one: Measurement) -> Measurement:
    return dataclasses.replace(one, started_at="", duration_s=0.0, build_s=0.0)


def _stateful_network() -> bytes:
    """One whose second inference answers something else than its first."""
    model = ModelFactory()
    source = model.input((1, 8), scale=0.02, zero_point=0)
    model.outputs = [svdf(model, source)]
    return model.build()
