"""Which faults does a case meet, and when? A function of the seed and the case's number."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

TO_UNIT, FROM_UNIT = "to unit", "from unit"
FLASH, BOOT, HELLO = "flash", "boot", "hello"
PREPARE, WRITE, RUN, REPORT = "prepare", "write input", "run", "report"
PHASES = (FLASH, BOOT, HELLO, PREPARE, WRITE, RUN, REPORT)

# What happens to a frame on the line ...
LINE = {
    "drop": "some bytes are lost",
    "lose": "the whole frame is lost",
    "flip": "some bits are flipped",
    "duplicate": "some bytes come twice",
    "repeat": "the whole frame comes twice",
    "truncate": "the rest of the frame is lost",
    "noise": "other bytes come in between",
    "flood": "more noise comes than a line may carry",
    "split": "the frame comes in two pieces with a pause",
    "delay": "the frame comes late",
    "old greeting": "an image flashed before introduces itself first",
    "old frame": "the frame before in this direction comes once more",
    "stall": "nothing crosses the line any more",
    "close": "the port closes",
}
# ... and to the board, as a frame crosses it or while it is flashed.
BOARD = {
    "kill": "the board's process is killed",
    "freeze": "the board's process stands still, for a while or for ever",
    "restart": "the board is reset",
}
FLASHED = {
    "kill": BOARD["kill"],
    "freeze": BOARD["freeze"],
    "old image": "the image flashed before stays in flash and starts",
}
_PAUSES_S = (0.01, 0.1, 0.25, 0.5, 1.0)  # the deadlines of the campaign lie among them
_NEVER_S = 1e9

# How many frames of a phase cross the line in a direction, when nothing disturbs.
Counts = Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class Fault:
    """`kind` befalls the `frame`-th frame (from 0) that crosses in `direction` in `phase`, behind
    the share `at` of its bytes. size: bytes or bits concerned. seconds: of a pause. seed: of the
    bytes and bits."""

    kind: str
    phase: str
    direction: str
    frame: int
    at: float
    size: int
    seconds: float
    seed: int


@dataclass(frozen=True)
class Case:
    """One measurement of the `model`-th model, disturbed by `faults`."""

    seed: int
    number: int
    model: int
    faults: tuple[Fault, ...]


def draw(seed: int, number: int, counts: list[Counts]) -> Case:
    """Case `number` of the campaign `seed`. `counts`: of each model."""
    rng = random.Random(f"{seed}/{number}")
    model = rng.randrange(len(counts))
    faults: list[Fault] = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        faults.extend(_draw_fault(rng, counts[model]))
    return Case(seed, number, model, tuple(faults))


def _draw_fault(rng: random.Random, counts: Counts) -> list[Fault]:
    phase = rng.choice(PHASES)
    if phase == FLASH:
        return [_fault(rng, rng.choice(list(FLASHED)), FLASH, TO_UNIT, 0)]
    direction = FROM_UNIT if phase == BOOT else rng.choice((TO_UNIT, FROM_UNIT))
    kind = rng.choice([*LINE, *BOARD])
    fault = _fault(rng, kind, phase, direction, rng.randrange(counts.get((direction, phase), 1)))
    if phase != HELLO:
        return [fault]
    # A session asks for the greeting only where the board's own did not come.
    return [_fault(rng, "lose", BOOT, FROM_UNIT, 0), fault]


def _fault(rng: random.Random, kind: str, phase: str, direction: str, frame: int) -> Fault:
    seconds = rng.choice(_PAUSES_S)
    if kind == "freeze" and rng.random() < 0.5:
        seconds = _NEVER_S
    return Fault(
        kind=kind,
        phase=phase,
        direction=direction,
        frame=frame,
        at=rng.random(),
        size=rng.choice((1, 1, 2, 3, 4, 8, 32)),
        seconds=seconds,
        seed=rng.randrange(1 << 32),
    )
