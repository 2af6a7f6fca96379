"""The command line, called in this process: what it prints and how it exits."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from search.cli import main


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object
) -> Answer:
    """Run `hilnas words...`; returns its exit code and output, lines unwrapped by width."""
    monkeypatch.setattr(sys, "argv", ["hilnas", *map(str, words)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        main()
    captured = capsys.readouterr()
    return Answer(int(stop.value.code or 0), captured.out, captured.err)
