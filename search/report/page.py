"""One self-contained HTML page of a run: nothing is fetched from elsewhere, and whatever came from
a file is escaped."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from harness.measurement import Measurement
from search.evaluation import Evaluation, Outcome
from search.report.run_folder import Run
from search.report.sheet import Sheet
from search.report.tables import (
    ancestry_sheet,
    comparison_sheet,
    front_sheet,
    proxies_sheet,
    reasons_sheet,
    tiers_sheet,
)

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; margin: 2rem auto; max-width: 1080px;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
p.label, p.sub { color: #52606d; margin-top: .2rem; }
p.notice { background: #fff3bf; padding: .6rem .8rem; border-radius: 4px; }
img { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid #e4e7eb;
         white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; border-bottom-color: #9aa5b1; }
th.text, td.text { text-align: left; white-space: normal; }
summary { cursor: pointer; margin: .3rem 0; }
code { font-size: .9em; }
ul.facts { display: flex; flex-wrap: wrap; gap: .5rem 2rem; padding: 0; list-style: none; }
ul.facts b { display: block; font-size: 1.4rem; line-height: 1.2; }
.scroll { overflow-x: auto; }
"""


def render_page(run: Run, pictures: Mapping[str, bytes]) -> str:
    """The page as text. pictures: SVG by name: front, growth, sizes, ancestors, as far as there is
    something to draw."""
    parts = [
        f"<h1>{escape(run.config.name)}</h1>",
        f'<p class="sub">{escape(_describe_data(run))}</p>',
        f'<p class="notice">{escape(run.notice)}</p>' if run.notice else "",
        _facts(run),
        _picture(pictures, "front", "Error against latency, and MACs against latency"),
        "<h2>Pareto front</h2>",
        _sheet(front_sheet(run)),
        "<h2>Hypervolume over time</h2>",
        _picture(pictures, "growth", "Hypervolume against candidates and wall time"),
        f"<p>{escape(run.growth.describe())}</p>",
        "<h2>What each tier cost and turned down</h2>",
        _sheet(tiers_sheet(run)),
        _sheet(reasons_sheet(run)) if run.reasons else "<p>Nothing was turned down.</p>",
        "<h2>Proxies against measurements</h2>",
        *_proxies(run, pictures),
        "<h2>Ancestors of the front</h2>",
        *_ancestors(run, pictures),
        "<h2>Beside published networks</h2>",
        _sheet(comparison_sheet(run)),
        "<h2>How it was made</h2>",
        _folded(
            "All candidates", _table(_CANDIDATE_HEADS, _candidates(run.outcomes), ("outcome",))
        ),
        _folded("Settings and versions", _table(("setting", "value"), _settings(run), ("value",))),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(run.config.name)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _picture(pictures: Mapping[str, bytes], name: str, alt: str) -> str:
    """As an image the drawing is inert, whatever it holds."""
    if name not in pictures:
        return ""
    data = base64.b64encode(pictures[name]).decode()
    return f'<img alt="{escape(alt)}" src="data:image/svg+xml;base64,{data}">'


def _proxies(run: Run, pictures: Mapping[str, bytes]) -> Iterable[str]:
    if not run.proxies:
        yield "<p>Too few networks were measured to say.</p>"
        return
    yield _sheet(proxies_sheet(run))
    yield f"<p>{escape(run.proxies[0].describe())}</p>"
    yield _picture(pictures, "sizes", "Model size against flash, and peak memory against SRAM")


def _ancestors(run: Run, pictures: Mapping[str, bytes]) -> Iterable[str]:
    """The tables of networks that have ancestors; the others are named."""
    yield _picture(pictures, "ancestors", "The front's networks and their ancestors")
    bred = [ancestry for ancestry in run.ancestries if len(ancestry.steps) > 1]
    for ancestry in bred:
        sheet = ancestry_sheet(ancestry)
        yield _folded(f"{sheet.title}: {sheet.note}", _sheet_table(sheet))
    if alone := [ancestry.archid for ancestry in run.ancestries if ancestry not in bred]:
        yield f"<p>Without a parent in the journal: {escape(', '.join(alone))}.</p>"
    if not run.ancestries:
        yield "<p>The front is empty.</p>"


def _describe_data(run: Run) -> str:
    if not run.tested:
        return f"{run.dataset}; the test split was not touched yet"
    return f"{run.dataset}; accuracy on {run.test_images:,} test images, used once"


def _facts(run: Run) -> str:
    trained = [o for o in run.outcomes if isinstance(o, Evaluation)]
    on_board = sum(isinstance(o, Evaluation) or o.untrained is not None for o in run.outcomes)
    facts = [
        (f"{len(run.outcomes):,}", "candidates"),
        (f"{on_board:,}", "measured on the board"),
        (f"{len(trained):,}", "trained"),
        (f"{len(run.front):,}", "on the front"),
    ]
    items = "".join(f"<li><b>{escape(n)}</b>{escape(what)}</li>" for n, what in facts)
    return f'<ul class="facts">{items}</ul>'


_CANDIDATE_HEADS = ("archid", "outcome", "val error", "latency, ms", "SRAM, B", "flash, B", "MACs")


def _candidates(outcomes: Sequence[Outcome]) -> Iterable[tuple[str, ...]]:
    measurement: Measurement | None
    for outcome in outcomes:
        if isinstance(outcome, Evaluation):
            measurement, cost, what = outcome.measured, outcome.measured_cost, "trained"
            error = f"{outcome.val_error:.4f}"
        elif outcome.tier == "analytic":
            continue  # thousands, and all that is known of them is in the count above
        else:
            measurement, cost = outcome.untrained, outcome.cost
            what, error = outcome.reason, ""
        if measurement is None:
            numbers: tuple[str, ...] = ("", "", "")
        else:
            numbers = (
                f"{measurement.latency_us.median / 1e3:.3f}",
                f"{measurement.sram.total_bytes:,}",
                f"{measurement.flash.total_bytes:,}",
            )
        yield outcome.archid, what, error, *numbers, f"{cost.macs:,}"


def _settings(run: Run) -> Iterable[tuple[str, str]]:
    yield from _flatten(asdict(run.config))
    yield from ((f"version of {name}", text) for name, text in run.versions.items())
    yield from ((f"host {name}", str(value)) for name, value in run.host.items())


def _flatten(table: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        elif value not in (None, ""):
            yield f"{prefix}{key}", str(value)


def _folded(title: str, content: str) -> str:
    return (
        f'<details><summary>{escape(title)}</summary><div class="scroll">{content}</div></details>'
    )


def _sheet(sheet: Sheet) -> str:
    note = f'\n<p class="label">{escape(sheet.note)}</p>' if sheet.note else ""
    return f'<div class="scroll">{_sheet_table(sheet)}</div>{note}'


def _sheet_table(sheet: Sheet) -> str:
    return _table(sheet.heads, sheet.rows, sheet.words)


def _table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], words: Collection[str] = ()
) -> str:
    """words: heads of columns that hold text."""
    kinds = [' class="text"' if head in words else "" for head in heads]
    head = "".join(f"<th{k}>{escape(name)}</th>" for k, name in zip(kinds, heads, strict=True))
    lines = [
        "<tr>"
        + "".join(f"<td{k}>{escape(cell)}</td>" for k, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows
    ]
    return f"<table>\n<tr>{head}</tr>\n" + "\n".join(lines) + "\n</table>"
