"""How does a profile look on a terminal?"""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.tables import print_table
from harness.virtual.profile import Profile

TOP = 20  # rows of a table; --json has all of them


def print_profile(profile: Profile, console: Console) -> None:
    """The functions and lines that cost most."""
    table = Table(
        title=f"Cycles by function, of {profile.cycles:,}",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("function", overflow="fold", min_width=16)
    for heading in ("own", "%", "callees too", "calls"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("own cycles went into, %", overflow="fold")
    for function in profile.functions[:TOP]:
        own = function.own_cycles
        table.add_row(
            escape(function.name),
            f"{own:,}",
            _percent(own, profile.cycles),
            f"{function.total_cycles:,}",
            f"{function.calls:,}",
            _went_into(function.cycles),
        )
    print_table(console, table)
    lines = Table(title="Cycles by source line", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("line", "function"):
        lines.add_column(heading, overflow="fold")
    for heading in ("cycles", "%"):
        lines.add_column(heading, justify="right", no_wrap=True)
    for line in profile.lines[:TOP]:
        lines.add_row(
            escape(f"{line.file}:{line.line}"),
            escape(line.function),
            f"{line.own_cycles:,}",
            _percent(line.own_cycles, profile.cycles),
        )
    if any(line.line for line in profile.lines):
        print_table(console, lines)


def _went_into(cycles: dict[str, int]) -> str:
    """`issue 71, memory 20, branch 9`: the largest first."""
    whole = sum(cycles.values())
    shares = sorted(cycles.items(), key=lambda item: -item[1])
    return ", ".join(
        f"{name} {100 * part / whole:.0f}" for name, part in shares if part * 200 >= whole
    )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if part and whole else ""
