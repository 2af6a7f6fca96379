"""The MLPerf Tiny reference models, where they are: bit-exact, in exactly the planned arena."""

from __future__ import annotations

import numpy as np
import pytest

from bench.models import NO_MODELS, mlperf_tiny
from harness.compiler import compile_sources
from harness.oracle import reference_outputs
from tests.host_model import compile_variants


@pytest.mark.parametrize(
    ("name", "most_arena_bytes"),
    [("ad", 2052), ("ic", 41184), ("kws", 16128), ("vww", 55312)],
)
def test_an_mlperf_tiny_model_is_bit_exact(name: str, most_arena_bytes: int) -> None:
    path = mlperf_tiny(name)
    if path is None:
        pytest.skip(NO_MODELS)
    program = compile_sources(path.read_bytes(), name=path.name)
    graph = program.given
    rng = np.random.default_rng(7)
    models = compile_variants(program)

    for _ in range(2):
        inputs = [
            rng.integers(-128, 128, graph.tensor(i).shape, dtype=np.int8) for i in graph.inputs
        ]
        expected = reference_outputs(program.model, inputs)
        for variant, model in models.items():
            run = model.run(inputs)
            for got, want in zip(run.outputs, expected, strict=True):
                np.testing.assert_array_equal(got, want, variant)
            assert run.touched_bytes == model.plan.arena_bytes

    assert program.plan.arena_bytes <= most_arena_bytes
