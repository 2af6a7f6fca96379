"""How is a flatbuffer decoded without trusting it? One walk that checks and decodes together,
driven by tables of fields, so that nothing is looked at before it was checked. Knows no schema.

Format (flatbuffers "internals" page): a table starts with a signed offset back to its vtable; the
vtable is u16 vtable size, u16 table size, then one u16 offset a field (0: absent). Vectors,
strings and tables are reached by unsigned forward offsets; a vector is a u32 count and its
elements.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import MalformedModelError


@dataclass(frozen=True)
class Scalar:
    """`code` is a struct format character."""

    code: str
    default: int | float = 0


@dataclass(frozen=True)
class Vector:
    """A vector of scalars, decoded as a read-only view of the file. `dtype` as numpy spells it."""

    dtype: str


@dataclass(frozen=True)
class String:
    pass


@dataclass(frozen=True)
class Table:
    spec: Mapping[str, tuple[int, Field]]


@dataclass(frozen=True)
class Tables:
    """A vector of tables."""

    spec: Mapping[str, tuple[int, Field]]


@dataclass(frozen=True)
class Places:
    """A vector of tables that are not looked at: (address of its first element, addresses of the
    tables)."""


@dataclass(frozen=True)
class Union:
    """A table whose type is told by the scalar field `tag`; unknown tags decode to None."""

    tag: str
    specs: Mapping[int, Mapping[str, tuple[int, Field]]]


Field = Scalar | Vector | String | Table | Tables | Places | Union
Spec = Mapping[str, tuple[int, Field]]


_MOST_TABLES = 1 << 16  # each becomes a dict, up to a hundred times its size in the file


class Decoder:
    """Decodes tables of `data`; a failure is a MalformedModelError naming field and address."""

    def __init__(self, data: bytes, *, where: str) -> None:
        self._data, self._where = data, where
        # Shared data may legally be decoded twice (converters' files: once); more than this is an
        # amplification attack.
        self._budget = 4 * len(data) + 1024
        self._tables_left = _MOST_TABLES

    def decode_root(self, spec: Spec, identifier: bytes) -> dict[str, Any]:
        if len(self._data) < 8:
            raise self._error("is truncated", 0, "at least 8 bytes", len(self._data))
        if self._data[4:8] != identifier:
            raise self._error(
                "is not a TensorFlow Lite model", 4, identifier.decode(), repr(self._data[4:8])
            )
        return self._table(self._forward(0, "root"), spec, "root")

    def _error(self, what: str, at: int, expected: object, got: object) -> MalformedModelError:
        return MalformedModelError(
            f"{what} at 0x{at:x}",
            where=self._where,
            expected=expected,
            got=got,
            hint="the file is damaged; export it again",
        )

    def _need(self, at: int, count: int, name: str) -> None:
        self._budget -= count
        if at < 0 or count < 0 or at + count > len(self._data):
            raise self._error(
                f"{name} lies outside the file",
                max(at, 0),
                f"0x{0:x}..0x{len(self._data):x}",
                f"{count} bytes from {at}",
            )
        if self._budget < 0:
            raise self._error(f"{name} repeats shared data without end", at, "a tree", "a tangle")

    def _unpack(self, code: str, at: int, name: str) -> Any:
        self._need(at, struct.calcsize("<" + code), name)
        return struct.unpack_from("<" + code, self._data, at)[0]

    def _forward(self, at: int, name: str) -> int:
        return at + int(self._unpack("I", at, name))

    def _table(self, at: int, spec: Spec, name: str) -> dict[str, Any]:
        self._tables_left -= 1
        if self._tables_left < 0:
            raise self._error("has too many tables", at, f"<= {_MOST_TABLES}", "more")
        vtable = at - int(self._unpack("i", at, name))
        vtable_bytes = int(self._unpack("H", vtable, f"{name}: vtable"))
        self._need(vtable, vtable_bytes, f"{name}: vtable")
        table_bytes = int(self._unpack("H", vtable + 2, f"{name}: vtable"))
        if vtable_bytes < 4 or vtable_bytes % 2 or table_bytes < 4:
            raise self._error(f"{name} has an impossible vtable", vtable, "sizes >= 4", "less")
        self._need(at, table_bytes, name)
        values: dict[str, Any] = {}
        for key, (index, field) in spec.items():
            entry = 4 + 2 * index
            offset = self._unpack("H", vtable + entry, name) if entry + 2 <= vtable_bytes else 0
            if offset > table_bytes - 1:
                raise self._error(
                    f"{name}.{key} lies outside its table", at, f"< {table_bytes}", offset
                )
            values[key] = self._field(at + offset if offset else 0, field, f"{name}.{key}", values)
        return values

    def _field(self, at: int, field: Field, name: str, siblings: dict[str, Any]) -> Any:
        match field:
            case Scalar(code, default):
                return self._unpack(code, at, name) if at else default
            case _ if not at:
                return None
            case Vector(dtype):
                return self._vector(self._forward(at, name), dtype, name)
            case String():
                raw = self._vector(self._forward(at, name), "u1", name)
                return raw.tobytes().decode("utf-8", "replace")
            case Table(spec):
                return self._table(self._forward(at, name), spec, name)
            case Tables(spec):
                _, places = self._places(at, name)
                return [self._table(place, spec, f"{name}[{i}]") for i, place in enumerate(places)]
            case Places():
                return self._places(at, name)
            case Union(tag, specs):
                chosen = specs.get(siblings[tag])
                return self._table(self._forward(at, name), chosen, name) if chosen else None

    def _places(self, at: int, name: str) -> tuple[int, list[int]]:
        start = self._forward(at, name)
        count = int(self._unpack("I", start, name))
        self._need(start + 4, 4 * count, name)
        return start + 4, [self._forward(start + 4 + 4 * i, name) for i in range(count)]

    def _vector(self, at: int, dtype: str, name: str) -> np.ndarray[Any, np.dtype[Any]]:
        count = int(self._unpack("I", at, name))
        kind = np.dtype(dtype).newbyteorder("<")
        self._need(at + 4, count * kind.itemsize, name)
        return np.frombuffer(self._data, kind, count, at + 4)
