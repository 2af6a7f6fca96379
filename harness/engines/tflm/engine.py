"""How does the tflm engine make firmware? The model stays a file that an interpreter reads; what
arena it needs, only a unit can tell. So there are two images: one finds the size, one has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.board import Board
from harness.engines.engine import Built, OnStep
from harness.engines.tflm.abi import check_abi, check_cxx
from harness.engines.tflm.arena import ArenaSize, size_arena
from harness.engines.tflm.deployment import write_deployment
from harness.engines.tflm.head import ALIGNMENT
from harness.engines.tflm.host_arena import estimate
from harness.engines.tflm.library import Library, find_library
from harness.engines.tflm.scratch import Kernels
from harness.engines.tflm.sources import tflm_sources
from harness.errors import (
    FirmwareFaultError,
    HilnasError,
    MeasurementRefusedError,
    RequestRefusedError,
    UsageError,
)
from harness.image import Image, build_image
from harness.options import CompilerOptions
from harness.session import Session, open_session
from harness.tflite import Graph, read_graph
from harness.workspace import LinkedLibrary

_TO_BE_FOUND = 0  # an arena's size: the image finds it (firmware/engine/tflm/sizing.c)
_PATTERN = 0xA5
_GROWTH_STEPS = 8


@dataclass(frozen=True)
class TflmEngine:
    """TFLite Micro out of `library`."""

    library: Library
    name: str = "tflm"

    @property
    def version(self) -> str:
        return self.library.version

    def build(
        self,
        model: bytes,
        session: Session,
        *,
        name: str,
        options: CompilerOptions,
        on_step: OnStep,
    ) -> Built:
        """See Engine. The session's unit is flashed: with an image that finds the arena's size,
        and with the result, whose set-up is the proof.

        Raises:
            UsageError: a limit of the arena, whose tensors this engine places.
            ToolchainError: a library that does not fit the board.
            DoesNotFitError: an arena larger than the SRAM that is left.
            MeasurementRefusedError: what was enough to find the size is not enough to run.
        """
        return self._build(_Job(self.library, model, session, name, options), on_step)

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
        """See Engine; the arena's size comes from a virtual board. deploy/ holds the model and
        what the library's user writes around it, and nothing of the library."""
        with open_session(board, "virtual") as session:
            job = _Job(self.library, model, session, name, options, out_dir)
            built = self._build(job, on_step)
        write_deployment(
            tflm_sources(
                model, built.graph, self.library, arena_bytes=built.arena_bytes, where=name
            ),
            built.graph,
            self.library,
            out_dir / "deploy",
        )
        return built

    def _build(self, job: _Job, on_step: OnStep) -> Built:
        if job.options.arena_limit_bytes is not None:
            raise UsageError(
                "TFLite Micro places the tensors itself, whatever the limit of the arena",
                where="--arena-limit",
                hint="leave it out, or use --engine aot",
            )
        check_abi(self.library, job.session.board)
        graph = read_graph(job.model, where=job.name)
        on_step("compiling, to find the arena's size")
        job.session.flash(job.image(graph, _TO_BE_FOUND, None))
        on_step("finding the arena's size")
        size = size_arena(job.session, name=job.name, estimate=job.estimated_bytes)
        on_step("compiling")
        image, proved = _prove(job, graph, size)
        return Built(
            layer_order=tuple(range(len(graph.file_operators))),
            image=image,
            graph=graph,
            arena_bytes=proved.arena_bytes,
            arena_lower_bound_bytes=None,
            arena_plan=proved.plan,
            arena_parts=proved.parts,
        )


@dataclass(frozen=True)
class _Job:
    """One model to be built."""

    library: Library
    model: bytes
    session: Session
    name: str
    options: CompilerOptions
    out_dir: Path | None = None

    def estimated_bytes(self) -> int | None:
        """What the arena takes, told without a unit, where that can be told."""
        try:
            kernels = Kernels(self.library.kernels)
            return estimate(self.model, name=self.name, kernels=kernels).needed_bytes
        except HilnasError:
            return None

    def image(self, graph: Graph, arena_bytes: int, out_dir: Path | None) -> Image:
        library = self.library
        return build_image(
            tflm_sources(self.model, graph, library, arena_bytes=arena_bytes, where=self.name),
            self.session.board,
            engine="tflm",
            library=LinkedLibrary(
                library.archive, library.sha256, library.include_dirs, library.defines
            ),
            optimise=self.options.optimise,
            out_dir=out_dir,
        )


def _prove(job: _Job, graph: Graph, size: ArenaSize) -> tuple[Image, ArenaSize]:
    """An image with that arena, or a slightly larger one, in which the unit can set up the model:
    its interpreter is made by another constructor than the one that found the size."""
    for _ in range(_GROWTH_STEPS):
        image = job.image(graph, size.arena_bytes, job.out_dir)
        job.session.flash(image)
        try:
            job.session.prepare(_PATTERN)
        except (RequestRefusedError, FirmwareFaultError) as error:
            refusal = error
            size = size.grown(size.arena_bytes + ALIGNMENT)
        else:
            return image, size
    raise MeasurementRefusedError(
        f"TFLite Micro does not set the model up in the arena that it did before: {refusal.what}",
        where=job.name,
        expected=f"at most {size.arena_bytes - ALIGNMENT:,} bytes",
        hint="please report the model and the version of the library",
    )


def open_tflm(tflm_dir: Path | None) -> TflmEngine:
    """Raises ToolchainError or UsageError: see find_library; no compiler for C++."""
    library = find_library(tflm_dir)
    check_cxx()
    return TflmEngine(library)
