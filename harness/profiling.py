"""Where do the cycles of an inference go, and how deep is the stack really? One more run of a
model that was measured, on a virtual board that watches itself."""

from __future__ import annotations

from dataclasses import dataclass

from harness.board import Board
from harness.engines import AOT, Engine
from harness.errors import UsageError
from harness.measure import random_inputs
from harness.options import DEFAULTS, CompilerOptions
from harness.session import Session
from harness.symbols import Symbols
from harness.virtual.board import VirtualBoard
from harness.virtual.observed import Modes
from harness.virtual.profile import Profile, make_profile

ROOT_FUNCTION = "engine_invoke"
STACK_SECTION = ".stack"
PATTERN = 0xA5


@dataclass(frozen=True)
class InferenceProfile:
    """profile: of engine_invoke and what it calls. painted_bytes: the stack's depth as the
    firmware found it by its own paint; pointer_bytes: as the stack pointer and the pushes below it
    went."""

    profile: Profile
    painted_bytes: int
    pointer_bytes: int


def profile_inference(
    model: bytes,
    session: Session,
    *,
    name: str,
    seed: int,
    engine: Engine = AOT,
    options: CompilerOptions = DEFAULTS,
) -> InferenceProfile:
    """Run `model` once more with the observers on; it is built again from the cache.

    Raises:
        UsageError: the session's board cannot watch itself.
        BoardError, LinkError: from the parts.
    """
    unit = session.unit
    if not isinstance(unit, VirtualBoard):
        raise UsageError(
            "only a virtual board can be profiled",
            where=session.board.name,
            expected="--via virtual",
            got=session.via,
        )
    built = engine.build(model, session, name=name, options=options, on_step=lambda step: None)
    symbols = Symbols(built.image.elf)
    session.flash(built.image)
    session.prepare(PATTERN)
    for index, array in enumerate(random_inputs(built.graph, seed)):
        session.write_input(index, array.tobytes())
    unit.observe(Modes(profile=True, trace=True), symbols.boundaries())
    unit.go()
    run = session.run()
    seen = unit.observed()
    unit.observe(Modes())
    unit.go()
    assert seen is not None and seen.main_stack is not None
    return InferenceProfile(
        make_profile(seen, symbols, title=name, root=ROOT_FUNCTION),
        painted_bytes=run.stack_used_bytes,
        pointer_bytes=_stack_top(symbols, session.board) - seen.main_stack.lowest,
    )


def _stack_top(symbols: Symbols, board: Board) -> int:
    return next(
        (section.end for section in symbols.sections if section.name == STACK_SECTION),
        board.memory.sram.end,
    )
