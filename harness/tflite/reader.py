"""How do decoded tables become a graph? Checks what concerns the whole file: buffers, tensors, who
writes what, in which order."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import MalformedModelError, UnsupportedModelError, UsageError
from harness.tflite import schema
from harness.tflite.flatbuffer import Decoder
from harness.tflite.graph import Array, Graph, Operator, Quantisation, Tensor
from harness.tflite.operators import CHECKS, STATES, Node, fold, must_be_known

LARGEST_FILE = 1 << 25  # bytes
_LARGEST_TENSOR = 1 << 23  # elements; no Cortex-M4 has memory for one, and sums of it fit an int32
_LARGEST_CONSTANTS = 1 << 24  # bytes, once for each use: the C that they become
_LARGEST_RANK = 6
_MOST_OPERATORS = 1000
_MOST_RESULTS = 1024  # of all operators; planning compares each with all that live when it does
_MOST_OPERANDS = 256  # of one operator, and inputs and outputs of the graph
_NUMPY_TYPES = {
    "bool": "?",
    "float32": "<f4",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "int8": "i1",
    "uint32": "<u4",
    "uint8": "u1",
}
_ZERO_POINTS = {"int16": (-(1 << 15), (1 << 15) - 1), "int8": (-128, 127), "uint8": (0, 255)}


def read_model(path: Path) -> bytes:
    """What `path` holds, a byte more than a model may have at most.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read the model: {error.strerror}", where=path, hint="check the path"
        ) from None


def read_graph(data: bytes, *, where: str) -> Graph:
    """Check `data` as a .tflite and return its only subgraph.

    Raises:
        MalformedModelError: no valid flatbuffer, or one that contradicts itself.
        UnsupportedModelError: a valid model that the aot engine cannot run.
    """
    if len(data) > LARGEST_FILE:
        raise UnsupportedModelError(
            "is too large a file",
            where=where,
            expected=f"<= {LARGEST_FILE} bytes",
            got="more",
            hint="no Cortex-M4 has flash for it; use a smaller network",
        )
    model = Decoder(data, where=where).decode_root(schema.MODEL, schema.IDENTIFIER)
    reader = _Reader(model, where)
    operators, folded = reader.read_operators()
    return Graph(
        tensors=tuple(reader.tensors),
        operators=operators,
        inputs=reader.inputs,
        outputs=reader.outputs,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        folded=folded,
    )


