"""How is JSON or TOML that somebody wrote read without trusting it? Checks that name the place,
what was expected and what is there. Must not know what the values mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Place:
    """Puts the place in front of a ValueError's message."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValueError):
            raise ValueError(f"{self.where}: {error}") from None


def read_table(
    value: Any, where: str, required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is not a table, got {value!r}")
    for name in value:
        if name not in required and name not in optional:
            known = ", ".join((*required, *optional))
            raise ValueError(f"{where}: unknown key {name!r}, expected one of {known}")
    for name in required:
        if name not in value:
            raise ValueError(f"{where}: key {name!r} is missing")
    return value


def read_list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{where} is not a list, got {value!r}")
    return value


def check_one_of(name: str, value: Any, choices: Sequence[Any]) -> None:
    if isinstance(value, bool) or value not in choices or type(value) is not type(choices[0]):
        listed = ", ".join(str(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {listed}, got {value!r}")


def check_within(name: str, value: Any, allowed: range) -> None:
    if type(value) is not int or value not in allowed:
        raise ValueError(f"{name} must be {allowed[0]} to {allowed[-1]}, got {value!r}")


def check_absent(name: str, value: Any) -> None:
    if value is not None:
        raise ValueError(f"{name} means nothing and must be left out, got {value!r}")


def check_flag(name: str, value: Any) -> None:
    if type(value) is not bool:
        raise ValueError(f"{name} must be true or false, got {value!r}")


def check_positive(name: str, value: Any) -> None:
    if type(value) is not int or value < 1:
        raise ValueError(f"{name} must be at least 1, got {value!r}")
