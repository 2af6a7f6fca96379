"""What does a pool of units gain, and what does it survive? Four virtual boards whose flashing
waits 2 s, as on silicon, in threads of one process.

throughput: one image, built beforehand, flashed and run again and again: boards are the
bottleneck, not compilers. Control runs are in it. disturbed: a search without training whose
networks are really built and measured, undisturbed and with one unit that hangs for good after a
while and one that is unplugged and plugged in again all the time; both have to end with one front.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from harness.board import load_board
from harness.control import control_model
from harness.engines import AOT
from harness.errors import UnitGoneError
from harness.hardware_map import HardwareMap, MappedUnit, load_hardware_map
from harness.ledger import Ledger, state_of
from harness.link import Link
from harness.measure import measure, random_inputs
from harness.measurement import Measurement
from harness.options import DEFAULTS
from harness.pool import Pool
from harness.pooled_unit import MeasureOn
from harness.reach import Reach
from harness.session import Session, open_session
from harness.tflite import read_graph
from harness.virtual import VirtualBoard
from harness.virtual.board import TIMING_MODEL
from tests.search.pooled_search import front, pooled_search, told
from tests.tflite_factory import small_network

BOARD = load_board("nucleo_f412zg")
UNITS = 4
FLASHING_S = 2.0
MEASUREMENTS = 8  # of each unit
ROUNDS = 12
HANGS_AFTER_S = 20.0
PLUGGED_S, UNPLUGGED_S = 12.0, 4.0


class _Waiting:
    """A virtual board whose flashing takes as long as silicon's. See harness.session.Unit."""

    def __init__(self, board: VirtualBoard) -> None:
        self.port, self.reset, self.explain_silence = (
            board.port,
            board.reset,
            board.explain_silence,
        )
        self._board = board

    def load(self, elf: Path) -> None:
        time.sleep(FLASHING_S)
        self._board.load(elf)


class _Socket:
    """Where a virtual board is plugged in."""

    def __init__(self) -> None:
        self.board: VirtualBoard | None = VirtualBoard(BOARD)

    def signal(self, number: int) -> None:
        # A virtual board that does not answer in time is ended by its client.
        with contextlib.suppress(ProcessLookupError):
            if self.board is not None:
                os.kill(self.board._process.pid, number)

    def unplug(self) -> None:
        self.signal(signal.SIGKILL)
        self.board = None

    def plug(self) -> None:
        self.board = VirtualBoard(BOARD)


class _Sockets(Reach):
    """Sockets in place of probes and ports."""

    def __init__(self, desk: HardwareMap, sockets: dict[str, _Socket]) -> None:
        super().__init__(BOARD, desk)
        self.sockets = sockets

    def missing(self, unit: MappedUnit) -> str | None:
        board = self.sockets[unit.name].board
        there = board is not None and Path(board.port).exists()
        return None if there else "nothing is plugged in"

    @contextlib.contextmanager
    def open(self, unit: MappedUnit) -> Iterator[Session]:
        board = self.sockets[unit.name].board
        if board is None:
            raise UnitGoneError("nothing is plugged in", where=unit.name)
        with Link(board.port, BOARD.console.baud) as link:
            timing = {"timing": "modelled", "timing_model": TIMING_MODEL}
            yield Session(BOARD, "virtual", _Waiting(board), link, **timing)

    def reset(self, unit: MappedUnit) -> None:
        if (board := self.sockets[unit.name].board) is not None:
            board.reset()


class _Desk:
    """`count` units in sockets, their map and ledgers in `folder`."""

    def __init__(self, folder: Path, count: int) -> None:
        self.sockets = {f"unit{number}": _Socket() for number in range(count)}
        self._map = folder / "map.toml"
        self._map.write_text(
            "".join(
                f'[[unit]]\nname = "{name}"\nboard = "{BOARD.name}"\n'
                f'probe = "{folder.name}-{name}"\n'
                for name in self.sockets
            )
        )
        self.map = load_hardware_map(self._map)

    def pool(self, **options: Any) -> Pool:
        reach = _Sockets(self.map, self.sockets)
        return Pool(BOARD, run="bench", map_file=self._map, reach=reach, **options)

    def close(self) -> None:
        for socket in self.sockets.values():
            socket.signal(signal.SIGCONT)
            if socket.board is not None:
                socket.board.close()


@contextlib.contextmanager
def _desk(count: int) -> Iterator[_Desk]:
    with (
        tempfile.TemporaryDirectory(prefix="pool-") as folder,
        mock.patch.dict(os.environ, HILNAS_STATE=f"{folder}/state"),
    ):
        desk = _Desk(Path(folder), count)
        try:
            yield desk
        finally:
            desk.close()


