"""How well does this machine tell TFLite Micro's arena on a target? For the reference models,
random networks and exported ones, what a library on the virtual board needs, beside three answers
without a library: the PyPI interpreter's own record, that record corrected for pointers of 4 bytes
and by a line fitted to one half of the networks, and what harness/engines/tflm/host_arena.py says.

Needs a library; every one that bench/libraries.py finds is measured.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import median

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

from bench.libraries import NO_LIBRARY, libraries
from bench.models import REFERENCE_MODELS, mlperf_tiny
from harness.board import load_board
from harness.compiler import compile_sources
from harness.engines.tflm.arena import size_arena
from harness.engines.tflm.host_arena import Record, estimate, record
from harness.engines.tflm.library import Library
from harness.engines.tflm.scratch import Kernels
from harness.engines.tflm.sources import tflm_sources
from harness.errors import DoesNotFitError, ModelError
from harness.image import build_image
from harness.session import Session, open_session
from harness.tflite import Graph, read_graph
from harness.workspace import LinkedLibrary
from tests.random_networks import networks
from tests.tflite_factory import ModelFactory

BOARD = "nucleo_l4r5zi"
RANDOM = 90
EXPORTED = 70
LARGEST_EXPORT = 400_000  # bytes, so that weights leave the board's flash to the library
_SHAPES = (((28, 28, 1), 10), ((32, 32, 3), 10), ((49, 10, 1), 12))
# From 64 bits to 32, in bytes: TfLiteEvalTensor, NodeAndRegistration, and TfLiteTensor with its
# TfLiteAffineQuantization.
_TENSOR, _NODE, _ENDPOINT = 24 - 12, 64 - 32, (64 + 24) - (32 + 12)


@dataclass(frozen=True)
class Network:
    name: str
    model: bytes
    graph: Graph


@dataclass(frozen=True)
class Found:
    """Bytes: what the library counts and what it needs, and what this machine says of both."""

    network: Network
    used: int
    needed: int
    estimated_used: int
    estimated_needed: int
    recorded: Record

    @property
    def corrected(self) -> int:
        """The record with the target's structures in place of this machine's."""
        graph = self.network.graph
        ends = len(graph.inputs) + len(graph.outputs)
        pointers = (
            _TENSOR * len(graph.tensors) + _NODE * len(graph.file_operators) + _ENDPOINT * ends
        )
        return self.recorded.head_bytes + self.recorded.tail_bytes - pointers


def run(seed: int = 0) -> dict[str, object]:
    found = libraries()
    if not found:
        return {"not_run": NO_LIBRARY}
    models = list(_networks(seed))
    with open_session(load_board(BOARD), "virtual") as session:
        return {
            "board": BOARD,
            "seed": seed,
            "networks": {"random": RANDOM, "exported": EXPORTED},
            "libraries": [_library(library, models, session) for library in found],
        }


def _networks(seed: int) -> Iterator[Network]:
    for name in REFERENCE_MODELS:
        if (path := mlperf_tiny(name)) is not None:
            yield _network(name, path.read_bytes())
    yield from islice(_random(seed), RANDOM)
    yield from islice(_exported(seed), EXPORTED)


def _network(name: str, model: bytes) -> Network:
    return Network(name, model, read_graph(model, where=name))


def _random(seed: int) -> Iterator[Network]:
    """No two with the same operators in the same order."""
    found: dict[tuple[str, ...], Network] = {}

    @hypothesis.seed(seed)
    @settings(
        max_examples=12 * RANDOM,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(networks())
    def collect(factory: ModelFactory) -> None:
        kinds = tuple(one.op for one in factory.operators)
        if len(found) >= RANDOM or kinds in found:
            return
        model = factory.build()
        try:
            compile_sources(model, name="random")  # others' quantisation upstream cannot run
        except ModelError:
            return
        found[kinds] = _network(f"random {len(found)}", model)

    collect()
    yield from found.values()


def _exported(seed: int) -> Iterator[Network]:
    from search.export import export_untrained
    from search.spaces.munas.lowering import lower
    from search.spaces.munas.sampling import sample

    rng = np.random.default_rng(seed)
    count = 0
    while True:
        shape, classes = _SHAPES[count % len(_SHAPES)]
        model = export_untrained(lower(sample(rng), shape, classes), seed=seed + count)
        if len(model) <= LARGEST_EXPORT:
            yield _network(f"exported {count}", model)
            count += 1


def _library(library: Library, models: list[Network], session: Session) -> dict[str, object]:
    kernels = Kernels(library.kernels)
    # One resolver for all of them: compiling upstream's headers takes longer than all the rest.
    resolver = tflm_sources(b"", _together([one.graph for one in models]), library, arena_bytes=0)[
        "resolver.cc"
    ]
    found, refused = [], []
    for number, one in enumerate(models, 1):
        print(f"bench: {kernels.value} {number}/{len(models)}: {one.name}", file=sys.stderr)
        sources = tflm_sources(one.model, one.graph, library, arena_bytes=0)
        sources["resolver.cc"] = resolver
        linked = LinkedLibrary(
            library.archive, library.sha256, library.include_dirs, library.defines
        )
        try:
            image = build_image(sources, session.board, engine="tflm", library=linked)
            session.flash(image)
            size = size_arena(session, name=one.name)
        except DoesNotFitError:
            refused.append(one.name)
            continue
        told = estimate(one.model, name=one.name, kernels=kernels)
        found.append(
            Found(
                one,
                size.counted_bytes,
                size.arena_bytes,
                told.used_bytes,
                told.needed_bytes,
                record(one.model),
            )
        )
    return {
        "library": library.version,
        "kernels": kernels.value,
        "networks": len(found),
        "refused_by_the_library": refused,
        "error_bytes": _errors(found),
        "reference_models": [
            {
                "model": one.network.name,
                "used_bytes": one.used,
                "estimated_used_bytes": one.estimated_used,
                "needed_bytes": one.needed,
                "estimated_needed_bytes": one.estimated_needed,
                "recorded_on_the_host_bytes": sum(
                    (one.recorded.head_bytes, one.recorded.tail_bytes)
                ),
            }
            for one in found
            if one.network.name in REFERENCE_MODELS
        ],
    }


def _together(graphs: Sequence[Graph]) -> Graph:
    """Something with the operators of all, for which one resolver serves."""
    tensors, operators = [], []
    for graph in graphs:
        first = len(tensors)
        tensors += graph.tensors
        operators += [
            replace(
                one,
                inputs=tuple(index + first if index >= 0 else index for index in one.inputs),
                outputs=tuple(index + first for index in one.outputs),
            )
            for one in graph.file_operators
        ]
    return replace(graphs[0], tensors=tuple(tensors), operators=tuple(operators), folded=())


def _errors(found: list[Found]) -> dict[str, dict[str, float]]:
    """Told less measured. The line is fitted to every other network, and its error is that on the
    others."""
    fitted, held_out = found[::2], found[1::2]
    line = np.linalg.lstsq(
        _regressors(fitted), np.array([one.used - one.corrected for one in fitted]), rcond=None
    )[0]
    predicted = _regressors(held_out) @ line
    recorded = [one.recorded.head_bytes + one.recorded.tail_bytes for one in found]
    return {
        "used, the record as it is": _spread(
            [told - one.used for told, one in zip(recorded, found, strict=True)]
        ),
        "used, the record corrected, held-out half": _spread(
            [
                round(float(one.corrected + more)) - one.used
                for one, more in zip(held_out, predicted, strict=True)
            ]
        ),
        "used, estimated": _spread([one.estimated_used - one.used for one in found]),
        "needed, estimated": _spread([one.estimated_needed - one.needed for one in found]),
    }


def _regressors(found: list[Found]) -> np.ndarray:
    """A constant, and a weight for each operator."""
    return np.array([[1, len(one.network.graph.file_operators)] for one in found], float)


def _spread(errors: Sequence[int]) -> dict[str, float]:
    sizes = [abs(error) for error in errors]
    return {
        "least": min(errors),
        "most": max(errors),
        "median_size": median(sizes),
        "exact": sum(not size for size in sizes),
        "networks": len(sizes),
    }
