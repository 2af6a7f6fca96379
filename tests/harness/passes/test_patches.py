"""A stage computed patch by patch answers what it answers as a whole, in less memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from bench.models import NO_MODELS, mlperf_tiny
from harness.codegen import generate
from harness.compiler import Program, compile_sources
from harness.errors import UnsupportedModelError
from harness.options import CompilerOptions, Optimise
from harness.passes.patches import slices, split, stages
from harness.planner import plan
from harness.planner.fitting import (
    _ESTIMATED,
    _LARGEST,
    Patches,
    _candidates,
    plan_within,
)
from harness.tflite import Graph, read_graph
from tests.host_model import check, check_program
from tests.tflite_factory import NONE, RELU6, SAME, VALID, ModelFactory


class Stack:
    """A network of 8-bit feature maps, one operator behind another."""

    def __init__(self, height: int, width: int, channels: int, seed: int = 0) -> None:
        self.rng, self.model = np.random.default_rng(seed), ModelFactory()
        shape = (1, height, width, channels)
        self.last = self.model.input(shape, scale=0.5, zero_point=7)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.model.tensors[self.last].shape

    def append(self, op: str, inputs: list[int], shape: tuple[int, ...], **options: Any) -> None:
        first = self.model.tensors[self.last]
        same = {"scale": first.scales[0], "zero_point": first.zero_points[0]}
        kept = op.endswith("POOL_2D") or op in ("RELU6", "RESHAPE")
        if op == "SOFTMAX":
            same, kept = {"scale": 1 / 256, "zero_point": -128}, True
        details = same if kept else {"scale": 0.7, "zero_point": int(self.rng.integers(-20, 20))}
        self.last = self.model.tensor(shape, **details)
        self.model.operator(op, inputs, [self.last], **options)

    def window(
        self, op: str, kernel: tuple[int, int], stride: int, padding: int, dilation: int = 1,
        filters: int = 0,
    ) -> bool:  # fmt: skip
        """False where nothing would be left."""
        _, *sizes, channels = self.shape
        left = []
        for size, span in zip(sizes, kernel, strict=True):
            reach = (span - 1) * dilation + 1
            left.append(-(-size // stride) if padding == SAME else (size - reach) // stride + 1)
        if min(left) < 1:
            return False
        options = {"padding": padding, "stride_h": stride, "stride_w": stride}
        inputs = [self.last]
        if op.endswith("POOL_2D"):
            options |= {"filter_h": kernel[0], "filter_w": kernel[1], "activation": NONE}
        else:
            depthwise = op == "DEPTHWISE_CONV_2D"
            filters = (
                channels * 2 if depthwise and filters > 6 else channels if depthwise else filters
            )
            shape = (1, *kernel, filters) if depthwise else (filters, *kernel, channels)
            values = self.rng.integers(-128, 128, shape, dtype=np.int8)
            scales = (self.rng.uniform(0.5, 1.0, filters) / 300).tolist()
            inputs.append(self.model.constant(values, scale=scales, axis=3 if depthwise else 0))
            options |= {"dilation_h": dilation, "dilation_w": dilation, "activation": RELU6}
            if depthwise:
                options["multiplier"] = filters // channels
            channels = filters
        self.append(op, inputs, (1, *left, channels), **options)
        return True

    def add(self, other: int) -> None:
        self.append("ADD", [other, self.last], self.shape, activation=NONE)

    def build(self) -> bytes:
        self.model.outputs = [self.last]
        return self.model.build()


@st.composite
def stacks(draw: st.DrawFn) -> Stack:
    """1 to 5 layers with windows, some with a sum over one or two of them."""
    size = st.integers(5, 14)
    stack = Stack(draw(size), draw(size), draw(st.integers(1, 5)), draw(st.integers(0, 99)))
    for _ in range(draw(st.integers(1, 5))):
        before, known = stack.last, stack.shape
        op = draw(
            st.sampled_from(
                ["CONV_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"]
            )
        )
        kernel = draw(st.sampled_from([(3, 3), (3, 3), (1, 1), (5, 5), (2, 3), (1, 4)]))
        padding, stride = (
            draw(st.sampled_from([SAME, SAME, VALID])),
            draw(st.sampled_from([1, 1, 2, 3])),
        )
        dilation = draw(st.sampled_from([1, 1, 2])) if op != "MAX_POOL_2D" else 1
        dilation = 1 if op == "AVERAGE_POOL_2D" else dilation
        filters = draw(st.integers(1, 8))
        if draw(st.booleans()):
            filters = known[3]
        stack.window(op, kernel, stride, padding, dilation, filters)
        if stack.shape == known and stack.last != before and draw(st.booleans()):
            stack.add(before)
        if draw(st.integers(0, 4)) == 0:
            stack.append("RELU6", [stack.last], stack.shape)
    assume(stack.model.operators)
    return stack


def patched(data: bytes, count: int, rows: int, columns: int) -> Program:
    """The model with its first `count` operators in patches, whatever that is good for."""
    whole = compile_sources(data, name="stack")
    stage = next(stage for stage in stages(whole.graph) if stage.count == count)
    along = slices(whole.graph, stage, 0, rows), slices(whole.graph, stage, 1, columns)
    assert along[0] is not None and along[1] is not None
    graph = split(whole.graph, stage, [(y, x) for y in along[0] for x in along[1]])
    found = plan(graph)
    patches = Patches(count, rows, columns, 0)
    return Program(whole.model, whole.given, graph, found, patches, generate(graph, found))


@settings(
    max_examples=10, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
@given(stacks(), st.data())
def test_patches_are_bit_exact(stack: Stack, data: st.DataObject) -> None:
    model = stack.build()
    graph = compile_sources(model, name="stack").graph
    found = list(stages(graph))
    assume(found)
    stage = data.draw(st.sampled_from(found))
    _, height, width, _ = graph.tensor(stage.output).shape
    rows = data.draw(st.integers(1, min(height, 4)))
    columns = data.draw(st.integers(1, min(width, 4)))

    assume(slices(graph, stage, 0, rows) and slices(graph, stage, 1, columns))

    check_program(patched(model, stage.count, rows, columns), seed=1)


def wide() -> Stack:
    """Three layers at full width, two behind a pooling."""
    stack = Stack(24, 24, 3)
    stack.window("CONV_2D", (3, 3), 1, SAME, filters=8)
    stack.window("DEPTHWISE_CONV_2D", (3, 3), 1, SAME)
    stack.window("CONV_2D", (1, 1), 1, SAME, filters=16)
    stack.window("MAX_POOL_2D", (4, 4), 4, SAME)
    stack.window("CONV_2D", (3, 3), 1, SAME, filters=8)
    return stack


def test_a_limit_is_kept_with_the_fewest_repetitions() -> None:
    data = wide().build()
    whole = compile_sources(data, name="wide")
    limits = (9000, 5000)

    found = [check(data, arena_limit_bytes=limit) for limit in limits]

    assert all(one.plan.arena_bytes <= limit for one, limit in zip(found, limits, strict=True))
    repeated = [one.patches.recomputed_macs for one in found if one.patches is not None]
    assert len(repeated) == 2 and repeated == sorted(repeated)
    for one, more in zip(found, repeated, strict=True):
        assert one.graph.total_macs == whole.graph.total_macs + more
        assert f"patches, {more:,} MACs (" in one.arena_plan


def test_before_anything_is_repeated_kernels_get_less_scratch_memory() -> None:
    data = wide().build()
    whole = compile_sources(data, name="wide")
    limit = whole.plan.arena_bytes - 1

    found = check(data, arena_limit_bytes=limit)

    assert found.patches is None
    assert found.plan.arena_bytes <= limit


def test_a_limit_that_is_met_changes_nothing() -> None:
    data = wide().build()
    whole = compile_sources(data, name="wide")

    options = CompilerOptions(arena_limit_bytes=whole.plan.arena_bytes)

    assert compile_sources(data, name="wide", options=options) == whole


def test_a_limit_that_nothing_meets_is_refused() -> None:
    graph = read(wide())

    with pytest.raises(
        UnsupportedModelError,
        match=r"^tensor arena: needs a larger arena, its first stage in patches or not "
        r"\(expected <= 1000 bytes, got \d+ bytes, the least that was tried\); raise the limit",
    ):
        plan_within(graph, arena_limit_bytes=1000)


def test_candidates_for_long_networks_are_bounded() -> None:
    stack = Stack(6, 6, 1)
    for _ in range(300):
        stack.append("RELU6", [stack.last], stack.shape)
    graph = read(stack)

    candidates = list(_candidates(graph, Optimise.SPEED, 1e6))

    assert 0 < len(candidates) <= _ESTIMATED // len(graph.operators)
    for one in candidates:
        behind = len(graph.operators) - one.stage.count
        assert one.stage.count * len(one.parts) + behind <= _LARGEST


def read(stack: Stack) -> Graph:
    return read_graph(stack.build(), where="stack")


def test_a_stage_ends_where_something_else_is_read_later() -> None:
    stack = Stack(8, 8, 4)
    stack.window("CONV_2D", (3, 3), 1, SAME, filters=4)
    before = stack.last
    stack.window("CONV_2D", (3, 3), 1, SAME, filters=4)
    stack.window("DEPTHWISE_CONV_2D", (3, 3), 1, SAME)
    stack.add(before)
    stack.append("RESHAPE", [stack.last], (1, 256))
    stack.append("SOFTMAX", [stack.last], (1, 256), beta=1.0)

    assert [stage.count for stage in stages(read(stack))] == [1, 4]


def test_an_output_within_a_stage_ends_it() -> None:
    stack = Stack(8, 8, 4)
    for _ in range(3):
        stack.window("CONV_2D", (3, 3), 1, SAME, filters=4)
    _, second, third = (operator.outputs[0] for operator in stack.model.operators)

    stack.model.outputs = [second, third]
    graph = read_graph(stack.model.build(), where="stack")

    assert [stage.count for stage in stages(graph)] == [1, 2]


def test_patches_share_the_tables_of_their_operator() -> None:
    data = wide().build()
    whole, parts = compile_sources(data, name="wide"), patched(data, 3, 3, 3)

    assert len(parts.graph.operators) > 9 * 3
    tables = [one.sources["model.c"].count("static const uint32_t ") for one in (whole, parts)]
    assert tables[0] == tables[1] > 0


def test_the_image_classification_model_in_patches_is_bit_exact() -> None:
    path = mlperf_tiny("ic")
    if path is None:
        pytest.skip(NO_MODELS)

    program = check(path.read_bytes(), arena_limit_bytes=30_000)

    assert program.patches is not None
    assert program.plan.arena_bytes <= 30_000
