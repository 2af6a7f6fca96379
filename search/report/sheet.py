"""What is a table of a report, wherever it is shown? Cells are words already; terminal and page
draw the same ones."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

ABSENT = "–"  # not recorded, which is not zero
_LEAST = 32  # characters of a column of words, on however narrow a terminal


@dataclass(frozen=True)
class Sheet:
    """Rows as long as `heads`. words: the heads of columns that hold text, which is what may fold;
    the first column is one. note: what must stand beside the numbers."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[str] = frozenset()
    note: str = ""

    def is_words(self, head: str) -> bool:
        return head in self.words or head == self.heads[0]


def terminal_table(sheet: Sheet) -> Table:
    """The sheet for harness.tables.print_table; markup in its cells means nothing."""
    table = Table(
        title=Text(sheet.title),
        title_justify="left",
        caption=Text(sheet.note) if sheet.note else None,
        caption_justify="left",
    )
    for column, head in enumerate(sheet.heads):
        longest = max((len(row[column]) for row in sheet.rows), default=0)
        table.add_column(
            Text(head),
            justify="left" if sheet.is_words(head) else "right",
            overflow="fold" if head in sheet.words else "ellipsis",
            min_width=min(_LEAST, longest) if head in sheet.words else None,
        )
    for row in sheet.rows:
        table.add_row(*map(Text, row))
    return table
