"""How does a model become C? Checked, rewritten, planned, generated: the one place where that is
chained."""

from __future__ import annotations

from dataclasses import dataclass

from harness.codegen import generate
from harness.options import DEFAULTS, CompilerOptions
from harness.passes import rewrite
from harness.planner import ArenaPlan
from harness.planner.fitting import Patches, plan_within
from harness.tflite import Graph, read_graph


@dataclass(frozen=True)
class Program:
    """given: the model as the file says it. graph: what is executed, whose operators keep the
    indices they have in `given`, or say what they are a part of. patches: how its first stage is
    split, if it is. sources: C by file name."""

    model: bytes
    given: Graph
    graph: Graph
    plan: ArenaPlan
    patches: Patches | None
    sources: dict[str, str]

    @property
    def arena_plan(self) -> str:
        """How the arena was planned, in a few words."""
        if self.patches is None:
            return self.plan.method
        return f"{self.plan.method}; {self.patches.describe(self.given.total_macs)}"


def compile_sources(
    model: bytes, *, name: str, options: CompilerOptions = DEFAULTS, symbol: str = "model"
) -> Program:
    """Check `model`, place its tensors and write its C. `name` stands in error messages, `symbol`
    in the C.

    Raises:
        ModelError: not a valid model, or none that the aot engine can run, or not in so little
            memory.
        UsageError: `symbol` is no C identifier.
    """
    given = read_graph(model, where=name)
    graph = rewrite(given, optimise=options.optimise)
    fitted = plan_within(
        graph, optimise=options.optimise, arena_limit_bytes=options.arena_limit_bytes
    )
    sources = generate(fitted.graph, fitted.plan, name=symbol)
    return Program(model, given, fitted.graph, fitted.plan, fitted.patches, sources)
