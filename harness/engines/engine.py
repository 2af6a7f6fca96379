"""What must an engine do for the harness? Make firmware of a model, with an arena of a size that
it answers for. Measuring that firmware is the same for all of them and not their business."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.board import Board
from harness.image import Image
from harness.measurement import ArenaParts
from harness.options import CompilerOptions
from harness.session import Session
from harness.tflite import Graph

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Built:
    """Firmware of one model. graph: the model as its file says it. layer_order: the operators by
    index, as a profiled inference reports them; one that is computed in parts comes several times.
    arena_bytes: what an inference takes of the arena, to be confirmed by measuring.
    arena_lower_bound_bytes, where the engine knows one: what no placement of its order's tensors
    undercuts. arena_plan: how the arena came to its size, in a few words."""

    image: Image
    graph: Graph
    layer_order: tuple[int, ...]
    arena_bytes: int
    arena_lower_bound_bytes: int | None
    arena_plan: str
    arena_parts: ArenaParts | None = None


class Engine(Protocol):
    """name: as in `--engine`. version: what stands beside it wherever results meet; two versions
    are two engines."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...

    def build(
        self,
        model: bytes,
        session: Session,
        *,
        name: str,
        options: CompilerOptions,
        on_step: OnStep,
    ) -> Built:
        """Firmware of `model` for the session's board, which an engine may use to find out what
        only a unit can tell. `name` stands in error messages.

        Raises:
            ModelError: refused, or not for this engine.
            BuildError: no image came out.
            LinkError, BoardError, FirmwareFaultError: from the session.
        """

    def ship(
        self,
        model: bytes,
        board: Board,
        out_dir: Path,
        *,
        name: str,
        options: CompilerOptions,
        on_step: OnStep,
    ) -> Built:
        """The same, left in `out_dir`: firmware.elf, firmware.map, and deploy/ with what an
        application of the user's own takes.

        Raises:
            As build; BuildError also where the folder cannot be written.
        """
