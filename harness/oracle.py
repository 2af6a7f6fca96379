"""What should a model answer? TensorFlow Lite Micro's reference kernels on the host, through the
PyPI package tflite-micro; imports neither tensorflow nor torch.

The interpreter aborts its whole process on some well-formed models (TFLITE_CHECK on scale ratios,
unchecked dimensions), so it runs in a child process (`python -m harness.oracle`) that is started
once, keeps the last model, and is replaced when it died or missed its deadline.

A message between the two is u32 length, JSON of that length, then the arrays' bytes it lists.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import numpy as np

from harness.errors import HilnasError, ToolchainError

Array = np.ndarray[Any, np.dtype[Any]]

_ROOT = Path(__file__).resolve().parents[1]
_ARENAS = (1 << 20, 1 << 23, 1 << 26)  # bytes, tried in turn
_DEADLINE_S = 60.0
_COMMAND = [sys.executable, "-m", "harness.oracle"]


def _reference() -> str:
    try:
        return f"tflite-micro {version('tflite-micro')}"
    except PackageNotFoundError:
        return "tflite-micro (not installed)"


REFERENCE = _reference()


def reference_outputs(
    model: bytes, inputs: list[Array], *, deadline_s: float = _DEADLINE_S
) -> list[Array]:
    """Outputs of `model`, in its order, for `inputs`, in its order, shapes and dtypes. What state
    the model has starts anew.

    Raises: see reference_sequence.
    """
    return reference_sequence(model, [inputs], deadline_s=deadline_s)[0]


def reference_sequence(
    model: bytes, sequence: list[list[Array]], *, deadline_s: float = _DEADLINE_S
) -> list[list[Array]]:
    """Outputs of consecutive inferences, each of which finds the state that the one before left.

    Raises:
        ToolchainError: tflite-micro is not installed.
        HilnasError: the interpreter refused the model or the inputs, crashed, or took longer than
            `deadline_s` seconds.
    """
    with _lock:
        return _living().infer(model, sequence, deadline_s)


def recorded_allocations(model: bytes, *, deadline_s: float = _DEADLINE_S) -> str:
    """What the interpreter prints about the arena it set up for `model`, on this machine: head,
    tail, and the tail's parts (RecordingMicroAllocator::PrintAllocations).

    Raises: see reference_sequence.
    """
    with _lock:
        return _living().allocations(model, deadline_s)


def _living() -> _Worker:
    global _worker
    if _worker is not None and not _worker.alive:
        _worker.close()
        _worker = None
    if _worker is None:
        _worker = _Worker()
    return _worker


class _Worker:
    """The child process. Dies with this one: its standard input closes."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=_ROOT,
        )

    @property
    def alive(self) -> bool:
        """Usable by this process: a fork must not share its parent's pipes."""
        return os.getpid() == self._owner and self._process.poll() is None

    def close(self) -> None:
        if os.getpid() == self._owner:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            assert stream is not None
            stream.close()

    def infer(
        self, model: bytes, sequence: list[list[Array]], deadline_s: float
    ) -> list[list[Array]]:
        arrays = [array for inputs in sequence for array in inputs]
        _, outputs = self._ask({"runs": len(sequence)}, model, arrays, deadline_s)
        return _split(outputs, len(sequence))

    def allocations(self, model: bytes, deadline_s: float) -> str:
        answer, _ = self._ask({"allocations": True}, model, [], deadline_s)
        return str(answer["allocations"])

    def _ask(
        self, question: dict[str, Any], model: bytes, arrays: list[Array], deadline_s: float
    ) -> tuple[dict[str, Any], list[Array]]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._log.seek(0)
        self._log.truncate()
        overdue = threading.Event()

        def stop() -> None:
            overdue.set()
            self._process.kill()

        timer = threading.Timer(deadline_s, stop)
        timer.start()
        try:
            send(self._process.stdin, question, [np.frombuffer(model, np.uint8), *arrays])
            answer, outputs = receive(self._process.stdout)
        except (EOFError, BrokenPipeError):
            code = self._process.wait()
            said = self._said()
            _close()
            if overdue.is_set():
                raise HilnasError(
                    "the reference interpreter took too long",
                    where=REFERENCE,
                    expected=f"an answer within {deadline_s:g} s",
                    hint="use a smaller model",
                ) from None
            raise HilnasError(
                "the reference interpreter crashed on this model",
                where=REFERENCE,
                got=f"exit code {code}{said}",
                hint="its scales or shapes are outside what the interpreter can run",
            ) from None
        finally:
            timer.cancel()
        if answer["missing"]:
            _close()
            raise ToolchainError(
                "tflite-micro cannot be imported",
                got=answer["error"],
                hint="`make setup` installs it",
            )
        if answer["error"]:
            raise HilnasError(
                f"the reference interpreter refused: {answer['error']}{self._said()}",
                where=REFERENCE,
                hint="check that inputs and model belong together",
            )
        return answer, outputs

    def _said(self) -> str:
        """What the interpreter printed last, for a message."""
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").split("\n")
        text = " ".join(line.strip() for line in lines if line.strip())
        return f" ({text[-300:]})" if text else ""


