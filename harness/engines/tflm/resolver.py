"""Which of a library's operator registrations does a model need, and which of them are smallest?

Upstream's resolver has a method for each operator, AddConv2D() for CONV_2D, and registers all that
an operator can do: every type, with its code. Some methods take a smaller registration instead,
for one type. What there is, is read from the headers of the tree at hand and from the library's
symbols: both differ from one of upstream's commits to the next.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.engines.tflm.library import RESOLVER_HEADER, Library, register_symbol
from harness.errors import ToolchainError, UnsupportedModelError
from harness.tflite import Graph, Operator

_KERNEL_HEADERS = Path("tensorflow/lite/micro/kernels")
_LARGEST_HEADER = 1 << 20
# Upstream's longest parameters have 110 characters, bodies 180; without bounds a header made for
# that would be searched for hours.
_METHOD = re.compile(
    r"\bTfLiteStatus\s{1,99}(Add\w{1,99})\s{0,99}"
    r"\(([^{};]{0,500})\)\s{0,99}\{([^{}]{0,500})\}",
    re.ASCII,
)
_CODE = re.compile(r"\bAddBuiltin\s*\(\s*(?:tflite::)?BuiltinOperator_(\w+)\b", re.ASCII)
_REGISTER = re.compile(r"\bRegister_(\w+)\s*\(\s*\)", re.ASCII)


@dataclass(frozen=True)
class _Fit:
    """Registrations called Register_<operator>_<suffix> run operators with `activation` among the
    types of their inputs and no other than these inputs, and this output. Which types go together
    was checked when the model was read."""

    suffix: str
    activation: str
    inputs: frozenset[str]
    output: str


# int32 are biases, permutations, paddings and shapes; int16 the state of SVDF.
_FITS = (
    _Fit("INT8", "int8", frozenset({"int8", "int16", "int32"}), "int8"),
    _Fit("INT16", "int16", frozenset({"int16", "int8", "int32", "int64"}), "int16"),
    _Fit("INT8_INT16", "int8", frozenset({"int8"}), "int16"),
)
# Upstream's LSTM for one type asserts weights of int16, which none has: libraries with assertions
# stand still there (kernels/cmsis_nn/unidirectional_sequence_lstm.cc).
_ONLY_GENERAL = frozenset({"UNIDIRECTIONAL_SEQUENCE_LSTM"})


@dataclass(frozen=True)
class Registration:
    """A call of the resolver: `method`, with the registration Register_<special>() of `header`
    unless that is empty, which leaves the general one."""

    op: str
    method: str
    special: str = ""
    header: str = ""


@dataclass(frozen=True)
class _Method:
    """general: the Register_<general>() that it adds. takes_one: can it be given another?"""

    name: str
    general: str
    takes_one: bool


def choose_registrations(
    graph: Graph, library: Library, *, where: str = "model"
) -> tuple[Registration, ...]:
    """One for each kind of operator in the file, folded ones included, as the interpreter runs
    them all; in alphabetical order.

    Raises:
        UnsupportedModelError: an operator that this library does not have.
        ToolchainError: a tree whose resolver is none that this knows to read.
    """
    by_kind: dict[str, list[Operator]] = {}
    for operator in graph.file_operators:
        by_kind.setdefault(operator.op, []).append(operator)
    methods = _methods(library.tree)
    for name, alike in by_kind.items():
        method = methods.get(name)
        if method is None or register_symbol(method.general) not in library.symbols:
            raise UnsupportedModelError(
                f"operator {alike[0].index} ({name}) is not in this TFLite Micro library",
                where=where,
                expected=f"one that {library.version} registers",
                hint="use --engine aot, or another operator",
            )
    return tuple(
        _choose(name, methods[name], by_kind[name], graph, library) for name in sorted(by_kind)
    )


def _choose(
    name: str, method: _Method, operators: list[Operator], graph: Graph, library: Library
) -> Registration:
    if method.takes_one and name not in _ONLY_GENERAL:
        headers = _special_headers(library.tree)
        for fit in _FITS:
            special = f"{name}_{fit.suffix}"
            if (
                special in headers
                and register_symbol(special) in library.symbols
                and all(_fits(fit, operator, graph) for operator in operators)
            ):
                return Registration(name, method.name, special, headers[special])
    return Registration(name, method.name)


def _fits(fit: _Fit, operator: Operator, graph: Graph) -> bool:
    inputs = {graph.tensor(index).dtype for index in operator.inputs if index >= 0}
    outputs = {graph.tensor(index).dtype for index in operator.outputs}
    if fit.output == "int16" and operator.op == "CONV_2D" and graph.optional(operator, 2) is None:
        # How wide its sums are without a bias, upstream's two registrations decide differently.
        return False
    return fit.activation in inputs and inputs <= fit.inputs and outputs == {fit.output}


@functools.lru_cache(maxsize=4)
def _methods(tree: Path) -> dict[str, _Method]:
    """By operator, as the schema spells it."""
    header = tree / RESOLVER_HEADER
    methods = {}
    for match in _METHOD.finditer(_text(header)):
        name, parameters, body = match.groups()
        code = _CODE.search(body)
        general = _REGISTER.search(parameters) or _REGISTER.search(body)
        if code is not None and general is not None:
            methods[code[1]] = _Method(name, general[1], takes_one="&" in parameters)
    if not methods:
        raise ToolchainError(
            "has no methods that add operators",
            where=header,
            expected="TfLiteStatus AddConv2D(...)",
            hint="use a tree of upstream's main branch",
        )
    return methods


@functools.lru_cache(maxsize=4)
def _special_headers(tree: Path) -> dict[str, str]:
    """Which header, as it is included, declares Register_<key>(); the first in order of names."""
    found: dict[str, str] = {}
    for header in sorted(filter(Path.is_file, (tree / _KERNEL_HEADERS).glob("*.h"))):
        for name in _specials(_text(header)):
            found.setdefault(name, (_KERNEL_HEADERS / header.name).as_posix())
    return found


def _specials(text: str) -> Iterator[str]:
    return (
        name for name in _REGISTER.findall(text) if any(name.endswith(f.suffix) for f in _FITS)
    )


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_HEADER).decode("utf-8", errors="replace")
    except OSError as error:
        raise ToolchainError(
            f"cannot be read: {error.strerror}", where=path, hint="check out upstream's tree anew"
        ) from None
