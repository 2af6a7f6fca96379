"""Every operator of a file is registered, with the smallest registration that the library has and
the operators' types allow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.tflm.library import (
    ARCHIVE,
    RESOLVER_HEADER,
    Library,
    find_library,
    register_symbol,
)
from harness.engines.tflm.resolver import choose_registrations
from harness.errors import ToolchainError, UnsupportedModelError
from harness.tflite import Graph, Operator, Tensor
from harness.tflite.schema import OPERATORS
from tests.harness.engines.tflm.trees import (
    ABSENT,
    make_tree,
    method_of,
)

Call = tuple[
    str, Sequence[str], str
]  # operator, types of its inputs ("" is absent), of its output


def graph_of(*calls: Call, folded: Sequence[Call] = ()) -> Graph:
    """Operators with operands of these types, one after another; only that is to be looked at."""
    tensors: list[Tensor] = []
    operators: list[Operator] = []

    def add(dtype: str) -> int:
        tensors.append(Tensor(len(tensors), "", (1,), dtype, None))
        return len(tensors) - 1

    for op, inputs, output in (*calls, *folded):
        indices = tuple(add(dtype) if dtype else -1 for dtype in inputs)
        operators.append(Operator(len(operators), op, indices, (add(output),), None))
    cut = len(calls)
    return Graph(
        tuple(tensors), tuple(operators[:cut]), (), (), "", 0, folded=tuple(operators[cut:])
    )


def chosen(library: Library, *calls: Call, folded: Sequence[Call] = ()) -> dict[str, str]:
    """Operator -> what is registered instead of the general one ("" = the general one)."""
    registrations = choose_registrations(graph_of(*calls, folded=folded), library)
    return {one.op: one.special for one in registrations}


CONV_INT8: Call = ("CONV_2D", ("int8", "int8", "int32"), "int8")
CONV_INT16: Call = ("CONV_2D", ("int16", "int8", "int64"), "int16")


@pytest.mark.parametrize(
    ("call", "special"),
    [
        (CONV_INT8, "CONV_2D_INT8"),
        (("CONV_2D", ("int8", "int8", ""), "int8"), "CONV_2D_INT8"),
        (CONV_INT16, "CONV_2D_INT16"),
        (("CONV_2D", ("int16", "int8", "int32"), "int16"), "CONV_2D_INT16"),
        (("CONV_2D", ("int16", "int8", ""), "int16"), ""),
        (("CONV_2D", ("int16", "int8"), "int16"), ""),
        (("ADD", ("int8", "int8"), "int8"), "ADD_INT8"),
        (("ADD", ("int16", "int16"), "int16"), "ADD_INT16"),
        (("ADD", ("int32", "int32"), "int32"), ""),
        (("ADD", ("float32", "float32"), "float32"), ""),
        (("SOFTMAX", ("int8",), "int8"), "SOFTMAX_INT8"),
        (("SOFTMAX", ("int16",), "int16"), "SOFTMAX_INT16"),
        (("SOFTMAX", ("int8",), "int16"), "SOFTMAX_INT8_INT16"),
        (("SVDF", ("int8", "int8", "int16", "int32", "int16"), "int8"), "SVDF_INT8"),
        (("SVDF", ("int8", "int8", "int8", "int32", "int8"), "int8"), "SVDF_INT8"),
        (("UNIDIRECTIONAL_SEQUENCE_LSTM", ("int8", "int8", "int32"), "int8"), ""),
        (("RESHAPE", ("int8", "int32"), "int8"), ""),
        (("RESIZE_NEAREST_NEIGHBOR", ("int8", "int32"), "int8"), ""),
    ],
)
def test_the_smallest_registration_that_fits_is_taken(cmsis_nn, call, special):
    assert chosen(cmsis_nn, call) == {call[0]: special}


def test_operators_of_several_types_share_the_general_one(cmsis_nn):
    assert chosen(cmsis_nn, CONV_INT8, CONV_INT16) == {"CONV_2D": ""}
    assert chosen(cmsis_nn, CONV_INT8, CONV_INT8) == {"CONV_2D": "CONV_2D_INT8"}


def test_what_the_aot_engine_folds_is_interpreted_too(cmsis_nn):
    folded = [("SHAPE", ("int8",), "int32"), ("ADD", ("int32", "int32"), "int32")]
    add: Call = ("ADD", ("int8", "int8"), "int8")

    assert chosen(cmsis_nn, add, folded=folded) == {"ADD": "", "SHAPE": ""}


def test_reference_kernels_have_only_general_ones(reference):
    assert chosen(reference, CONV_INT8) == {"CONV_2D": ""}


def test_a_declared_registration_that_the_library_lacks_is_not_used(cmsis_nn):
    without = replace(cmsis_nn, symbols=cmsis_nn.symbols - {register_symbol("CONV_2D_INT8")})

    assert chosen(without, CONV_INT8) == {"CONV_2D": ""}


@pytest.mark.parametrize("op", ABSENT)
def test_an_operator_that_upstream_lacks_is_named(cmsis_nn, op):
    with pytest.raises(UnsupportedModelError) as refused:
        choose_registrations(graph_of(CONV_INT8, (op, ("int8",), "int8")), cmsis_nn, where="m")

    assert str(refused.value) == (
        f"m: operator 1 ({op}) is not in this TFLite Micro library (expected one that "
        f"{cmsis_nn.version} registers); use --engine aot, or another operator"
    )


def test_an_operator_whose_kernel_was_left_out_of_the_library_is_named(cmsis_nn):
    without = replace(cmsis_nn, symbols=cmsis_nn.symbols - {register_symbol("SVDF")})

    with pytest.raises(UnsupportedModelError, match=r"operator 0 \(SVDF\) is not in this TFLite"):
        chosen(without, ("SVDF", ("int8", "int8", "int8", "int32", "int8"), "int8"))


def test_every_operator_that_is_read_has_its_method(cmsis_nn):
    for op in OPERATORS.values():
        if op not in ABSENT:
            (registration,) = choose_registrations(graph_of((op, ("bool",), "bool")), cmsis_nn)
            assert (registration.op, registration.method) == (op, method_of(op))


def test_a_tree_with_another_resolver_is_refused(tmp_path):
    library = find_library(make_tree(tmp_path))
    (library.tree / RESOLVER_HEADER).write_text("class SomethingElse {};\n")

    with pytest.raises(ToolchainError, match="has no methods that add operators"):
        chosen(library, CONV_INT8)


def test_a_header_that_goes_away_is_a_sentence(tmp_path):
    library = find_library(make_tree(tmp_path))
    (library.tree / RESOLVER_HEADER).unlink()

    with pytest.raises(ToolchainError, match="cannot be read: No such file"):
        chosen(library, CONV_INT8)


@given(text=st.text(alphabet="TfLiteStatus Add(){};&=Register_A()\nAddBuiltin(BuiltinOperator_B,"))
def test_any_header_is_read_or_refused(tmp_path_factory, cmsis_nn, text):
    tree = tmp_path_factory.mktemp("tree")
    header = tree / RESOLVER_HEADER
    header.parent.mkdir(parents=True)
    header.write_text(text)

    with pytest.raises((ToolchainError, UnsupportedModelError)):
        chosen(replace(cmsis_nn, tree=tree), CONV_INT8)


@pytest.mark.parametrize("piece", ["TfLiteStatus AddA(", "TfLiteStatus AddA() ", ") ", " "])
def test_a_header_made_to_be_searched_for_hours_is_not(tmp_path, piece):
    library = find_library(make_tree(tmp_path))
    (library.tree / RESOLVER_HEADER).write_text("TfLiteStatus AddA(" + piece * 40_000)

    with pytest.raises(ToolchainError, match="has no methods that add operators"):
        chosen(library, CONV_INT8)


def test_pipes_among_headers_and_libraries_are_not_waited_for(tmp_path):
    tree = make_tree(tmp_path)
    os.mkfifo((tree / RESOLVER_HEADER).parent / "kernels/aaa.h")
    (tree / "gen/another/lib").mkdir(parents=True)
    os.mkfifo(tree / "gen/another" / ARCHIVE)

    assert chosen(find_library(tree), CONV_INT8) == {"CONV_2D": "CONV_2D_INT8"}
