"""Which units of this desk can be offered to others? Those whose control run is good now. Knows
nothing of who takes them, nor how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from harness.board import load_board
from harness.errors import (
    NoUnitError,
    QuarantinedError,
    UnitGoneError,
)
from harness.hardware_map import HardwareMap, MappedUnit
from harness.ledger import ControlRun
from harness.pool import Pool

_PATIENCE_S = 5.0  # for a unit that is in use


@dataclass(frozen=True)
class Examined:
    """A unit and its control run; without one, why it is not fit."""

    unit: MappedUnit
    control: ControlRun | None
    why: str = ""


def examine(
    desk: HardwareMap,
    *,
    open_pool: Callable[..., Pool] = Pool,
    on_step: Callable[[str], None] = lambda step: None,
) -> list[Examined]:
    """A control run of each unit of the map, in its order. open_pool: the seam.

    Raises:
        NoUnitError: none is fit.
        HilnasError: what keeps every unit from being measured on; no compiler, for one.
    """
    found = []
    run = f"serve {uuid4().hex[:12]}"
    for number, unit in enumerate(desk.units, start=1):
        on_step(f"control run of {unit.name}: {number} of {len(desk.units)}")
        board = load_board(unit.board)
        pool = open_pool(board, run=run, map_file=desk.path, patience_s=_PATIENCE_S)
        try:
            found.append(Examined(unit, pool.check(unit.name)))
        except (NoUnitError, QuarantinedError, UnitGoneError) as error:
            found.append(Examined(unit, None, error.what))
    if not any(each.control for each in found):
        raise NoUnitError(
            "no unit is fit to be served",
            where=desk.path,
            got="; ".join(f"{each.unit.name}: {each.why}" for each in found) or "no unit",
            hint="`hilnas doctor` tells more; mend one, then try again",
        )
    return found


def count_fit(found: Sequence[Examined]) -> dict[str, int]:
    """Fit units by board, in the order of the map."""
    return dict(Counter(each.unit.board for each in found if each.control is not None))
