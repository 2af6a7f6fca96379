"""The front as a table for the terminal, with the measurement's label beneath it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from search.evaluation import Evaluation
from search.report.run_folder import Run

COLUMNS = ("archid", "int8 test accuracy", "latency", "SRAM", "flash", "MACs")


def front_table(run: Run) -> Table:
    """One row a member, fastest first. Where the test split was not touched yet, the accuracy is
    that on the validation split, and the column says so."""
    tested = all(evaluation.archid in run.tested for evaluation in run.front)
    table = Table(
        title=Text(f"Pareto front of {run.config.name}"),
        caption=Text(caption(run.front)),
        caption_justify="left",
    )
    heads = COLUMNS if tested else (COLUMNS[0], "int8 validation accuracy", *COLUMNS[2:])
    for name in heads:
        left = name == "archid"
        table.add_column(name, justify="left" if left else "right", no_wrap=left)
    for evaluation in run.front:
        table.add_row(*(Text(cell) for cell in front_row(run, evaluation, tested=tested)))
    return table


def front_row(run: Run, evaluation: Evaluation, *, tested: bool) -> tuple[str, ...]:
    """The cells of one member, in the order of COLUMNS."""
    error = run.tested[evaluation.archid].test_error if tested else evaluation.val_error
    measured = evaluation.measured
    return (
        evaluation.archid,
        f"{1 - error:.2%}",
        f"{measured.latency_us.median / 1e3:.2f} ms",
        f"{measured.sram.total_bytes / 1024:.1f} KiB",
        f"{measured.flash.total_bytes / 1024:.1f} KiB",
        f"{measured.macs:,}",
    )


def caption(front: Sequence[Evaluation]) -> str:
    """What must stand beside the numbers."""
    if not front:
        return "no trained network inside the bounds"
    return front[0].measured.label
