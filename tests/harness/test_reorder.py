"""A reordered model answers the same in no more memory, and a second time there is nothing left to
do."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings

from bench.models import NO_MODELS, mlperf_tiny
from harness import reorder as reorder_module
from harness.compiler import compile_sources
from harness.engines.tflm.scratch import Kernels
from harness.errors import MeasurementRefusedError, UnsupportedModelError
from harness.reorder import check_reordered, reorder
from harness.tflite import read_graph
from tests.random_networks import networks
from tests.tflite_factory import NONE, ModelFactory, small_network, svdf

_SETTINGS = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.explicit, Phase.generate],
}


def wide_and_narrow() -> ModelFactory:
    """Two branches that are reduced to little: as the file has it, both are wide at once."""
    model = ModelFactory()
    source = model.input((1, 4, 4, 4), scale=0.5)
    wide = [model.tensor((1, 4, 4, 64), scale=0.5) for _ in range(2)]
    narrow = [model.tensor((1, 64), scale=0.5) for _ in range(2)]
    axes = model.constant(np.array([1, 2], np.int32))
    for output in wide:
        weights = model.constant(np.full((64, 1, 1, 4), 3, np.int8), scale=0.1)
        model.operator(
            "CONV_2D", [source, weights], [output], stride_h=1, stride_w=1, activation=NONE
        )
    for each, output in zip(wide, narrow, strict=True):
        model.operator("MEAN", [each, axes], [output], keep_dims=False)
    total = model.tensor((1, 64), scale=1.0)
    model.operator("ADD", narrow, [total], activation=NONE)
    model.outputs = [total]
    return model


def test_branches_are_finished_one_after_the_other() -> None:
    found = reorder(wide_and_narrow().build(), name="m")

    assert found.changed and found.exact
    assert [one.op for one in read_graph(found.model, where="m").operators] == [
        *("CONV_2D", "MEAN", "CONV_2D", "MEAN", "ADD")
    ]
    # Two wide results, or one with what became of the other, the input and a pooling's sums.
    assert found.before.head_bytes >= 2 * 1024 > found.after.head_bytes


def test_a_chain_is_left_as_it_is() -> None:
    model = small_network()
    found = reorder(model, name="m")
    assert not found.changed and found.model == model and found.before == found.after


@settings(max_examples=12, **_SETTINGS)
@given(networks())
def test_any_network_answers_the_same_in_no_more_memory(model: ModelFactory) -> None:
    data = model.build()
    try:
        compile_sources(data, name="m")  # others' quantisation is not defined upstream
    except UnsupportedModelError:
        reject()
    for kernels in Kernels:
        found = reorder(data, name="m", kernels=kernels)

        check_reordered(data, found.model, name="m")
        assert found.after.peak_bytes <= found.after.head_bytes <= found.before.head_bytes
        assert len(found.model) == len(data)
        given, after = (read_graph(each, where="m") for each in (data, found.model))
        assert Counter(_facts(given)) == Counter(_facts(after))
        assert (given.tensors, given.inputs, given.outputs) == (
            *(after.tensors, after.inputs, after.outputs),
        )
        again = reorder(found.model, name="m", kernels=kernels)
        assert not again.changed and again.model == found.model


def _facts(graph: object) -> list[object]:
    return [(o.op, o.inputs, o.outputs, o.options) for o in graph.file_operators]  # type: ignore[attr-defined]


def test_state_is_compared_over_inferences() -> None:
    model = ModelFactory()
    source = model.input((1, 6), scale=0.25)
    model.outputs = [svdf(model, source)]
    data = model.build()
    found = reorder(data, name="m")
    check_reordered(data, found.model, name="m")


def test_other_answers_are_refused() -> None:
    first, second = small_network(seed=1), small_network(seed=2)
    with pytest.raises(MeasurementRefusedError, match="answers differently in inference 0"):
        check_reordered(first, second, name="m")


def test_control_flow_is_refused() -> None:
    model = wide_and_narrow()
    model.subgraphs = 2
    with pytest.raises(UnsupportedModelError, match="several subgraphs"):
        reorder(model.build(), name="m")


def test_a_model_that_says_where_its_tensors_lie_is_refused_whatever_its_order() -> None:
    model = wide_and_narrow()
    del model.operators[1:], model.outputs[:]
    model.outputs = model.operators[0].outputs
    model.metadata = ["OfflineMemoryAllocation"]
    with pytest.raises(UnsupportedModelError, match="'OfflineMemoryAllocation' belongs to the"):
        reorder(model.build(), name="m")


@pytest.mark.parametrize("name", ["ad", "ic", "kws", "vww"])
def test_the_reference_models_are_in_the_best_order(name: str) -> None:
    path = mlperf_tiny(name)
    if path is None:
        pytest.skip(NO_MODELS)
    found = reorder(path.read_bytes(), name=name)
    assert found.exact and not found.changed


def test_what_the_greedy_planner_makes_worse_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reorder_module.Head, "planned_bytes", lambda *_: 64)
    found = reorder(wide_and_narrow().build(), name="m")
    assert not found.changed and not found.exact
    assert found.summary == "the order that it had is the best that was found"