_lock = threading.Lock()
_worker: _Worker | None = None


@atexit.register
def _close() -> None:
    global _worker
    if _worker is not None:
        _worker.close()
        _worker = None


def send(stream: IO[bytes], message: dict[str, Any], arrays: list[Array]) -> None:
    described = [{"dtype": array.dtype.name, "shape": array.shape} for array in arrays]
    header = json.dumps({**message, "arrays": described}).encode()
    stream.write(struct.pack("<I", len(header)) + header)
    for array in arrays:
        stream.write(np.ascontiguousarray(array).tobytes())
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], list[Array]]:
    """Raises EOFError where the other side is gone."""

    def take(count: int) -> bytes:
        data = stream.read(count)
        if len(data) != count:
            raise EOFError
        return data

    message: dict[str, Any] = json.loads(take(struct.unpack("<I", take(4))[0]))
    arrays = []
    for described in message.pop("arrays"):
        kind = np.dtype(described["dtype"])
        data = take(math.prod(described["shape"]) * kind.itemsize)
        arrays.append(np.frombuffer(data, kind).reshape(described["shape"]))
    return message, arrays


def _split(arrays: list[Array], parts: int) -> list[list[Array]]:
    size = len(arrays) // parts
    return [arrays[i * size : (i + 1) * size] for i in range(parts)]


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """The child's side: answer until the requests end."""
    try:
        from tflite_micro import runtime
    except ImportError as error:
        receive(requests)
        send(answers, {"missing": True, "error": str(error)}, [])
        return
    kept: tuple[bytes, Any] | None = None
    while True:
        try:
            request, (model, *inputs) = receive(requests)
        except EOFError:
            return
        data = model.tobytes()
        try:
            if kept is None or kept[0] != data:
                kept = None
                kept = (data, _open(runtime, data))
            if request.get("allocations"):
                found = {"allocations": _printed(kept[1].print_allocations)}
                send(answers, {"missing": False, "error": "", **found}, [])
                continue
            kept[1].reset()
            outputs = [
                array
                for each in _split(inputs, request["runs"])
                for array in _infer(kept[1], each)
            ]
        except Exception as error:  # whatever it is, the parent says it in one sentence
            kept = None
            send(answers, {"missing": False, "error": str(error) or repr(error)}, [])
        else:
            send(answers, {"missing": False, "error": ""}, outputs)


def _open(runtime: Any, model: bytes) -> Any:
    for arena_bytes in _ARENAS:
        try:
            return runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)
        except RuntimeError:
            if arena_bytes == _ARENAS[-1]:
                raise
    raise AssertionError("unreachable")


def _printed(print_something: Callable[[], None]) -> str:
    """What a C library writes to this process's standard error meanwhile."""
    with tempfile.TemporaryFile() as held:
        kept = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            print_something()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        held.seek(0)
        return held.read().decode("utf-8", "replace")


def _infer(interpreter: Any, inputs: list[Array]) -> list[Array]:
    if not _exists(interpreter.get_input_details, len(inputs) - 1) or _exists(
        interpreter.get_input_details, len(inputs)
    ):
        raise ValueError(f"the model does not have {len(inputs)} inputs")
    for index, array in enumerate(inputs):
        interpreter.set_input(array, index)
    interpreter.invoke()
    outputs: list[Array] = []
    while _exists(interpreter.get_output_details, len(outputs)):
        outputs.append(np.array(interpreter.get_output(len(outputs))))
    return outputs


def _exists(details: Any, index: int) -> bool:
    try:
        details(index)
    except (RuntimeError, ValueError, IndexError):
        return False
    return True


if __name__ == "__main__":
    # Whatever the interpreter prints must not land between two answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)
