"""How does the aot engine make firmware? The model becomes C, its arena is planned beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.board import Board
from harness.compiler import Program, compile_sources
from harness.deployment import write_deployment
from harness.engines.engine import Built, OnStep
from harness.image import build_image
from harness.options import CompilerOptions
from harness.session import Session


@dataclass(frozen=True)
class AotEngine:
    name: str = "aot"
    version: str = "1"  # engine_version of firmware/engine/aot/engine.c

    def build(
        self,
        model: bytes,
        session: Session,
        *,
        name: str,
        options: CompilerOptions,
        on_step: OnStep,
    ) -> Built:
        on_step("compiling")
        return _build(compile_sources(model, name=name, options=options), session.board, options)

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
        on_step("compiling")
        program = compile_sources(model, name=name, options=options)
        built = _build(program, board, options, out_dir)
        write_deployment(program, out_dir / "deploy")
        return built


def _build(
    program: Program, board: Board, options: CompilerOptions, out_dir: Path | None = None
) -> Built:
    return Built(
        image=build_image(program.sources, board, optimise=options.optimise, out_dir=out_dir),
        graph=program.given,
        layer_order=tuple(program.graph.operator(i).layer for i in program.plan.order),
        arena_bytes=program.plan.arena_bytes,
        arena_lower_bound_bytes=program.plan.lower_bound_bytes,
        arena_plan=program.arena_plan,
    )


AOT = AotEngine()
