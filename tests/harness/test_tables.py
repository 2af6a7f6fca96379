"""Tables on narrow terminals: names go on in the next line, numbers stay whole."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from harness import cli
from harness.measurement import Conditions, Layer
from harness.tables import print_table
from tests.measurements import make_measurement

NAMES = ("UNIDIRECTIONAL_SEQUENCE_LSTM", "RESIZE_NEAREST_NEIGHBOR", "CONV_2D")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_layers_lose_no_number_and_no_letter(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    out = io.StringIO()
    monkeypatch.setattr(cli, "console", Console(file=out, width=width))
    layers = tuple(
        Layer(i, name, "layer", 987_654_321, 123_456_789, 12_345_678_901 + i)
        for i, name in enumerate(NAMES)
    )
    cli.print_measurement(make_measurement(layers=layers), title="net.tflite")
    words = set(out.getvalue().split())
    assert {"987,654,321", "123,456,789", "12,345,678,901", "12,345,678,903"} <= words
    assert "…" not in out.getvalue()
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM".startswith(max(w for w in words if w[:4] == "UNID"))
    assert (width == 200) == (words >= set(NAMES))


def test_conditions_are_shown_where_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(conditions: Conditions | None) -> str:
        out = io.StringIO()
        monkeypatch.setattr(cli, "console", Console(file=out, width=80))
        measured = make_measurement(timing="measured", timing_model="", conditions=conditions)
        cli.print_measurement(measured, title="net.tflite")
        return out.getvalue()

    assert "31.2 °C, 3.30 V" in shown(Conditions(31.25, 3.298))
    assert "conditions" not in shown(Conditions(None, None)) + shown(None)


def test_a_wide_terminal_sees_the_table_as_it_is() -> None:
    out = io.StringIO()
    table = Table("name", "number")
    table.add_row("a", "1 2")
    print_table(Console(file=out, width=80), table)
    assert {len(line) for line in out.getvalue().splitlines()} == {17}


def test_what_does_not_fold_is_printed_past_the_edge() -> None:
    out = io.StringIO()
    table = Table("number")
    table.add_row("1" * 50)
    print_table(Console(file=out, width=20), table)
    assert "1" * 50 in out.getvalue()
