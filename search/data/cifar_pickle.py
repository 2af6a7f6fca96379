"""What does a pickled CIFAR batch hold? A pickle is a program for a machine that may call anything
there is; no such machine runs here. The instructions are decoded by pickletools, and the few of
which a batch consists are followed: dictionaries, lists, tuples, strings, whole numbers, and the
three names by which numpy rebuilds an array of bytes. Names stand for markers of this module and
are never imported; any other name, call or instruction is refused.

Instructions: pickletools in the Python library, PEP 307. An array's state: ndarray.__reduce__ and
ndarray.__setstate__ in numpy's reference.
"""

from __future__ import annotations

import math
import pickletools
import warnings
from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DatasetError


class _Known(Enum):
    """What a name may stand for."""

    RECONSTRUCT = "numpy.core.multiarray _reconstruct"
    ARRAY = "numpy ndarray"
    DTYPE = "numpy dtype"


_NAMES = {known.value: known for known in _Known} | {
    "numpy._core.multiarray _reconstruct": _Known.RECONSTRUCT  # as numpy 2 writes it
}
_UINT8_STATE = (
    3,
    "|",
    None,
    None,
    None,
    -1,
    -1,
    0,
)  # version, byte order, no fields, sizes, flags


class _Uint8:
    """numpy's dtype of one unsigned byte."""


class _Array:
    """An array, empty until its state is built."""

    values: NDArray[np.uint8] | None = None


class _Mark:
    """Where a tuple's or a list's items begin on the stack."""


def read_batch(data: bytes, *, where: object) -> dict[str, Any]:
    """The dictionary of a batch: names to str, int, lists of these, and uint8 arrays.

    Raises:
        DatasetError: anything else than a batch, named with its place in the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strings' escapes, decoded before they are refused
            found = _Machine().run(data)
    except ValueError as error:
        raise DatasetError(
            f"is no CIFAR batch: {error}",
            where=where,
            expected="a pickle of labels and one array of bytes",
            hint="no pickle is executed; fetch the file again",
        ) from None
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: Any) -> Any:
    return value.values if isinstance(value, _Array) else value


class _Machine:
    """Follows instructions; raises ValueError at the first that no batch has."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.arrays = 0

    def run(self, data: bytes) -> dict[str, Any]:
        for instruction, argument, position in pickletools.genops(data):
            step = _STEPS.get(instruction.name)
            try:
                if step is None:
                    raise ValueError("no batch has it")
                step(self, argument)
            except ValueError as error:
                raise ValueError(f"{instruction.name} at byte {position}: {error}") from None
        found = self.pop()
        if not isinstance(found, dict):
            raise ValueError(f"it holds a {type(found).__name__}, not a dictionary")
        return found

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack:
            raise ValueError("the stack is empty")
        return self.stack.pop()

    def pop_items(self) -> list[Any]:
        """Everything above the last mark."""
        for place in range(len(self.stack) - 1, -1, -1):
            if isinstance(self.stack[place], _Mark):
                items = self.stack[place + 1 :]
                del self.stack[place:]
                return items
        raise ValueError("nothing marks the first item")

    def push_tuple(self, count: int) -> None:
        self.push(tuple(reversed([self.pop() for _ in range(count)])))

    def put(self, key: int) -> None:
        value = self.pop()
        self.push(value)
        self.memo[key] = value

    def get(self, key: int) -> None:
        if key not in self.memo:
            raise ValueError(f"nothing was kept as {key}")
        self.push(self.memo[key])

    def push_name(self, name: str) -> None:
        if name not in _NAMES:
            raise ValueError(f"the name {name[:80]!r} is none of a batch's")
        self.push(_NAMES[name])

    def extend(self, items: list[Any]) -> None:
        target = self.pop()
        if not isinstance(target, list):
            raise ValueError(f"items for a {type(target).__name__}")
        if not all(isinstance(item, int | str) for item in items):
            raise ValueError("a list of other things than numbers and strings")
        target += items
        self.push(target)

    def set_items(self, items: list[Any]) -> None:
        target = self.pop()
        if not isinstance(target, dict):
            raise ValueError(f"items for a {type(target).__name__}")
        if len(items) % 2:
            raise ValueError("a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str):
                raise ValueError("a key that is no string")
            if not isinstance(value, int | str | list | _Array):
                raise ValueError(f"a {type(value).__name__} in the dictionary")
            target[key] = value
        self.push(target)

    def reduce(self) -> None:
        arguments, called = self.pop(), self.pop()
        if called is _Known.RECONSTRUCT and arguments == (_Known.ARRAY, (0,), "b"):
            self.arrays += 1
            if self.arrays > 1:  # or a small file could ask for any amount of memory
                raise ValueError("makes more than one array")
            self.push(_Array())
        elif called is _Known.DTYPE and isinstance(arguments, tuple) and arguments[:1] == ("u1",):
            self.push(_Uint8())
        else:
            raise ValueError("calls something else than numpy's array of bytes")

    def build(self) -> None:
        state, target = self.pop(), self.pop()
        if isinstance(target, _Uint8) and state == _UINT8_STATE:
            self.push(target)
        elif isinstance(target, _Array) and target.values is None:
            target.values = _array_of(state)
            self.push(target)
        else:
            raise ValueError("gives a state to something else than numpy's array of bytes")


def _array_of(state: Any) -> NDArray[np.uint8]:
    if not (isinstance(state, tuple) and len(state) == 5):
        raise ValueError("an array's state of another form")
    _, shape, dtype, by_columns, text = state
    if not isinstance(dtype, _Uint8) or by_columns not in (0, 1) or not isinstance(text, str):
        raise ValueError("an array of something else than bytes")
    sizes = shape if isinstance(shape, tuple) else ()
    if not sizes or not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise ValueError("an array without a shape")
    if math.prod(sizes) != len(text):
        raise ValueError(f"an array of {' x '.join(map(str, sizes))} in {len(text)} bytes")
    values = np.frombuffer(text.encode("latin-1"), np.uint8)
    return values.reshape(sizes, order="F" if by_columns else "C")


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, version: None,
    "STOP": lambda machine, _: None,
    "MARK": lambda machine, _: machine.push(_Mark()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "SHORT_BINSTRING", "BINSTRING", "BINUNICODE"),
        lambda machine, value: machine.push(value),
    ),
    **dict.fromkeys(  # Python 2's strings are bytes, and are what Python 3 would write as bytes
        ("SHORT_BINBYTES", "BINBYTES"),
        lambda machine, value: machine.push(value.decode("latin-1")),
    ),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_items())),
    "TUPLE1": lambda machine, _: machine.push_tuple(1),
    "TUPLE2": lambda machine, _: machine.push_tuple(2),
    "TUPLE3": lambda machine, _: machine.push_tuple(3),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), lambda machine, key: machine.put(key)),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda machine, key: machine.get(key)),
    "APPEND": lambda machine, _: machine.extend([machine.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_items()),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_items()),
    "GLOBAL": lambda machine, name: machine.push_name(name),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
}
