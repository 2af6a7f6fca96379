"""How does a model become C? Checked, rewritten, planned, generated: the one place where that is
chained."""

from __future__ import annotations

from dataclasses import dataclass

from harness.codegen import generate
from harness.options import DEFAULTS, CompilerOptions
from harness.passes import rewrite
from harness.planner import ArenaPlan, plan
from harness.tflite import Graph, read_graph


@dataclass(frozen=True)
class Program:
    """given: the model as the file says it. graph: what is executed, whose operators keep the
    indices they have in `given`. sources: C by file name."""

    model: bytes
    given: Graph
    graph: Graph
    plan: ArenaPlan
    sources: dict[str, str]


def compile_sources(
    model: bytes, *, name: str, options: CompilerOptions = DEFAULTS, symbol: str = "model"
) -> Program:
    """Check `model`, place its tensors and write its C. `name` stands in error messages, `symbol`
    in the C.

    Raises:
        ModelError: not a valid model, or none that the aot engine can run.
        UsageError: `symbol` is no C identifier.
    """
    given = read_graph(model, where=name)
    graph = rewrite(given, optimise=options.optimise)
    found = plan(graph, optimise=options.optimise)
    return Program(model, given, graph, found, generate(graph, found, name=symbol))
