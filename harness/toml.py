"""How is a TOML file turned into a frozen dataclass? Unknown keys, missing keys and wrong types
are refused by name. Knows nothing of what the files mean."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import ConfigError

T = TypeVar("T")


def load_toml(path: Path, into: type[T]) -> T:
    """Read `path` into the dataclass `into`; nested tables become nested dataclasses.

    Raises:
        ConfigError: not there, not TOML, an unknown or missing key, a value of the wrong type,
            or a ValueError raised by the dataclass's own __post_init__.
    """
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except FileNotFoundError:
        raise ConfigError("no such file", where=path, hint="check the path") from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read as TOML: {error}", where=path) from None
    return build(table, into, where=str(path))


def build(table: dict[str, Any], into: type[T], *, where: str) -> T:
    """Build `into` from a parsed table; `where` names file and table in messages."""
    hints = typing.get_type_hints(into)
    fields = {field.name: field for field in dataclasses.fields(into)}  # type: ignore[arg-type]
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise ConfigError(
            f"unknown key {unknown[0]!r}",
            where=where,
            expected=f"one of {', '.join(fields)}",
            hint="check the spelling",
        )
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _convert(table[name], hints[name], where=f"{where}: {name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"key {name!r} is missing", where=where, hint="add it")
    try:
        return into(**values)
    except ValueError as error:
        raise ConfigError(str(error), where=where) from None


def _convert(value: Any, kind: Any, *, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):  # `X | None`
        kind = next(arg for arg in typing.get_args(kind) if arg is not type(None))
        return _convert(value, kind, where=where)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ConfigError("is not a table", where=where, expected="a [table]", got=repr(value))
        return build(value, typing.cast(type, kind), where=where)
    if origin is tuple and isinstance(value, list):
        inner = typing.get_args(kind)[0]
        return tuple(_convert(item, inner, where=f"{where}[{i}]") for i, item in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    expected = origin or kind
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ConfigError(
            "has the wrong type", where=where, expected=expected.__name__, got=repr(value)
        )
    return value
