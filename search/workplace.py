"""What does a worker hold from one candidate to the next? The data, loaded once, and a virtual
board, opened when first needed and replaced when it fails, or the pool of units that it shares
with the others. Knows nothing of genotypes or training."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial

from harness.board import Board, load_board
from harness.engines import Engine, open_engine
from harness.errors import BoardError, LinkError, ProbeError, UnknownBoardError, UsageError
from harness.hardware_map import load_hardware_map
from harness.measure import measure
from harness.measurement import Measurement
from harness.pool import Pool
from harness.session import TIMED, VIAS, Session, open_session
from search.asking import Wanted, ask
from search.config import Device, SearchConfig
from search.data.dataset import Dataset
from search.data.load import load_dataset

OpenSession = Callable[[], AbstractContextManager[Session]]
Measure = Callable[..., Measurement]


class Workplace:
    """`dataset`, and `measure` on one board that stays open between candidates.

    A board or line that fails is closed; the measurement is tried once more on a fresh one, so
    that a hung board does not cost a candidate. `open_board` and `measure_on` are the seams.
    """

    def __init__(
        self, dataset: Dataset, open_board: OpenSession, measure_on: Measure = measure
    ) -> None:
        self.dataset = dataset
        self._open_board = open_board
        self._measure_on = measure_on
        self._stack = ExitStack()
        self._session: Session | None = None

    def measure(self, model: bytes, *, name: str) -> Measurement:
        """`model`'s Measurement; raises what harness.measure raises, LinkError, BoardError and
        ProbeError only when a fresh board failed, too."""
        try:
            return self._measure_on(model, self._board(), name=name)
        except (LinkError, BoardError, ProbeError):
            self.close()
            return self._measure_on(model, self._board(), name=name)

    def close(self) -> None:
        """Let go of the board; the next measurement opens another one."""
        self._session = None
        self._stack.close()

    def _board(self) -> Session:
        if self._session is None:
            self._session = self._stack.enter_context(self._open_board())
        return self._session


@dataclass(frozen=True)
class PooledWorkplace:
    """`dataset`, and `measure` on whichever unit of the desk is free."""

    dataset: Dataset
    pool: Pool
    measure_on: Measure = measure

    def measure(self, model: bytes, *, name: str) -> Measurement:
        """`model`'s Measurement; raises what Pool.measure raises."""
        return self.pool.measure(model, name=name, measure_on=self.measure_on)


@dataclass(frozen=True)
class AskingWorkplace:
    """`dataset`, and `measure` by whoever started this process."""

    dataset: Dataset

    def measure(self, model: bytes, *, name: str) -> Measurement:
        """`model`'s Measurement; raises what ask raises."""
        return ask(Wanted(model, name))


AnyWorkplace = Workplace | PooledWorkplace | AskingWorkplace


def engine_of(device: Device) -> Engine:
    """Raises UsageError and ToolchainError as open_engine."""
    return open_engine(device.engine, tflm_dir=device.library_dir)


def check_device(device: Device) -> Board:
    """The described board.

    Raises:
        UsageError, ToolchainError: an engine that is not there, or cannot be opened.
        UnknownBoardError: no such board, or not reachable that way.
    """
    engine_of(device)
    board = load_board(device.board)
    if device.via not in TIMED:
        reason = " in a search, which needs times" if device.via in VIAS else ""
        raise UnknownBoardError(
            f"{board.name} cannot be reached via {device.via!r}{reason}",
            where="[device] via",
            expected=" or ".join(TIMED),
            hint="change the configuration",
        )
    return board


def check_units(config: SearchConfig) -> None:
    """Raises UsageError where measurements are to be made on this desk and it has no unit, or one
    without a meter although energy is searched for."""
    if config.device.via != "hardware":
        return
    desk = load_hardware_map()
    units = desk.units_of(config.device.board)
    unmetered = [unit.name for unit in units if unit.energy is None]
    if config.needs_energy and unmetered:
        raise UsageError(
            "the search bounds or minimises energy_uj, and units have no energy meter",
            where=desk.path,
            expected=f"`energy` of every unit of {config.device.board}",
            got=f"none of {', '.join(unmetered)}",
            hint="docs/energy.md says what to wire and write; or take energy_uj out",
        )


def patience_of(config: SearchConfig) -> float:
    """How long a measurement may wait for a unit: training needs some of a candidate's time."""
    return config.search.candidate_deadline_s / 3


def open_pool(config: SearchConfig, run: str, *, patience_s: float | None = None) -> Pool:
    """The units of this desk. `run`, patience_s: see Pool; without, patience_of.

    Raises:
        UsageError: there is none, or no hardware map.
    """
    return Pool(
        load_board(config.device.board),
        run=run,
        control_every=config.device.control_every,
        patience_s=patience_of(config) if patience_s is None else patience_s,
    )


def measuring(device: Device) -> Measure:
    """harness.measure with the engine and options of `device`."""
    return partial(measure, engine=engine_of(device), options=device.options)


def open_workplace(
    config: SearchConfig, run: str = "", *, is_asking: bool = False
) -> AnyWorkplace:
    """Load the data and describe the board; closes with the process. is_asking: see prepare.

    Raises:
        UsageError: as check_device, or one of its kinds from the data set.
    """
    board = check_device(config.device)
    dataset = load_dataset(config.data, seed=config.search.seed)
    if is_asking:
        return AskingWorkplace(dataset)
    measure_on = measuring(config.device)
    if config.device.via == "hardware":
        return PooledWorkplace(dataset, open_pool(config, run), measure_on)
    workplace = Workplace(dataset, lambda: open_session(board, config.device.via), measure_on)
    atexit.register(workplace.close)
    return workplace
