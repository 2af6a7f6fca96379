"""How does a process that evaluates get a measurement that is made elsewhere? It asks whoever
started it, over the line to it, and waits. Knows neither who measures, nor where."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.connection import Connection

from harness.errors import HilnasError
from harness.measurement import Measurement


@dataclass(frozen=True)
class Wanted:
    """A measurement to be made. model: a .tflite. name: what people call it."""

    model: bytes
    name: str


# What was measured, or why it cannot be.
Answer = Measurement | HilnasError

_line: Connection | None = None  # of this process, to whoever started it


def ask_over(line: Connection) -> None:
    """From now on this process asks over `line`, on which nothing else is awaited meanwhile."""
    global _line
    _line = line


def ask(wanted: Wanted) -> Measurement:
    """Its Measurement. Has no deadline: whoever is asked has one for the whole candidate.

    Raises:
        HilnasError: the answer.
    """
    assert _line is not None, "ask_over comes first"
    _line.send(wanted)
    answer: Answer = _line.recv()
    if isinstance(answer, HilnasError):
        raise answer
    return answer
