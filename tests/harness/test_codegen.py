"""Generated C is what the model says, no more and no less, and compiles on its own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.board import ROOT
from harness.codegen import generate
from harness.codegen.arithmetic import (
    activation_range,
    mean_parameters,
    quantise_multiplier,
    rescale,
    round_away,
)
from harness.codegen.tables import (
    filter_records,
    fold_bias,
    pad_lines,
    sum_ranges,
    write_words,
)
from harness.compiler import compile_sources
from harness.errors import UnsupportedModelError, UsageError
from harness.oracle import reference_outputs
from harness.planner import plan
from harness.tflite import Activation, Quantisation, read_graph
from tests.host_model import check, compile_variants
from tests.tflite_factory import NONE, VALID, ModelFactory, fully_connected_model, small_network

# Whole models


@pytest.mark.parametrize("seed", range(4))
def test_a_small_network_is_bit_exact(seed: int) -> None:
    check(small_network(seed=seed, size=7 + seed, channels=3 + 2 * seed), seed)


def test_layers_are_reported_by_their_index_aliases_too() -> None:
    program = compile_sources(small_network(), name="net")
    graph = program.given
    run = compile_variants(program)["dsp"].run([np.zeros((1, 9, 9, 3), np.int8)])

    assert run.layers == list(range(len(graph.operators)))
    assert graph.operators[4].op == "RESHAPE"


def test_channels_that_no_input_can_change_keep_their_constant() -> None:
    """Pruned networks hold channels with scales next to zero and biases next to overflow."""
    model = ModelFactory()
    source = model.input((1, 3, 3, 4), scale=0.5, zero_point=-128)
    scales = [1e-30, 0.01, 1e-9, 0.01, 3e-8]
    weights = np.random.default_rng(0).integers(-127, 128, (5, 1, 1, 4), dtype=np.int8)
    weights[0] = weights[2] = 0
    bias = np.array([2**31 - 1, 5, -(2**31), 2**30, 2**30 + 7], np.int32)
    output = model.tensor((1, 3, 3, 5), scale=0.1, zero_point=-3)
    model.operator(
        "CONV_2D",
        [source, model.constant(weights, scale=scales), model.constant(bias)],
        [output],
        padding=VALID,
        stride_h=1,
        stride_w=1,
        activation=NONE,
    )
    model.outputs = [output]

    check(model.build())


def test_a_constant_may_be_added_and_reshaped() -> None:
    model = ModelFactory()
    source = model.input((6,), scale=0.5)
    shown, total = (model.tensor((6,), scale=s, zero_point=z) for s, z in ((0.25, 7), (0.5, 0)))
    values = np.arange(-3, 3, dtype=np.int8).reshape(2, 3)
    constant = model.constant(values, scale=0.25, zero_point=7)
    model.operator("RESHAPE", [constant], [shown])
    model.operator("ADD", [source, shown], [total], activation=NONE)
    model.outputs = [total]
    program = compile_sources(model.build(), name="net")

    run = compile_variants(program)["reference"].run([np.full(6, 10, np.int8)])

    np.testing.assert_array_equal(run.outputs[0], [5, 6, 6, 7, 7, 8])


def test_names_from_the_file_reach_no_source() -> None:
    model = ModelFactory()
    evil = '*/ #error "owned" \\'
    source = model.input((4,), scale=0.5, name=evil)
    model.outputs = [model.tensor((4,), scale=0.5, name=evil)]
    model.operator("RELU", [source], model.outputs)
    graph = read_graph(model.build(), where="net")

    files = generate(graph, plan(graph))

    assert graph.tensor(0).name == evil
    assert not any("owned" in text for text in files.values())


def test_the_header_says_where_everything_lies() -> None:
    graph = read_graph(fully_connected_model(depth=12, channels=5), where="net")
    found = plan(graph)

    header = generate(graph, found, name="tiny")["tiny.h"]

    assert f"#define TINY_ARENA_BYTES {found.arena_bytes}u" in header
    assert "#define TINY_LAYER_COUNT 1u" in header
    assert f"#define TINY_INPUT_OFFSETS {{{found.offsets[0]}}}" in header
    assert "#define TINY_INPUT_BYTES {12}" in header
    assert f"#define TINY_OUTPUT_OFFSETS {{{found.offsets[3]}}}" in header
    assert "#define TINY_OUTPUT_BYTES {5}" in header
    assert "int32_t tiny_invoke(uint8_t *arena, tiny_on_layer_t on_layer, void *" in header


def test_a_name_that_is_no_identifier_is_wrong_use() -> None:
    graph = read_graph(fully_connected_model(), where="net")
    for name in ("", "1st", "a-b", "a b", 'x"'):
        with pytest.raises(UsageError, match="is no name for a C function"):
            generate(graph, plan(graph), name=name)


def test_scales_too_far_apart_are_unsupported() -> None:
    model = ModelFactory()
    source = model.input((4,), scale=1e9)
    model.outputs = [model.tensor((4,), scale=1e-9)]
    model.operator("QUANTIZE", [source], model.outputs)
    graph = read_graph(model.build(), where="net")

    with pytest.raises(
        UnsupportedModelError, match=r"operator 0 \(QUANTIZE\): input and output scales are too"
    ):
        generate(graph, plan(graph))


def fully_connected_of(source: float, weights: float, output: float) -> ModelFactory:
    model = ModelFactory()
    values = model.constant(np.ones((2, 4), np.int8), scale=weights)
    model.outputs = [model.tensor((1, 2), scale=output)]
    operands = [model.input((1, 4), scale=source), values]
    model.operator("FULLY_CONNECTED", operands, model.outputs, activation=NONE)
    return model


def test_a_product_of_scales_far_above_the_output_is_unsupported() -> None:
    graph = read_graph(fully_connected_of(1e30, 1e30, 1e30).build(), where="net")

    with pytest.raises(UnsupportedModelError, match=r"scales are too far apart.*got 1e\+30"):
        generate(graph, plan(graph))


def test_a_product_of_scales_far_below_the_output_is_zero() -> None:
    check(fully_connected_of(1e-30, 1e-30, 1e-38).build())


def test_a_ratio_of_scales_beyond_float_is_unsupported() -> None:
    model = ModelFactory()
    source = model.input((4,), scale=1e38)
    model.outputs = [model.tensor((4,), scale=1e-38)]
    model.operator("RELU", [source], model.outputs)
    graph = read_graph(model.build(), where="net")

    with pytest.raises(UnsupportedModelError, match=r"\(RELU\): input and output.*got inf"):
        generate(graph, plan(graph))


# The engine


def test_the_engine_serves_the_generated_model(tmp_path: Path) -> None:
    graph = read_graph(fully_connected_model(depth=12, channels=5), where="net")
    found = plan(graph)
    for name, text in generate(graph, found).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "test.c").write_text(
        """
        #include "engine.h"
        #include <stdio.h>
        extern uint8_t engine_arena_storage[];
        int main(void) {
            engine_tensor_t in = engine_input(0), out = engine_output(0);
            for (uint32_t i = 0; i < in.bytes; i++) in.data[i] = (uint8_t)i;
            int code = engine_invoke(0, 0);
            printf("%s %s %d %u %u %u %u %u %u %d %d\\n", engine_name, engine_kernels, code,
                   engine_arena_bytes(), engine_input_count(), engine_output_count(),
                   engine_layer_count(), in.bytes, out.bytes,
                   engine_arena() == engine_arena_storage,
                   engine_input(1).data == 0 && engine_output(9).bytes == 0);
            for (uint32_t i = 0; i < out.bytes; i++) printf("%d ", (int8_t)out.data[i]);
        }
        """
    )
    firmware = ROOT / "firmware"
    kernels = [str(path) for path in (firmware / "kernels").glob("*.c")]
    engine = firmware / "engine"
    subprocess.run(
        ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-o", "test", "test.c", "model.c"]
        + [str(engine / "aot" / "engine.c"), *kernels]
        + [f"-I{engine}", f"-I{firmware / 'kernels'}", "-I."],
        cwd=tmp_path,
        check=True,
        timeout=60,
    )

    printed = subprocess.run(
        ["./test"], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60
    ).stdout.splitlines()

    assert printed[0] == f"aot reference 0 {found.arena_bytes} 1 1 1 12 5 1 1"
    (expected,) = reference_outputs(
        fully_connected_model(depth=12, channels=5), [np.arange(12, dtype=np.int8)[None]]
    )
    assert [int(value) for value in printed[1].split()] == expected.ravel().tolist()


# Arithmetic and tables


@given(st.floats(2**-31, 2**29))
def test_a_multiplier_is_the_nearest_of_31_bits(real: float) -> None:
    multiplier, shift = quantise_multiplier(real, where="")

    assert 1 << 30 <= multiplier < 1 << 31
    assert abs(multiplier * 2.0 ** (shift - 31) - real) <= real * 2**-31


def test_multipliers_at_the_edges() -> None:
    assert quantise_multiplier(0.0, where="") == (0, 0)
    assert quantise_multiplier(2.0**-40, where="") == (0, 0)
    assert quantise_multiplier(1.0 - 2**-40, where="") == (1 << 30, 1)
    with pytest.raises(UnsupportedModelError, match="here: input and output scales.*2.2e"):
        quantise_multiplier(2.2e9, where="here")


@given(st.integers(-(2**30), 2**30), st.floats(2**-30, 0.9))
def test_rescaling_is_within_one_of_the_real_product(x: int, real: float) -> None:
    multiplier, shift = quantise_multiplier(real, where="")

    assert abs(rescale(x, multiplier, shift) - x * real) <= 1.0


def test_halves_round_away_from_zero() -> None:
    assert [round_away(v) for v in (0.5, -0.5, 1.5, -2.5, 0.49)] == [1, -1, 2, -3, 0]
    assert [rescale(x, 1 << 30, -1) for x in (2, -2, 6, -6)] == [1, -1, 2, -2]


def test_activations_become_clamps() -> None:
    q = Quantisation((0.1,), (-100,))

    def clamp(activation: Activation) -> Any:
        return activation_range(activation, q, where="")

    assert clamp(Activation.NONE) == (-128, 127)
    assert clamp(Activation.RELU) == (-100, 127)
    assert clamp(Activation.RELU6) == (-100, -40)
    assert clamp(Activation.RELU_N1_TO_1) == (-110, -90)


def test_an_activation_beyond_int32_is_unsupported() -> None:
    with pytest.raises(UnsupportedModelError, match="here: activation RELU6 overflows the output"):
        activation_range(Activation.RELU6, Quantisation((1e-12,), (0,)), where="here")


def test_a_mean_divides_by_the_count() -> None:
    multiplier, shift = mean_parameters(0.5, 0.5, 12, where="")

    assert multiplier * 2.0 ** (shift - 31) == pytest.approx(1 / 12, rel=1e-6)


def test_bias_folding_wraps_as_the_accumulator_does() -> None:
    rows = np.full((2, 4), 127, np.int8)
    folded = fold_bias(np.array([2**31 - 1, 5], np.int32), rows, -128)

    assert folded.view(np.int32).tolist() == [-(2**31) - 1 + 508 * 128, 5 + 508 * 128]


def test_sum_ranges_are_reached_by_the_worst_inputs() -> None:
    rows = np.array([[3, -5]], np.int8)
    least, greatest = sum_ranges(np.array([10], np.uint32), rows)

    assert (least[0], greatest[0]) == (10 - 3 * 128 - 5 * 127, 10 + 3 * 127 + 5 * 128)


def test_filters_lie_in_pairs_with_their_biases_and_rescaling() -> None:
    rows = np.array([[1, 2, 3, 4], [-1, -2, -3, -4], [5, 6, 7, 8]], np.int8)
    rescaling = np.array([70, 80, 90], np.int32), np.array([-1, 2, -3], np.int8)

    records = filter_records(rows, np.array([1000, 2000, 3000], np.uint32), rescaling)

    assert records.view(np.int32)[:, [0, 1, 4, 5]].tolist() == [
        [1000 + 128 * 6, 2000 - 128 * 6, 70, 80],
        [3000 + 128 * 14, 0, 90, 0],
    ]
    assert records[:, 6].tolist() == [0x02FF, 0xFD]
    weights = records[:, 2:4].copy().view(np.uint8).astype(int)
    assert weights.tolist() == [
        [129, 2, 131, 4, 127, 254, 125, 252],
        [133, 6, 135, 8, 0, 0, 0, 0],
    ]


def test_lines_of_filters_are_padded_to_whole_words() -> None:
    lines = np.arange(1, 11, dtype=np.int8).reshape(1, 2, 5)

    assert pad_lines(lines).tolist() == [[1, 2, 3, 4, 5, 0, 0, 0, 6, 7, 8, 9, 10, 0, 0, 0]]


def test_tables_are_little_endian_words() -> None:
    text = write_words("t", np.array([1, -1, 2, 0, 5], np.int8))

    assert text == "static const uint32_t t[2] = {\n    0x2ff01,0x5,\n};\n"
