"""What this machine says about TFLite Micro's arena on a target: figures of real libraries, and
upstream's own record of what it placed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings

from bench.models import NO_MODELS, mlperf_tiny
from harness.board import load_board
from harness.compiler import compile_sources
from harness.engines.tflm import host_arena
from harness.engines.tflm.engine import TflmEngine
from harness.engines.tflm.head import Head
from harness.engines.tflm.host_arena import estimate, record, with_estimate
from harness.engines.tflm.library import Library
from harness.engines.tflm.scratch import Kernels
from harness.errors import HilnasError, ToolchainError, UnsupportedModelError
from harness.options import DEFAULTS
from harness.session import open_session
from harness.tflite import read_graph
from tests.random_networks import networks
from tests.tflite_factory import ModelFactory, fully_connected_model, small_network, svdf

# arena_used_bytes() on a Cortex-M4F, and the smallest arena in which the model could be allocated,
# both kernels at commit 90b983c.
MEASURED = {
    ("ad", Kernels.REFERENCE): (2_260, 2_704),
    ("ic", Kernels.REFERENCE): (54_340, 54_352),
    ("kws", Kernels.REFERENCE): (22_772, 22_784),
    ("vww", Kernels.REFERENCE): (100_660, 100_672),
    ("ad", Kernels.CMSIS_NN): (2_580, 3_024),
    ("ic", Kernels.CMSIS_NN): (54_996, 55_008),
    ("kws", Kernels.CMSIS_NN): (22_820, 22_832),
    ("vww", Kernels.CMSIS_NN): (100_708, 100_720),
}


@pytest.mark.parametrize(
    ("name", "kernels"), MEASURED, ids=lambda one: str(getattr(one, "value", one))
)
def test_a_reference_model_takes_what_it_took_on_a_unit(name: str, kernels: Kernels) -> None:
    path = mlperf_tiny(name)
    if path is None:
        pytest.skip(NO_MODELS)
    found = estimate(path.read_bytes(), name=name, kernels=kernels)
    assert (found.used_bytes, found.needed_bytes) == MEASURED[name, kernels]


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(networks())
def test_any_networks_tensors_lie_as_upstreams_planner_places_them(model: ModelFactory) -> None:
    data = model.build()
    try:
        compile_sources(data, name="m")
    except UnsupportedModelError:
        reject()
    for kernels in Kernels:
        found = estimate(data, name="m", kernels=kernels)  # refuses what the record contradicts
        assert found.needed_bytes >= found.used_bytes
        assert found.needed_bytes % 16 == 0
        assert found.tail_bytes < record(data).tail_bytes  # of 64 bits, and of a recording one


def test_state_lies_in_the_tail() -> None:
    model = ModelFactory()
    model.outputs = [svdf(model, model.input((1, 6), scale=0.25), units=5, memory=40)]
    found = estimate(model.build(), name="m")
    assert found.head_bytes == 96  # 6 and 5 bytes, int32 sums of 5 filters and of 5 units
    assert found.tail_bytes > 5 * 40 * 2


def test_an_operator_without_a_kernel_upstream_is_refused() -> None:
    model = ModelFactory()
    source = model.input((2, 3), scale=0.5)
    sizes = model.tensor((2,), dtype="int32")
    model.operator("SHAPE", [source], [sizes])
    count = model.tensor((), dtype="int32")
    axis = model.constant(np.array([0], np.int32))
    model.operator("REDUCE_PROD", [sizes, axis], [count], keep_dims=False)
    flat = model.tensor((6,), scale=0.5)
    model.operator("RESHAPE", [source, sizes], [flat])
    model.outputs = [flat]
    with pytest.raises(UnsupportedModelError, match="REDUCE_PROD, for which TFLite Micro has no"):
        estimate(model.build(), name="m")


def test_a_planner_that_places_otherwise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Arena allocation head 48 bytes\nArena allocation tail 900 bytes\n"
    monkeypatch.setattr(host_arena, "recorded_allocations", lambda _: text)
    with pytest.raises(HilnasError, match=r"cannot be estimated: .* \(expected 32 bytes .*got 48"):
        estimate(fully_connected_model(depth=12, channels=5), name="m")


def test_a_record_that_is_not_understood_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_arena, "recorded_allocations", lambda _: "nothing of it")
    with pytest.raises(HilnasError, match="does not say what it allocated .*'nothing of it'"):
        record(small_network())


def test_a_missing_library_comes_with_what_is_known_without_one() -> None:
    missing = ToolchainError("no library", hint="build one")
    told = with_estimate(missing, small_network(), name="m")
    found = estimate(small_network(), name="m")

    assert str(told).startswith("no library; build one; without one: with cmsis_nn kernels its")
    assert f"about {found.needed_bytes:,} bytes, {found.used_bytes:,} of them" in str(told)
    assert f"error at most {host_arena.LARGEST_ERROR_BYTES} bytes on" in str(told)


def test_a_missing_library_stays_the_error_where_nothing_is_known() -> None:
    missing = ToolchainError("no library", hint="build one")
    assert with_estimate(missing, b"no model", name="m") is missing


def test_upstreams_greedy_planner_may_need_more_than_the_largest_step() -> None:
    """Of equal ones the tensor added last is placed first."""
    model = ModelFactory()
    source = model.input((16,), scale=0.5)
    results = [model.tensor((16,), scale=0.5) for _ in range(4)]
    operands = (source, results[0], source, results[2])
    for operand, output in zip(operands, results, strict=True):
        model.operator("RELU", [operand], [output])
    model.outputs = [results[1], results[3]]
    data = model.build()
    head = Head(read_graph(data, where="m"), Kernels.REFERENCE)

    assert head.peak_bytes((0, 1, 2, 3)) == 48
    assert head.planned_bytes((0, 1, 2, 3)) == 64 == record(data).head_bytes


@pytest.mark.tflm
def test_a_library_needs_what_was_estimated(tflm_library: Library) -> None:
    engine, kernels = TflmEngine(tflm_library), Kernels(tflm_library.kernels)
    model = small_network()
    with open_session(load_board("nucleo_l4r5zi"), "virtual") as session:
        built = engine.build(model, session, name="m", options=DEFAULTS, on_step=lambda _: None)
    told = estimate(model, name="m", kernels=kernels)

    assert built.arena_parts is not None
    assert (built.arena_parts.head_bytes, built.arena_parts.tail_bytes) == (
        *(told.head_bytes, told.tail_bytes),
    )
    assert built.arena_bytes == told.needed_bytes
