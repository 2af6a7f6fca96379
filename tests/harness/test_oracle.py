"""The reference interpreter answers, refuses or dies, and none of it reaches the caller raw."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import numpy as np
import pytest

from harness import oracle
from harness.errors import HilnasError, ToolchainError
from harness.oracle import (
    REFERENCE,
    receive,
    recorded_allocations,
    reference_outputs,
    reference_sequence,
    send,
    serve,
)
from tests.tflite_factory import NONE, ModelFactory, fully_connected_model, small_network, svdf

INPUT = np.zeros((1, 12), np.int8)


def aborting_model() -> bytes:
    """An addition whose output scale breaks a TFLITE_CHECK of the interpreter."""
    model = ModelFactory()
    inputs = [model.input((4,), scale=1.0) for _ in range(2)]
    model.outputs = [model.tensor((4,), scale=1e-9)]
    model.operator("ADD", inputs, model.outputs, activation=NONE)
    return model.build()


def test_outputs_come_with_the_shape_and_type_of_the_model() -> None:
    (output,) = reference_outputs(fully_connected_model(depth=12, channels=5), [INPUT])

    assert (output.shape, output.dtype) == ((1, 5), np.int8)


def test_models_may_take_turns() -> None:
    first, second = fully_connected_model(seed=1), fully_connected_model(seed=2)

    once = [reference_outputs(model, [INPUT])[0] for model in (first, second)]
    again = [reference_outputs(model, [INPUT])[0] for model in (first, second)]

    np.testing.assert_array_equal(once, again)


def test_the_arena_grows_with_the_model() -> None:
    model = ModelFactory()
    source = model.input((1 << 21,), scale=0.5)
    model.outputs = [model.tensor((1 << 21,), scale=0.5)]
    model.operator("RELU", [source], model.outputs)

    (output,) = reference_outputs(model.build(), [np.full(1 << 21, -7, np.int8)])

    assert not output.any()


def test_the_reference_says_its_version() -> None:
    assert REFERENCE.startswith("tflite-micro 0.dev")


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        (fully_connected_model(), [], "refused: the model does not have 0 inputs"),
        (fully_connected_model(), [INPUT, INPUT], "refused: the model does not have 2 inputs"),
        (
            fully_connected_model(),
            [INPUT[:, :3]],
            "refused: Cannot set tensor: Dimension mismatch",
        ),
        (fully_connected_model(), [INPUT.astype(np.float32)], "refused: Cannot set tensor: Got"),
        (fully_connected_model()[:100], [INPUT], "refused: "),
    ],
    ids=["too few", "too many", "shape", "type", "truncated"],
)
def test_what_the_interpreter_refuses_is_one_sentence(
    model: bytes, inputs: list[np.ndarray], message: str
) -> None:
    with pytest.raises(HilnasError, match=message) as caught:
        reference_outputs(model, inputs)
    assert str(caught.value).startswith(REFERENCE)


def test_a_crash_of_the_interpreter_is_an_error_and_the_next_model_works() -> None:
    with pytest.raises(HilnasError, match=r"crashed on this model \(got exit code -6"):
        reference_outputs(aborting_model(), [np.zeros(4, np.int8)] * 2)

    assert len(reference_outputs(fully_connected_model(), [INPUT])) == 1


def test_an_interpreter_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle._close()
    monkeypatch.setattr(oracle, "_COMMAND", ["sleep", "60"])
    with pytest.raises(HilnasError, match=r"took too long \(expected an answer within 0.2 s\)"):
        reference_outputs(small_network(), [INPUT], deadline_s=0.2)


def test_a_missing_package_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle._close()
    hidden = "import sys; sys.modules['tflite_micro'] = None\n"
    serve = "from harness.oracle import serve; serve(sys.stdin.buffer, sys.stdout.buffer)"
    monkeypatch.setattr(oracle, "_COMMAND", [sys.executable, "-c", hidden + serve])
    with pytest.raises(ToolchainError, match="tflite-micro cannot be imported.*make setup"):
        reference_outputs(fully_connected_model(), [INPUT])


def test_a_forked_process_starts_an_interpreter_of_its_own() -> None:
    reference_outputs(fully_connected_model(), [INPUT])
    inherited = oracle._worker
    assert inherited is not None
    inherited._owner = -1  # as a fork sees it

    reference_outputs(fully_connected_model(), [INPUT])

    assert oracle._worker is not inherited
    # The parent's process was left alone: it ends by itself, not by a signal.
    assert inherited._process.wait(timeout=60) == 0


def test_the_childs_side_answers_until_the_requests_end() -> None:
    requests, answers = io.BytesIO(), io.BytesIO()
    model = np.frombuffer(fully_connected_model(depth=12, channels=5), np.uint8)
    for arrays in ([model, INPUT], [model], [model, INPUT]):
        send(requests, {"runs": 1}, arrays)
    requests.seek(0)

    serve(requests, answers)

    answers.seek(0)
    first, second, third = (receive(answers) for _ in range(3))
    assert first[0] == third[0] == {"missing": False, "error": ""}
    np.testing.assert_array_equal(first[1], third[1])
    assert second == ({"missing": False, "error": "the model does not have 0 inputs"}, [])
    with pytest.raises(EOFError):
        receive(answers)


def test_the_childs_side_gives_up_on_a_model_that_no_arena_holds() -> None:
    model = ModelFactory()
    source = model.input((1 << 25,), scale=0.5)
    model.outputs = [model.tensor((1 << 25,), scale=0.5)]
    model.operator("RELU", [source], model.outputs)
    total = model.tensor((1 << 25,), scale=0.5)
    model.operator("ADD", [source, model.outputs[0]], [total], activation=NONE)
    model.outputs = [total]
    requests, answers = io.BytesIO(), io.BytesIO()
    send(requests, {}, [np.frombuffer(model.build(), np.uint8)])
    requests.seek(0)

    serve(requests, answers)

    answers.seek(0)
    assert receive(answers)[0]["error"] == "TFLM failed to allocate tensors"


def test_what_the_interpreter_allocates_is_recorded_and_it_still_answers() -> None:
    model = fully_connected_model(depth=12, channels=5)
    text = recorded_allocations(model).replace("\r", "")

    assert re.search(r"(?m)Arena allocation head 32 bytes$", text)  # 12 and 5, in units of 16
    assert re.search(r"(?m)Arena allocation tail \d+ bytes$", text)
    assert len(reference_outputs(model, [INPUT])) == 1


def test_a_model_that_crashes_while_it_is_recorded_is_an_error() -> None:
    with pytest.raises(HilnasError, match="crashed on this model"):
        recorded_allocations(aborting_model())
    assert "Arena allocation" in recorded_allocations(fully_connected_model())


def test_neither_tensorflow_nor_torch_is_imported() -> None:
    code = (
        "import sys, numpy as np; from harness.oracle import reference_outputs;"
        "from tests.tflite_factory import fully_connected_model as model;"
        "reference_outputs(model(), [np.zeros((1, 12), np.int8)]);"
        "assert not {'tensorflow', 'torch', 'tflite_micro'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=oracle._ROOT, timeout=60)


def test_state_lasts_through_a_sequence_and_no_longer() -> None:
    model = ModelFactory()
    model.outputs = [svdf(model, model.input((1, 6), scale=0.5))]
    data = model.build()
    inputs = [np.arange(6, dtype=np.int8).reshape(1, 6)]

    first, second = reference_sequence(data, [inputs, inputs])

    assert not np.array_equal(first[0], second[0])
    np.testing.assert_array_equal(reference_outputs(data, inputs)[0], first[0])