class _Reader:
    """The file while it is being checked; `tensors`, `inputs` and `outputs` are checked ones."""

    def __init__(self, model: dict[str, Any], where: str) -> None:
        self._model, self._where = model, where
        if model["version"] != schema.VERSION:
            raise self._unsupported(
                "has another schema version", "convert it again", schema.VERSION, model["version"]
            )
        subgraphs = model["subgraphs"] or []
        if not subgraphs:
            raise self._malformed("has no subgraph", "1", 0)
        if len(subgraphs) > 1:
            raise self._unsupported(
                "has several subgraphs", "remove control flow", 1, len(subgraphs)
            )
        graph = subgraphs[0]
        self._raw_tensors: list[dict[str, Any]] = graph["tensors"] or []
        self._raw_operators: list[dict[str, Any]] = graph["operators"] or []
        if not self._raw_operators:
            raise self._malformed("has no operators", "at least 1", 0)
        if len(self._raw_operators) > _MOST_OPERATORS:
            raise self._unsupported(
                "has too many operators",
                "split the network",
                f"<= {_MOST_OPERATORS}",
                len(self._raw_operators),
            )
        self.inputs = self._indices(graph["inputs"], "inputs")
        self.outputs = self._indices(graph["outputs"], "outputs")
        if not self.inputs or not self.outputs:
            raise self._malformed("has no inputs or no outputs", "at least 1 each", 0)
        if len(set(self.inputs)) != len(self.inputs):
            raise self._malformed("lists an input twice", "distinct tensors", self.inputs)
        names = [self._operator_name(i) for i in range(len(self._raw_operators))]
        self._operands = [
            (
                name,
                self._indices(raw["inputs"], f"operator {i} ({name}) inputs", optional=True),
                self._indices(raw["outputs"], f"operator {i} ({name}) outputs"),
            )
            for i, (name, raw) in enumerate(zip(names, self._raw_operators, strict=True))
        ]
        results = sum(len(outputs) for _, _, outputs in self._operands)
        if results > _MOST_RESULTS:
            raise self._unsupported(
                "has operators with too many outputs together",
                "split tensors into fewer parts",
                f"<= {_MOST_RESULTS}",
                results,
            )
        used = {*self.inputs, *self.outputs}
        for _, inputs, outputs in self._operands:
            used.update(inputs, outputs)
        self.tensors = [
            self._tensor(i, raw)
            if i in used
            else Tensor(i, raw["name"] or "", (), "unused", None, None)
            for i, raw in enumerate(self._raw_tensors)
        ]
        self._check_order()

    def _malformed(self, what: str, expected: object = None, got: object = None) -> Exception:
        return MalformedModelError(
            what,
            where=self._where,
            expected=expected,
            got=got,
            hint="the file is damaged; export it again",
        )

    def _unsupported(
        self, what: str, hint: str, expected: object = None, got: object = None
    ) -> Exception:
        return UnsupportedModelError(
            what, where=self._where, expected=expected, got=got, hint=hint
        )

    def _indices(self, raw: Array | None, name: str, *, optional: bool = False) -> tuple[int, ...]:
        if raw is not None and len(raw) > _MOST_OPERANDS:
            raise self._unsupported(
                f"{name}: too many tensors", "split the network", f"<= {_MOST_OPERANDS}", len(raw)
            )
        values = () if raw is None else tuple(int(value) for value in raw)
        lowest = -1 if optional else 0
        for value in values:
            if not lowest <= value < len(self._raw_tensors):
                raise self._malformed(
                    f"{name}: no such tensor", f"{lowest}..{len(self._raw_tensors) - 1}", value
                )
        return values

    def _operator_name(self, index: int) -> str:
        codes = self._model["operator_codes"] or []
        chosen = self._raw_operators[index]["opcode_index"]
        if chosen >= len(codes):
            raise self._malformed(
                f"operator {index}: no such operator code", f"< {len(codes)}", chosen
            )
        code = max(codes[chosen]["builtin_code"], codes[chosen]["deprecated_builtin_code"])
        name = schema.OPERATORS.get(code)
        if name is None:
            custom = codes[chosen]["custom_code"]
            known = repr(custom)[:40] if code == 32 and custom else _builtin_name(code)
            raise self._unsupported(
                f"operator {index} is {known}, which is not supported",
                "rebuild the network without it",
                f"one of {', '.join(sorted(CHECKS))}",
                known,
            )
        return name

    def _tensor(self, index: int, raw: dict[str, Any]) -> Tensor:
        name = f"tensor {index}"
        code = raw["type"]
        if not 0 <= code < len(schema.TYPE_NAMES):
            raise self._malformed(f"{name}: unknown type", f"< {len(schema.TYPE_NAMES)}", code)
        dtype = schema.TYPE_NAMES[code]
        if dtype not in _NUMPY_TYPES:
            raise self._unsupported(
                f"{name} is {dtype}", "convert to full int8 quantisation", "int8", dtype
            )
        if raw["sparsity"] is not None:
            raise self._unsupported(f"{name} is sparse", "convert without sparsity")
        shape = self._shape(name, raw)
        data = self._data(name, raw["buffer"], dtype, shape)
        if raw["is_variable"] and data is not None:
            raise self._unsupported(
                f"{name} is variable and has a first value", "start from zeros", "no data", "some"
            )
        quantisation = self._quantisation(name, raw, shape)
        return Tensor(
            index, raw["name"] or "", shape, dtype, quantisation, data, bool(raw["is_variable"])
        )

    def _shape(self, name: str, raw: dict[str, Any]) -> tuple[int, ...]:
        shape = () if raw["shape"] is None else tuple(int(size) for size in raw["shape"])
        if len(shape) > _LARGEST_RANK:
            raise self._unsupported(
                f"{name} has too many axes", "use fewer", f"<= {_LARGEST_RANK}", len(shape)
            )
        signature = raw["shape_signature"]
        if signature is not None and len(signature):
            if len(signature) != len(shape):
                raise self._malformed(f"{name}: shape and its signature differ", shape)
            for axis, (size, signed) in enumerate(zip(shape, signature, strict=True)):
                if int(signed) not in (size, -1):
                    raise self._malformed(f"{name}: shape and its signature differ", size, signed)
                if signed == -1 and (axis or size != 1):
                    raise self._unsupported(
                        f"{name} has a dynamic axis {axis}", "convert with a fixed input shape"
                    )
        if any(size == -1 for size in shape):
            raise self._unsupported(
                f"{name} has a dynamic shape",
                "convert with a fixed shape",
                "positive sizes",
                shape,
            )
        if any(size <= 0 for size in shape):
            raise self._malformed(f"{name} has an impossible shape", "positive sizes", shape)
        if math.prod(shape) > _LARGEST_TENSOR:
            raise self._unsupported(
                f"{name} is too large",
                "use smaller tensors",
                f"<= {_LARGEST_TENSOR} elements",
                shape,
            )
        return shape

    def _data(self, name: str, buffer: int, dtype: str, shape: tuple[int, ...]) -> Array | None:
        buffers = self._model["buffers"] or []
        if buffer >= len(buffers):
            raise self._malformed(f"{name}: no such buffer", f"< {len(buffers)}", buffer)
        if buffers[buffer]["offset"] > 1 or buffers[buffer]["size"] > 1:
            raise self._unsupported(
                f"{name} lies behind the flatbuffer", "convert without external buffers"
            )
        raw = buffers[buffer]["data"]
        if raw is None or not len(raw):
            return None
        kind = np.dtype(_NUMPY_TYPES[dtype])
        if len(raw) != math.prod(shape) * kind.itemsize:
            raise self._malformed(
                f"{name}: buffer size contradicts the shape {shape}",
                f"{math.prod(shape) * kind.itemsize} bytes",
                len(raw),
            )
        shared: Array = raw.view(kind)  # no copy: many tensors may share one buffer
        return shared.reshape(shape)

    def _quantisation(
        self, name: str, raw: dict[str, Any], shape: tuple[int, ...]
    ) -> Quantisation | None:
        table = raw["quantization"]
        if table is None or table["scale"] is None or not len(table["scale"]):
            return None
        if table["details_type"]:
            raise self._unsupported(f"{name} has custom quantisation", "use int8")
        scales, zeros = table["scale"], table["zero_point"]
        count = 0 if zeros is None else len(zeros)
        if count != len(scales):
            raise self._malformed(f"{name}: scales and zero points differ", len(scales), count)
        with np.errstate(invalid="ignore"):  # NaNs that signal
            wrong = ~(np.isfinite(scales) & (scales > 0))
        if wrong.any():
            scale = float(scales[wrong][0])
            raise self._malformed(f"{name}: impossible scale", "positive and finite", scale)
        low, high = _ZERO_POINTS.get(schema.TYPE_NAMES[raw["type"]], (-(1 << 31), (1 << 31) - 1))
        wrong = (zeros < low) | (zeros > high)
        if wrong.any():
            zero = int(zeros[wrong][0])
            raise self._malformed(f"{name}: impossible zero point", f"{low}..{high}", zero)
        axis = int(table["axis"])
        if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
            raise self._malformed(
                f"{name}: {len(scales)} scales along axis {axis} contradict the shape",
                "one a slice",
                shape,
            )
        # Only now, and at once, do they become what takes ten times the memory.
        several = axis if len(scales) > 1 else 0
        return Quantisation(tuple(scales.tolist()), tuple(zeros.tolist()), several)

    def _check_order(self) -> None:
        """Every operator reads only what is there already, and every tensor has one writer."""
        states = {tensor.index for tensor in self.tensors if tensor.variable}
        ready = {*self.inputs, *states, *(t.index for t in self.tensors if t.data is not None)}
        self._check_states(states)
        for index in self.inputs:
            if self.tensors[index].data is not None:
                raise self._malformed(f"input tensor {index} is a constant", "no data")
        for i, (name, inputs, outputs) in enumerate(self._operands):
            for index in inputs:
                if index >= 0 and index not in ready:
                    raise self._malformed(
                        f"operator {i} ({name}) reads tensor {index} before it is written",
                        "operators in execution order",
                        "a cycle or a missing writer",
                    )
            for index in outputs:
                if index in ready:
                    raise self._malformed(
                        f"operator {i} ({name}) writes tensor {index} again",
                        "one writer a tensor",
                        "two",
                    )
                ready.add(index)
        written = {index for _, _, outputs in self._operands for index in outputs}
        for index in self.outputs:
            if index not in written:
                raise self._malformed(
                    f"output tensor {index} is written by no operator", "a result", "none"
                )

    def _check_states(self, states: set[int]) -> None:
        """Each belongs to one operator, which may change it."""
        owned = {*self.inputs, *self.outputs}
        for i, (name, inputs, _) in enumerate(self._operands):
            for position, index in enumerate(inputs):
                if index not in states:
                    continue
                if position not in STATES.get(name, ()):
                    raise self._unsupported(
                        f"operator {i} ({name}) reads tensor {index}, which is variable",
                        "keep state in recurrent layers only",
                        f"state of {' or '.join(sorted(STATES))}",
                        f"input {position} of {name}",
                    )
                if index in owned:
                    raise self._unsupported(
                        f"operator {i} ({name}) keeps its state in tensor {index}, which has "
                        "another use",
                        "give every layer a state of its own",
                    )
                owned.add(index)

    def read_operators(self) -> tuple[tuple[Operator, ...], tuple[Operator, ...]]:
        """Those that run, and those whose results are constants: `tensors` hold them afterwards,
        so that checks of later operators read them like any constant of the file."""
        used = (self.tensors[j] for _, inputs, _ in self._operands for j in inputs if j >= 0)
        constants_bytes = sum(tensor.bytes for tensor in used if tensor.data is not None)
        if constants_bytes > _LARGEST_CONSTANTS:
            raise self._unsupported(
                "has too many constants",
                "no Cortex-M4 has flash for them; use a smaller network",
                f"<= {_LARGEST_CONSTANTS} bytes",
                constants_bytes,
            )
        operators, folded = [], []
        for i, (name, inputs, outputs) in enumerate(self._operands):
            raw = self._raw_operators[i]
            belongs = raw["options_type"] == schema.OPTIONS_OF.get(name)
            node = Node(
                where=f"{self._where}: operator {i} ({name})",
                op=name,
                inputs=tuple(self.tensors[j] if j >= 0 else None for j in inputs),
                outputs=tuple(self.tensors[j] for j in outputs),
                raw=raw["options"] if belongs else None,
            )
            constant = fold(node)
            if constant is not None:
                self.tensors[outputs[0]] = replace(node.output, data=constant)
                folded.append(Operator(i, name, inputs, outputs, None))
            elif name in CHECKS:
                operators.append(Operator(i, name, inputs, outputs, CHECKS[name](node)))
            else:
                raise must_be_known(node)
        for index in self.outputs:
            if self.tensors[index].data is not None:
                raise self._unsupported(
                    f"output tensor {index} does not depend on the inputs",
                    "remove it from the outputs",
                    "a result",
                    "a constant",
                )
        return tuple(operators), tuple(folded)


def _builtin_name(code: int) -> str:
    from tflite import opcode2name  # 0.3 s of imports, wanted only here

    try:
        return str(opcode2name(code))
    except (KeyError, ValueError):
        return f"operator code {code}"
