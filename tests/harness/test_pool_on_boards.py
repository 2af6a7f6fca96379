"""A pool of virtual boards behind ptys and debug ports, of which one dies."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from harness.board import load_board
from harness.control import control_model
from harness.lease import holder_of
from harness.ledger import Ledger
from harness.pool import Pool
from harness.virtual import VirtualBoard

BOARD = load_board("nucleo_f412zg")


def test_when_a_unit_is_unplugged_the_other_one_measures(tmp_path: Path) -> None:
    with VirtualBoard(BOARD) as left, VirtualBoard(BOARD) as right:
        path = tmp_path / "map.toml"
        path.write_text(
            "".join(
                f'[[unit]]\nname = "{name}"\nboard = "{BOARD.name}"\n'
                f'probe = "{board.debug_port()}"\nserial = "{board.port}"\n'
                for name, board in (("left", left), ("right", right))
            )
        )
        pool = Pool(BOARD, run="a", map_file=path)
        before = pool.measure(control_model(), name="model")
        os.kill(left._process.pid, signal.SIGKILL)
        after = pool.measure(control_model(), name="model")
    assert before.unit is not None and after.unit is not None
    assert (before.unit.unit, after.unit.unit) == ("left", "right")
    assert after.cycles.median == before.cycles.median
    assert (after.unit.drift_ppm, after.unit.deviation_ppm) == (None, 0.0)
    history = Ledger(pool.units[0]).history()
    assert (history.vanished, history.quarantine) == (1, None)
    assert [holder_of(unit.probe) for unit in pool.units] == [None, None]