def run() -> dict[str, object]:
    run_image, label = _image_runner()
    one, four = _throughput(1, run_image), _throughput(UNITS, run_image)
    gain = four["measurements_per_minute"] / one["measurements_per_minute"]
    disturbed = _disturbed()
    return {
        "bound": {"gain": 3.0, "same_journal": True, "same_front": True},
        "flashing_s": FLASHING_S,
        "label": label,
        "throughput": [one, four],
        "gain": round(gain, 2),
        "disturbed": disturbed,
        "failed": gain < 3.0 or not (disturbed["same_journal"] and disturbed["same_front"]),
    }


def _throughput(units: int, run_image: MeasureOn) -> dict[str, Any]:
    with _desk(units) as desk, ThreadPoolExecutor(units) as workers:
        pools = [desk.pool(control_on=run_image) for _ in range(units)]

        def work(pool: Pool) -> None:
            for _ in range(MEASUREMENTS):
                pool.measure(b"the same", name="the same", measure_on=run_image)

        start = time.monotonic()
        list(workers.map(work, pools))
        seconds = time.monotonic() - start
    count = units * MEASUREMENTS
    return {
        "units": units,
        "measurements": count,
        "seconds": round(seconds, 1),
        "measurements_per_minute": round(60 * count / seconds, 1),
    }


def _image_runner() -> tuple[MeasureOn, str]:
    """measure() without its compiler and reference: a whole measurement was made before, and what
    it built is flashed and run as it would be. And that measurement's label."""
    with open_session(BOARD, "virtual") as session:
        before = measure(control_model(), session, name="control")
        built = AOT.build(
            control_model(), session, name="control", options=DEFAULTS, on_step=lambda step: None
        )
    graph = read_graph(control_model(), where="control")
    inputs = [array.tobytes() for array in random_inputs(graph, 0)]

    def run_image(model: bytes, session: Session, *, name: str) -> Measurement:
        session.flash(built.image)
        for pattern in (0xA5, 0x5A, 0xA5, 0x5A):
            session.prepare(pattern)
            for index, data in enumerate(inputs):
                session.write_input(index, data)
            session.run()
            for index in range(len(session.hello.output_bytes)):
                session.read_output(index)
        return before

    return run_image, before.label


def _disturbed() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        quiet, rough = Path(folder) / "quiet", Path(folder) / "rough"
        quiet_s, _ = _search(quiet, is_disturbed=False)
        rough_s, units = _search(rough, is_disturbed=True)
        return {
            "rounds": ROUNDS,
            "same_journal": told(quiet) == told(rough),
            "same_front": front(quiet) == front(rough) != [],
            "front": len(front(quiet)),
            "undisturbed_s": quiet_s,
            "disturbed_s": rough_s,
            "units": units,
        }


def _search(run_dir: Path, *, is_disturbed: bool) -> tuple[float, list[dict[str, Any]]]:
    """Its seconds, and what became of each unit."""
    with _desk(UNITS) as desk, contextlib.ExitStack() as stack:
        if is_disturbed:
            over = threading.Event()
            dying, flapping, *_ = desk.sockets.values()
            hang = threading.Timer(HANGS_AFTER_S, dying.signal, [signal.SIGSTOP])
            flap = threading.Thread(target=_flap, args=(flapping, over))
            stack.callback(flap.join)
            stack.callback(over.set)
            stack.callback(hang.cancel)
            hang.start()
            flap.start()
        start = time.monotonic()
        pooled_search(
            run_dir,
            partial(desk.pool, control_every=5, patience_s=900.0),
            measure,
            lambda number: small_network(seed=number, channels=4 + number % 8),
            rounds=ROUNDS,
            workers=UNITS,
        )
        return round(time.monotonic() - start, 1), [_account(unit) for unit in desk.map.units]


def _flap(socket: _Socket, over: threading.Event) -> None:
    while not over.wait(PLUGGED_S):
        socket.unplug()
        if over.wait(UNPLUGGED_S):
            return
        socket.plug()


def _account(unit: MappedUnit) -> dict[str, Any]:
    text = Ledger(unit).path.read_text()
    kinds = ("control", "measured", "failure", "rung", "vanished")
    state = state_of(unit).split(" ")[0]
    return {"unit": unit.name, "state": state, **{k: text.count(f'"kind": "{k}"') for k in kinds}}
