"""How does a table look on a terminal that is too narrow for it? No number is ever cut."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

_NARROWEST = 12  # of a column that folds
_UNBOUNDED = 1 << 16


def print_table(console: Console, table: Table) -> None:
    """Columns with overflow="fold" give way, down to their min_width or _NARROWEST, and go on in
    the next line; others never do. Where that is not enough, lines are longer than the
    terminal's."""
    folding = [column for column in table.columns if column.overflow == "fold"]
    for column in table.columns:
        column.no_wrap = column.overflow != "fold"
    for column in folding:
        column.min_width = column.min_width or _NARROWEST
        column.width = column.min_width
    wide = console.options.update(max_width=_UNBOUNDED)
    narrowest = console.measure(table, options=wide).maximum
    for column in folding:
        column.width = None
    if narrowest > console.width:
        table.width = narrowest
    console.print(table, crop=False)
