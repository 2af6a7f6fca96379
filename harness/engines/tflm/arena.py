"""How small may the arena be? Tried on the unit: an image whose inference is an attempt to set the
interpreter up in so many bytes (firmware/engine/tflm/sizing.c). Knows no library and no build."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from harness.engines.tflm.head import ALIGNMENT, aligned
from harness.errors import (
    DoesNotFitError,
    FirmwareFaultError,
    HilnasError,
    NoReplyError,
    RequestRefusedError,
)
from harness.measurement import ArenaParts
from harness.session import Session

_OUTCOME = struct.Struct("<3I")  # available, head, tail
_PATTERN = 0xA5
_ATTEMPT_DEADLINE_S = 60.0


@dataclass(frozen=True)
class ArenaSize:
    """arena_bytes: the least multiple of ALIGNMENT in which the interpreter can be set up.
    counted_bytes: what the library says that it uses, arena_used_bytes()."""

    arena_bytes: int
    counted_bytes: int
    parts: ArenaParts

    @property
    def plan(self) -> str:
        """How it came to this size, in a few words."""
        counted = aligned(self.counted_bytes)
        if self.arena_bytes == counted:
            return f"the library's own count of {self.counted_bytes:,}, aligned"
        return (
            f"{counted:,} of the library's own count do not suffice: with temporary allocations "
            f"it needs {self.arena_bytes:,}"
        )

    def grown(self, arena_bytes: int) -> ArenaSize:
        """The same with more temporary memory."""
        temporary = arena_bytes - self.counted_bytes
        parts = ArenaParts(self.parts.head_bytes, self.parts.tail_bytes, temporary)
        return ArenaSize(arena_bytes, self.counted_bytes, parts)


def size_arena(
    session: Session, *, name: str, estimate: Callable[[], int | None] = lambda: None
) -> ArenaSize:
    """The arena of the model in the sizing image that `session` has just flashed; `name` stands in
    error messages. `estimate` is asked, where no size was enough, what would be, in bytes.

    Raises:
        DoesNotFitError: not even all the SRAM that the image leaves is enough.
        LinkError, BoardError: from the session.
    """
    available = _ask(session, 0).available_bytes
    best = _attempt(session, available)
    if isinstance(best, HilnasError):
        raise _does_not_fit(session, name, available, best, estimate())
    fails, fits = aligned(best.counted_bytes) - ALIGNMENT, available
    step = ALIGNMENT  # what is counted first, for it is mostly enough, then ever further up
    while fits - fails > ALIGNMENT:
        tried = min(fails + step, aligned((fails + fits) // 2))
        step *= 2
        outcome = _attempt(session, tried)
        if isinstance(outcome, HilnasError):
            fails = tried
        else:
            fits, best = tried, outcome
    counted = best.counted_bytes
    size = ArenaSize(fits, counted, ArenaParts(best.head_bytes, best.tail_bytes, 0))
    return size if fits == aligned(counted) else size.grown(fits)


def _does_not_fit(
    session: Session, name: str, available: int, refusal: HilnasError, needed: int | None
) -> DoesNotFitError:
    missing = ALIGNMENT if needed is None else max(needed - available, ALIGNMENT)
    hint = "take a smaller model or a larger board"
    if needed is None or needed <= available:
        hint += "; a library built with error strings says whether it is memory that it lacks"
    return DoesNotFitError(
        f"TFLite Micro cannot set the model up in the {available:,} bytes of SRAM that are left "
        f"on {session.board.name}: {refusal.what}",
        region="SRAM",
        missing_bytes=missing,
        where=name,
        expected=None if needed is None else f"about {needed:,} bytes, estimated on this machine",
        hint=hint,
    )


@dataclass(frozen=True)
class _Outcome:
    available_bytes: int
    head_bytes: int
    tail_bytes: int

    @property
    def counted_bytes(self) -> int:
        return self.head_bytes + self.tail_bytes


def _attempt(session: Session, arena_bytes: int) -> _Outcome | HilnasError:
    """What setting up in `arena_bytes` gave, or why it failed, be it with a fault or without an
    end: upstream does not check each allocation."""
    try:
        return _ask(session, arena_bytes)
    except RequestRefusedError as refusal:
        return refusal
    except (FirmwareFaultError, NoReplyError) as fault:
        session.restart()
        return fault


def _ask(session: Session, arena_bytes: int) -> _Outcome:
    session.prepare(_PATTERN)
    session.write_input(0, struct.pack("<I", arena_bytes))
    session.run(deadline_s=_ATTEMPT_DEADLINE_S)
    return _Outcome(*_OUTCOME.unpack(session.read_output(0)))
