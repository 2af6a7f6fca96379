"""Freed memory stays with the process where the C library can do that, and nowhere else."""

from __future__ import annotations

import ctypes
import platform

import pytest

from search.memory import keep_freed_memory


def test_glibc_keeps_what_is_freed() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


@pytest.mark.parametrize("error", [OSError("no such library"), AttributeError("mallopt")])
def test_another_c_library_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Library:
        def __init__(self, name: object) -> None:
            if isinstance(error, OSError):
                raise error

        def __getattr__(self, name: str) -> object:
            raise error

    monkeypatch.setattr(ctypes, "CDLL", Library)
    assert keep_freed_memory() is False
