"""What may be chosen about the code of a model? Imports nothing, so that the command line can name
it before anything heavy is loaded."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Optimise(enum.Enum):
    """What the code is to be good at where time and flash contradict each other."""

    SPEED = "speed"
    SIZE = "size"


@dataclass(frozen=True)
class CompilerOptions:
    """arena_limit_bytes: what the arena must not exceed, even if the first stage has to be
    computed patch by patch for that. None: as small as it gets otherwise."""

    optimise: Optimise = Optimise.SPEED
    arena_limit_bytes: int | None = None


DEFAULTS = CompilerOptions()
