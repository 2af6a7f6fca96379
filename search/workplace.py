"""What does a worker hold from one candidate to the next? The data, loaded once, and a board,
opened when first needed and replaced when it fails. Knows nothing of genotypes or training."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from harness.board import Board, load_board
from harness.engines import Engine, open_engine
from harness.errors import BoardError, LinkError, ProbeError, UnknownBoardError, UsageError
from harness.measure import measure
from harness.measurement import Measurement
from harness.session import TIMED, VIAS, Session, open_session
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
    """Each worker keeps a unit of its own: there must be as many on this desk.

    Raises:
        UsageError: there are fewer, or no hardware map.
    """
    if config.device.via != "hardware":
        return
    from harness.hardware_map import load_hardware_map

    desk, workers = load_hardware_map(), config.search.workers
    units = [unit.name for unit in desk.units_of(config.device.board)]
    if len(units) < workers:
        raise UsageError(
            f"there are fewer units of {config.device.board} than workers, and each takes one",
            where=desk.path,
            expected=f"{workers} units",
            got=", ".join(units),
            hint=f"set [search] workers = {len(units)}, or add units to the map",
        )


def _open_board(board: Board, via: str) -> AbstractContextManager[Session]:
    if via == "hardware":
        from harness.hardware import open_any_unit

        return open_any_unit(board)
    return open_session(board, via)


def open_workplace(config: SearchConfig) -> Workplace:
    """Load the data and describe the board; closes with the process.

    Raises:
        UsageError: as check_device, or one of its kinds from the data set.
    """
    board = check_device(config.device)
    dataset = load_dataset(config.data, seed=config.search.seed)
    workplace = Workplace(
        dataset,
        lambda: _open_board(board, config.device.via),
        partial(measure, engine=engine_of(config.device), options=config.device.options),
    )
    atexit.register(workplace.close)
    return workplace
